//! Which words of a command line are paths, and what is done to them.
//!
//! 1. Every word may be one, and so may what stands behind `=`, `:` or `,` in it: `of=/x`, `a:/x`, `--file=/x`; and
//!    behind an option of one letter: `-o/x`. Of `-I` and `-L` it is only looked for.
//! 2. The target of `>` is changed, that of `<` is read.
//! 3. A reader (`is_reader`) and the command word itself only read, `find` as well if nothing in it does more. Anything
//!    else may change what it names, and read it, too.
//! 4. In a word with blanks in it, in a here-document and behind `<<<`, paths may stand anywhere: it is a program, as
//!    in `sh -c`. There a word with a `/` counts, and one that begins with `.`, `~` or `$`. To readers and talkers such
//!    a text is data, and to an echo all words are, unless a `$(` or a backtick is in it.
//! 5. A search path (`PATH=/usr/bin:$PATH`) touches nothing.
//! 6. Relative paths begin at the working directory. Behind a `cd` they may begin there or where it went.

use alloc::vec::Vec;

use wasmguard_guest::scan::{Places, Set};

use crate::paths::absolute;
use crate::shell::{Command, Line, Role, Word};

/// What is done to a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Change,
    /// One of both, or both.
    Unknown,
}

/// What stands before the command word, besides assignments.
#[rustfmt::skip]
fn is_wrapper(word: &[u8]) -> bool {
    matches!(
        word,
        b"sudo" | b"doas" | b"env" | b"nohup" | b"time" | b"exec" | b"command" | b"xargs" | b"nice" | b"timeout"
            | b"setsid" | b"stdbuf" | b"builtin" | b"if" | b"then" | b"else" | b"elif" | b"while" | b"until" | b"do"
            | b"!" | b"{"
    )
}

#[rustfmt::skip]
fn is_reader(word: &[u8]) -> bool {
    matches!(
        word,
        b"cat" | b"head" | b"tail" | b"less" | b"more" | b"bat" | b"nl" | b"tac" | b"ls" | b"ll" | b"dir" | b"tree"
            | b"stat" | b"file" | b"wc" | b"diff" | b"cmp" | b"du" | b"df" | b"readlink" | b"realpath" | b"basename"
            | b"dirname" | b"grep" | b"egrep" | b"fgrep" | b"zgrep" | b"rg" | b"ag" | b"ack" | b"test" | b"["
            | b"[[" | b"cd" | b"pushd" | b"popd" | b"pwd" | b"which" | b"type" | b"man" | b"cut" | b"tr" | b"od"
            | b"hexdump" | b"strings" | b"md5sum" | b"sha1sum" | b"sha256sum" | b"sha512sum" | b"cksum" | b"jq"
            | b"." | b"source" | b"Get-Content" | b"Get-ChildItem" | b"Select-String" | b"Test-Path" | b"gc"
            | b"gci"
    )
}

/// Commands whose words are data.
fn is_echo(word: &[u8]) -> bool {
    matches!(word, b"echo" | b"printf" | b":" | b"true" | b"false")
}

/// Commands to which a text of several words is a message, or one name.
fn is_talker(word: &[u8]) -> bool {
    matches!(word, b"git" | b"gh" | b"tee" | b"cp" | b"mv")
}

/// Options with which `find` does more than that.
fn does_more(word: &[u8]) -> bool {
    word == b"-delete" || [&b"-exec"[..], b"-ok", b"-fprint", b"-fls"].iter().any(|begin| word.starts_with(begin))
}

/// Calls `visit` with each path of a line, whether the shell fills it in, and what is done to it; stops when that says
/// so.
pub fn paths(line: &Line, cwd: &[u8], mut visit: impl FnMut(&[u8], bool, Access) -> bool) {
    let mut moved: Option<Vec<u8>> = None; // where the last `cd` went
    for command in &line.commands {
        let manner = Manner::of(line, command);
        for (place, word) in command.iter().enumerate() {
            let access = manner.access(place, word);
            let mut stops = false;
            manner.each_path(line.text(word), word, |path| {
                let bases = [Some(cwd), moved.as_deref()];
                stops =
                    stops || bases.into_iter().flatten().any(|base| visit(&absolute(path, base), word.wild, access));
            });
            if stops {
                return;
            }
        }
        if let Some(folder) = manner.folder.map(|place| line.text(&command[place])) {
            moved = Some(absolute(folder, moved.as_deref().unwrap_or(cwd)));
        }
    }
}

/// How a command takes its words.
struct Manner {
    name: usize, // the place of the command word
    reads: bool,
    echoes: bool,
    /// Whether a text of several words is data, and no program.
    talks: bool,
    /// The place of the folder that it changes to.
    folder: Option<usize>,
}

impl Manner {
    fn of(line: &Line, command: &Command) -> Self {
        let is_argument = |word: &Word| word.role == Role::Argument;
        let text = |place: usize| line.text(&command[place]);
        let mut arguments = (0..command.len()).filter(|place| is_argument(&command[*place]));
        let name = arguments.find(|place| !is_before_name(text(*place))).unwrap_or(usize::MAX);
        let word = if name == usize::MAX { b"" } else { basename(text(name)) };
        let reads =
            is_reader(word) || word == b"find" && !(name + 1..command.len()).any(|place| does_more(text(place)));
        let goes = matches!(word, b"cd" | b"pushd");
        Manner {
            name,
            reads,
            echoes: is_echo(word),
            talks: reads || is_talker(word),
            folder: arguments.find(|place| goes && !text(*place).starts_with(b"-")),
        }
    }

    fn access(&self, place: usize, word: &Word) -> Access {
        match word.role {
            Role::Output => Access::Change,
            Role::Input => Access::Read,
            _ if self.reads || place == self.name => Access::Read,
            _ => Access::Unknown,
        }
    }

    fn each_path<'w>(&self, text: &'w [u8], word: &Word, mut visit: impl FnMut(&'w [u8])) {
        let is_target = matches!(word.role, Role::Output | Role::Input);
        let is_document = word.role == Role::Document;
        let runs =
            Places::new(text, &SUBSTITUTES).any(|place| text[place] == b'`' || text[place + 1..].starts_with(b"("));
        if !runs && (self.echoes && !is_target || self.talks && is_document || is_search_path(text)) {
            return;
        }
        let is_program =
            runs || is_document || !self.talks && !is_target && Places::new(text, &BLANKS).next().is_some();
        if !is_document {
            visit(text);
        }
        let ends = if is_program { &ENDS_IN_PROGRAM } else { &ENDS };
        let mut start = 0;
        for end in Places::new(text, ends).chain([text.len()]) {
            let part = &text[start..end];
            start = end + 1;
            if !part.is_empty()
                && part.len() < text.len() + is_document as usize
                && (!is_program || looks_like_one(part))
            {
                visit(part);
            }
            if let [b'-', letter, rest @ ..] = part {
                if matches!(rest, [b'/' | b'~' | b'$', ..]) && !matches!(letter, b'-' | b'I' | b'L') {
                    visit(rest);
                }
            }
        }
    }
}

const SUBSTITUTES: Set = Set::of(b"$`");
const BLANKS: Set = Set::of(b" \t\n(;");
const ENDS: Set = Set::of(b"=:,"); // what a path ends at, behind which another one may stand
const ENDS_IN_PROGRAM: Set = Set::of(b"=:, \t\n\r;()'\"`<>|&{}[]#\\!");

/// Whether a word of a program may be a path: not every name in it is.
fn looks_like_one(part: &[u8]) -> bool {
    matches!(part[0], b'.' | b'~' | b'$') || part.contains(&b'/')
}

/// Whether a word stands before the command word: an assignment, a wrapper, or an option or a number of one.
fn is_before_name(word: &[u8]) -> bool {
    assigned(word).is_some()
        || is_wrapper(basename(word))
        || word.starts_with(b"-")
        || word.iter().all(u8::is_ascii_digit)
}

/// The name that a word assigns to.
fn assigned(word: &[u8]) -> Option<&[u8]> {
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    let (name, rest) = word.split_at(word.iter().take_while(is_name).count());
    (!name.is_empty() && rest.starts_with(b"=")).then_some(name)
}

/// Whether a word says where programs and libraries are looked for: `PATH=/usr/bin:$PATH`.
fn is_search_path(word: &[u8]) -> bool {
    assigned(word).is_some_and(|name| name.ends_with(b"PATH"))
}

fn basename(word: &[u8]) -> &[u8] {
    word.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}
