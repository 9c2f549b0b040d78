//! Splits a command line into simple commands and their words, as bash does where it matters to paths.
//!
//! 1. Quotes and backslashes are removed, and what they join is one word. `$HOME` and the like stay as they are.
//! 2. A command ends at `;` `&` `|` and newlines, and where `( )`, `$( )` or backticks begin or end: what runs inside
//!    is a command like any other. Inside double quotes a substitution stays part of its word.
//! 3. The target of a redirection is a word of its own kind, and so is the text of a here-document. What looks like
//!    one, but has no last line, is none: `$((1<<2))`.
//! 4. Comments are left out. What is not closed goes to the end.
//!
//! Nothing is ever refused here: a line that a shell would not take is split somehow.

use alloc::vec::Vec;

/// What a word is to its command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Argument,
    Output,
    Input,
    Document,
}

pub struct Word {
    pub role: Role,
    /// Whether an unquoted `*` or `?` is in it.
    pub wild: bool,
    start: usize,
    end: usize,
}

/// A simple command: its words, the command word among them.
pub type Command = Vec<Word>;

/// A command line.
pub struct Line {
    texts: Vec<u8>, // of all words, one behind the other
    pub commands: Vec<Command>,
}

impl Line {
    /// Reads a line of bash, or else of PowerShell, where a backslash is a slash.
    pub fn read(line: &[u8], is_powershell: bool) -> Line {
        let line_read = Line { texts: Vec::with_capacity(line.len()), commands: Vec::from([Vec::new()]) };
        let mut reader = Reader {
            line,
            at: 0,
            is_powershell,
            read: line_read,
            word: None,
            next: Role::Argument,
            documents: Vec::new(),
        };
        while let Some(byte) = reader.take() {
            reader.mean(byte);
        }
        reader.end_word();
        reader.read
    }

    pub fn text(&self, word: &Word) -> &[u8] {
        &self.texts[word.start..word.end]
    }
}

/// A here-document whose text comes behind the line: for which command, its last line, and whether tabs are cut there.
struct Document<'a> {
    command: usize,
    name: &'a [u8],
    tabs: bool,
}

impl Document<'_> {
    /// How long the text is that begins here, and how long with its last line; None if that is missing.
    fn extent(&self, rest: &[u8]) -> Option<(usize, usize)> {
        let mut size = 0;
        for line in rest.split(|byte| *byte == b'\n') {
            let tabs = if self.tabs { line.iter().take_while(|byte| **byte == b'\t').count() } else { 0 };
            if &line[tabs..] == self.name {
                return Some((size, (size + line.len() + 1).min(rest.len())));
            }
            size += line.len() + 1;
        }
        None
    }
}

struct Reader<'a> {
    line: &'a [u8],
    at: usize,
    is_powershell: bool,
    read: Line,
    word: Option<Word>, // that is being read
    next: Role,         // of the next word
    documents: Vec<Document<'a>>,
}

impl<'a> Reader<'a> {
    fn take(&mut self) -> Option<u8> {
        let byte = *self.line.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn follows(&mut self, text: &[u8]) -> bool {
        let follows = self.line[self.at..].starts_with(text);
        self.at += if follows { text.len() } else { 0 };
        follows
    }

    /// What a character outside quotes does.
    fn mean(&mut self, byte: u8) {
        match byte {
            b' ' | b'\t' | b'\r' => self.end_word(),
            b'\n' => {
                self.end_command();
                self.read_documents();
            }
            b'&' if self.follows(b">") => self.redirect(b'>'),
            b';' | b'&' | b'|' | b'(' | b')' => self.end_command(),
            b'`' if self.is_powershell => self.escaped(),
            b'`' => self.end_command(),
            b'<' | b'>' => self.redirect(byte),
            b'#' if self.word.is_none() => self.at += position(&self.line[self.at..], b'\n'),
            b'\\' if !self.is_powershell => self.escaped(),
            b'\\' => self.add(b'/'),
            b'\'' => self.quoted(b'\''),
            b'"' => self.quoted(b'"'),
            b'$' if self.follows(b"(") => self.end_command(),
            b'$' if self.line[self.at..].starts_with(b"'") => {} // its escapes are left as they are
            b'*' | b'?' => self.add_wild(byte),
            b'[' => self.bracket(),
            _ => self.add(byte),
        }
    }

    fn begin_word(&mut self) -> &mut Word {
        let (role, start) = (self.next, self.read.texts.len());
        self.word.get_or_insert(Word { role, wild: false, start, end: start })
    }

    fn add(&mut self, byte: u8) {
        self.begin_word();
        self.read.texts.push(byte);
    }

    fn add_wild(&mut self, byte: u8) {
        self.add(byte);
        self.begin_word().wild = true;
    }

    /// `[abc]` is any one character; a bracket that is not closed in its word is itself.
    fn bracket(&mut self) {
        let ends = |byte: &u8| matches!(byte, b']' | b' ' | b'\t' | b'\n' | b'/');
        match self.line[self.at..].iter().position(ends) {
            Some(size) if size > 0 && self.line[self.at + size] == b']' => {
                self.at += size + 1;
                self.add_wild(b'?');
            }
            _ => self.add(b'['),
        }
    }

    fn escaped(&mut self) {
        match self.take() {
            Some(b'\n') | None => {}
            Some(byte) => self.add(byte),
        }
    }

    fn quoted(&mut self, quote: u8) {
        self.begin_word();
        while let Some(byte) = self.take() {
            match byte {
                _ if byte == quote => return,
                b'\\' if quote == b'"' && self.is_powershell => self.add(b'/'),
                b'\\' if quote == b'"' => self.escaped(),
                _ => self.add(byte),
            }
        }
    }

    fn redirect(&mut self, byte: u8) {
        if self.follows(b"(") {
            return self.end_command(); // <( ) and >( )
        }
        let word = self.word.as_ref().map(|word| &self.read.texts[word.start..]);
        if word.is_some_and(|word| word.iter().all(u8::is_ascii_digit)) {
            self.word = None; // a descriptor, and no word
        }
        self.end_word();
        if byte == b'<' && self.follows(b"<") {
            match self.follows(b"<") {
                true => self.next = Role::Document, // <<< text
                false => self.announce(),
            }
            return;
        }
        self.next = if byte == b'<' && !self.follows(b">") { Role::Input } else { Role::Output };
        let _ = self.follows(b">") || self.follows(b"|") || self.follows(b"&");
    }

    /// Behind `<<`: the name of a here-document.
    fn announce(&mut self) {
        let tabs = self.follows(b"-");
        while self.follows(b" ") || self.follows(b"\t") {}
        let rest = &self.line[self.at..];
        let (quote, size) = match rest.first() {
            Some(quote @ (b'\'' | b'"')) => (1, position(&rest[1..], *quote)),
            Some(b'\\') => (1, rest[1..].iter().take_while(|byte| !ends_name(byte)).count()),
            _ => (0, rest.iter().take_while(|byte| !ends_name(byte)).count()),
        };
        let name = &rest[quote..quote + size];
        let closes = quote > 0 && rest[0] != b'\\';
        self.at = (self.at + quote + size + closes as usize).min(self.line.len());
        self.documents.push(Document { command: self.read.commands.len() - 1, name, tabs });
    }

    fn read_documents(&mut self) {
        for document in core::mem::take(&mut self.documents) {
            let Some((size, behind)) = document.extent(&self.line[self.at..]) else { continue };
            let start = self.read.texts.len();
            self.read.texts.extend_from_slice(&self.line[self.at..self.at + size]);
            self.at += behind;
            let word = Word { role: Role::Document, wild: false, start, end: start + size };
            self.read.commands[document.command].push(word);
        }
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take() {
            let end = self.read.texts.len();
            self.read.commands.last_mut().expect("one is open").push(Word { end, ..word });
            self.next = Role::Argument;
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        self.next = Role::Argument;
        if self.read.commands.last().is_some_and(|command| !command.is_empty()) {
            self.read.commands.push(Vec::new());
        }
    }
}

fn position(text: &[u8], wanted: u8) -> usize {
    text.iter().position(|byte| *byte == wanted).unwrap_or(text.len())
}

fn ends_name(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' | b'\'' | b'"')
}
