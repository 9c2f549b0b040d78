//! What is said about an event that holds a secret.
//!
//! 1. `UserPromptSubmit`: a secret in the prompt blocks it. `PreToolUse`, `PermissionRequest`: a secret in the tool's
//!    input denies the call, wherever it stands in there, in keys too. With `action = "ask"` a human decides.
//! 2. The `old_string` of an Edit is not looked at: a secret that is in a file must be able to leave it.
//! 3. `PostToolUse`, `PostToolUseFailure`: nothing is stopped. Each secret in the output or the error is a note; with
//!    `redact` those in an output are replaced. There `words` do not count, but `redact_words`.
//! 4. A reason or a note names the tool, the field and the kind, never the secret: not where it is part of a name,
//!    either. Everything else passes.

use alloc::string::String;
use alloc::vec::Vec;

use wasmguard_guest::answer::{Answer, Effect};
use wasmguard_guest::request::{Event, Reader, Walk};
use wasmguard_guest::utf8;

use crate::redact;
use crate::secrets::{Found, Kind, Search};
use crate::settings::Settings;

const LONGEST: usize = 60; // bytes of a name that is cited
const NOTES: usize = 16;
/// Else the model takes it for what the file says, and writes it back.
const TAKEN_OUT: &str = "in this output [redacted: ...] stands for a secret that is not shown: do not write it back";

pub fn judge(event: &Event, settings: &Settings) -> Answer {
    match event.name {
        Some(b"UserPromptSubmit") => of_prompt(event, settings),
        Some(b"PreToolUse" | b"PermissionRequest") => of_input(event, settings),
        Some(b"PostToolUse") => of_output(event.output, "output", event, settings),
        Some(b"PostToolUseFailure") => of_output(event.error, "error", event, settings),
        _ => Answer::default(),
    }
}

fn of_prompt(event: &Event, settings: &Settings) -> Answer {
    let search = Search::new(&settings.words, &settings.ignore, settings.assignments);
    match event.prompt.and_then(|prompt| first_in(prompt, &search)) {
        Some(kind) => refused(["the prompt contains ", &article(kind), instead(kind)].concat(), settings),
        None => Answer::default(),
    }
}

fn of_input(event: &Event, settings: &Settings) -> Answer {
    let search = Search::new(&settings.words, &settings.ignore, settings.assignments);
    let Some(input) = event.input else { return Answer::default() };
    let mut reader = Reader::new(input);
    for _ in 0..reader.map() {
        let (key, value) = (reader.text(), reader.value());
        if event.tool == Some(b"Edit") && key == b"old_string" {
            continue;
        }
        if let Some(kind) = search.all(key).next().map(|found| found.kind).or_else(|| first_in(value, &search)) {
            let place = place(event, Some(key), &search);
            return refused([&place, " contains ", &article(kind), instead(kind)].concat(), settings);
        }
    }
    Answer::default()
}

fn of_output(output: Option<&[u8]>, what: &'static str, event: &Event, settings: &Settings) -> Answer {
    let search = Search::new(&settings.redact_words, &settings.ignore, settings.assignments);
    let Some(output) = output else { return Answer::default() };
    let notes = notes(output, what, event, &search);
    if notes.is_empty() || !settings.redact || what == "error" {
        return Answer { notes, ..Answer::default() };
    }
    let rewrite_output = redact::redacted(output, &search);
    let (reason, context) = match rewrite_output {
        Some(_) => ("secrets were taken out of the output", TAKEN_OUT),
        None => ("a secret is part of a name in the output, which cannot be taken out", ""),
    };
    Answer { reason: String::from(reason), context: String::from(context), rewrite_output, notes, ..Answer::default() }
}

/// A note for each kind in each top-level field.
fn notes(output: &[u8], what: &str, event: &Event, search: &Search) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    let mut reader = Reader::new(output);
    let is_map = reader.is_map();
    for _ in 0..if is_map { reader.map() } else { 1 } {
        let key = is_map.then(|| reader.text());
        for kind in kinds(key, reader.value(), search) {
            let place = place(event, key, search);
            let note = ["the ", what, " of ", &place, " contains ", &article(kind)].concat();
            if notes.len() < NOTES && !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    notes
}

fn kinds(key: Option<&[u8]>, value: &[u8], search: &Search) -> Vec<Kind> {
    let mut kinds = Vec::new();
    let texts = key.into_iter().chain(Walk::new(value).filter_map(|step| step.text));
    for Found { kind, .. } in texts.flat_map(|text| search.all(text)) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

fn first_in(value: &[u8], search: &Search) -> Option<Kind> {
    let mut texts = Walk::new(value).filter_map(|step| step.text);
    texts.find_map(|text| search.all(text).next()).map(|found| found.kind)
}

fn refused(reason: String, settings: &Settings) -> Answer {
    Answer { effect: if settings.asks { Effect::Ask } else { Effect::Deny }, reason, ..Answer::default() }
}

/// `Write.content`: as far as these names are plain and hold no secret themselves.
fn place(event: &Event, key: Option<&[u8]>, search: &Search) -> String {
    let cited = |name: &[u8], else_say: &str| {
        let plain = name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        let fits = !name.is_empty() && name.len() <= LONGEST && plain && search.all(name).next().is_none();
        String::from(if fits { utf8(name) } else { else_say })
    };
    let tool = cited(event.tool.unwrap_or_default(), "the tool");
    key.map_or(tool.clone(), |key| [&tool, ".", &cited(key, "one field")].concat())
}

fn article(kind: Kind) -> String {
    let name = kind.names().1;
    [if name.starts_with(['a', 'o', 'n']) { "an " } else { "a " }, name].concat()
}

/// What to do about it.
fn instead(kind: Kind) -> &'static str {
    match kind {
        Kind::Word => ": rephrase it without that",
        _ => ": keep it in a file or a variable outside the conversation, and name that",
    }
}
