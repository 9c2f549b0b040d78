//! What is said about an event that touches a path of the lists.
//!
//! 1. `PreToolUse` and `PermissionRequest` are judged. A path in `exempt` is in no list. `deny` wins over `ask`.
//! 2. Write, Edit, MultiEdit and NotebookEdit change a path: `deny` and `ask`. Read, Glob, Grep, LS and NotebookRead
//!    read one: `deny_reads` and `ask_reads`. Of a tool that is not known both pairs count.
//! 3. Bash, Monitor and PowerShell: each path of the command line counts (`commands`).
//! 4. Grep reads what is below: where it begins in a folder above one of the lists (`/`, `~`), the user is asked. Of a
//!    Glob the part of its pattern before the first `**` belongs to the path.
//! 5. A tool's path that is relative, where the working directory is not known, is denied.
//! 6. `PostToolUse`: what was touched is a note, and nothing else. Other events pass.

use alloc::string::String;
use alloc::vec::Vec;

use wasmguard_guest::answer::{Answer, Effect};
use wasmguard_guest::path::append;
use wasmguard_guest::request::{texts_at, Event, PATH_FIELDS};
use wasmguard_guest::utf8;

use crate::commands::{self, Access};
use crate::paths::absolute;
use crate::patterns::{Fit, Path};
use crate::settings::{Said, Settings};
use crate::shell::Line;

const LONGEST: usize = 80; // bytes of a path that is cited
const NOTES: usize = 8;

/// A path that is in a list.
struct Touched {
    effect: Effect,
    path: String,
    pattern: String,
}

pub fn judge(event: &Event, said: Said) -> Answer {
    let name = event.name.unwrap_or_default();
    if !matches!(name, b"PreToolUse" | b"PermissionRequest" | b"PostToolUse") {
        return Answer::default();
    }
    let is_over = name == b"PostToolUse";
    let mut judged = Judged { settings: &said.settled(), is_over, touched: Vec::new() };
    match event.tool.unwrap_or_default() {
        tool @ (b"Bash" | b"Monitor" | b"PowerShell") => judged.line(event, tool == b"PowerShell"),
        tool => {
            if let Some(refused) = judged.fields(event, tool) {
                return if is_over { Answer::default() } else { refused };
            }
        }
    }
    judged.answer(event)
}

struct Judged<'s> {
    settings: &'s Settings<'s>,
    is_over: bool,
    touched: Vec<Touched>,
}

impl Judged<'_> {
    /// The paths of a tool. An answer if one of them cannot be told.
    fn fields(&mut self, event: &Event, tool: &[u8]) -> Option<Answer> {
        let access = match tool {
            b"Write" | b"Edit" | b"MultiEdit" | b"NotebookEdit" => Access::Change,
            b"Read" | b"Glob" | b"Grep" | b"LS" | b"NotebookRead" => Access::Read,
            _ => Access::Unknown,
        };
        let mut given = texts_at(event.input, &PATH_FIELDS);
        let [pattern] = texts_at(event.input, &["pattern"]);
        let pattern = if tool == b"Glob" { pattern.map(|pattern| before_stars(pattern)) } else { None };
        if matches!(tool, b"Glob" | b"Grep") && given.iter().all(Option::is_none) {
            given[0] = Some(b".");
        }
        for written in given.into_iter().flatten() {
            let is_known = matches!(written.first(), Some(b'/' | b'~')) || written.get(1) == Some(&b':');
            if !is_known && event.cwd.is_none() && !matches!(tool, b"Glob" | b"Grep") {
                return Some(unknown(tool));
            }
            let mut path = absolute(written, &base(event.cwd));
            if let Some(pattern) = pattern {
                path = absolute(pattern, &path);
            }
            self.look(&path, written, pattern.is_some(), access, tool == b"Grep");
        }
        None
    }

    /// The paths of a command line.
    fn line(&mut self, event: &Event, is_powershell: bool) {
        let [command] = texts_at(event.input, &["command"]);
        let line = Line::read(command.unwrap_or_default(), is_powershell);
        commands::paths(&line, &base(event.cwd), |path, wild, access| {
            let home = path.strip_prefix(b"/home").filter(|rest| rest.starts_with(b"/~"));
            let shown = home.map_or(path, |rest| &rest[1..]);
            self.look(path, shown, wild, access, false);
            !self.is_over && self.touched.iter().any(|touched| touched.effect == Effect::Deny)
        });
    }

    /// Notes the path if it is in a list. `written` is what is cited of it.
    fn look(&mut self, normal: &[u8], written: &[u8], wild: bool, access: Access, goes_down: bool) {
        let Settings { deny, ask, deny_reads, ask_reads, exempt, ignore_case } = self.settings;
        let path = Path::new(normal, wild, *ignore_case);
        let (reads, changes) = (access != Access::Change, access != Access::Read);
        let denied = [(changes, deny, Effect::Deny), (reads, deny_reads, Effect::Deny)];
        let asked = [(changes, ask, Effect::Ask), (reads, ask_reads, Effect::Ask)];
        let mut above = None;
        for (_, list, effect) in denied.into_iter().chain(asked).filter(|(counts, ..)| *counts) {
            let (fit, pattern) = path.closest(list);
            if fit == Fit::Covered {
                if path.exact().closest(exempt).0 != Fit::Covered {
                    // `id_*` may find more than what is exempt
                    self.touched.push(Touched { effect, path: cited(written), pattern: cited(pattern) });
                }
                return;
            }
            above = above.or((goes_down && fit == Fit::Above).then_some(pattern));
        }
        if let Some(pattern) = above {
            self.touched.push(Touched { effect: Effect::Ask, path: cited(written), pattern: cited(pattern) });
        }
    }

    fn answer(self, event: &Event) -> Answer {
        let tool = cited(event.tool.unwrap_or_default());
        if self.is_over {
            let mut notes = Vec::new();
            for Touched { path, pattern, .. } in &self.touched {
                let note =
                    ["alert: ", &tool, " touched \"", path, "\", which is in the lists as \"", pattern, "\""].concat();
                if notes.len() < NOTES && !notes.contains(&note) {
                    notes.push(note);
                }
            }
            return Answer { notes, ..Answer::default() };
        }
        let Some(first) = self.touched.iter().rev().max_by_key(|touched| touched.effect) else {
            return Answer::default();
        };
        let (says, instead) = match first.effect {
            Effect::Deny => (" may not touch \"", "is denied here: show it in your answer, or ask the user to do it"),
            _ => (" would touch \"", "needs the user's consent here"),
        };
        let reason = [&tool, says, &first.path, "\": \"", &first.pattern, "\" ", instead].concat();
        Answer { effect: first.effect, reason, ..Answer::default() }
    }
}

fn unknown(tool: &[u8]) -> Answer {
    let reason =
        [&cited(tool), " names a relative path, and the working directory is not known: give an absolute one"].concat();
    Answer { effect: Effect::Deny, reason, ..Answer::default() }
}

/// The working directory as a normal path; the top if it is not known.
fn base(cwd: Option<&[u8]>) -> Vec<u8> {
    let mut base = Vec::new();
    append(&mut base, 0, cwd.unwrap_or_default());
    base
}

/// The components of a Glob's pattern before the first `**`.
fn before_stars(pattern: &[u8]) -> &[u8] {
    let stars = pattern.windows(2).position(|pair| pair == b"**");
    stars.map_or(pattern, |stars| &pattern[..stars])
}

/// The beginning of what somebody wrote, cut between characters.
fn cited(text: &[u8]) -> String {
    let mut size = text.len().min(LONGEST);
    while size < text.len() && text[size] & 0xc0 == 0x80 {
        size -= 1;
    }
    [utf8(&text[..size]), if size < text.len() { "..." } else { "" }].concat()
}
