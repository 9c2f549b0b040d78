//! What happens to a tool call that carries paths.
//!
//! 1. Only `PreToolUse` is judged, and only the tools in `tools`; everything else passes.
//! 2. Every field of `PATH_FIELDS` that is a text is a path. If one is denied, the call is; if some move, they move in
//!    one answer.
//! 3. While `root` is no absolute path, everything is denied.
//! 4. A path that is empty, longer than a system takes or starts with `~` is denied.
//! 5. A relative path starts at `cwd`; it is denied if that is unknown.
//! 6. `.`, `..` and doubled slashes are resolved in the text. What follows is about the result.
//! 7. A path that fits a pattern of `exempt` stays as it is.
//! 8. A path inside the root stays as it is. If it contains `..` it is written out without: behind a link, `..` leads
//!    elsewhere than the text says, and the host checks only what is rewritten.
//! 9. The root itself is denied, and so is the path that would become it.
//! 10. Every other path moves: root + path. Asked about that, the policy says 8.

use alloc::string::String;
use alloc::vec::Vec;

use wasmguard_guest::answer::{Answer, Effect};
use wasmguard_guest::request::{texts_at, Event, Texts, PATH_FIELDS};
use wasmguard_guest::{glob, path, utf8};

use crate::settings::Settings;

const ROOT: &[u8] = b"/sandbox";
const TOOLS: [&[u8]; 3] = [b"Write", b"Edit", b"NotebookEdit"];
const LONGEST: usize = 4096; // bytes: PATH_MAX, and the most that the host accepts in a rewrite

/// Why a path is denied: what is wrong with it, and what to do. The root follows.
type Refusal = (&'static str, &'static str);

pub fn judge(event: &Event, settings: &Settings) -> Answer {
    if event.name != Some(b"PreToolUse") {
        return Answer::default();
    }
    let given = texts_at(event.input, &PATH_FIELDS);
    if !is_asked(event.tool, &settings.tools) {
        return Answer::default();
    }
    let Some(root) = root(settings.root.unwrap_or(ROOT)) else {
        return denied(String::from("the setting `root` is no absolute path: the owner must set one"));
    };
    let mut rewrite = Vec::new();
    for (field, given) in PATH_FIELDS.into_iter().zip(given) {
        match given.map(|given| destination(given, &root, event.cwd, settings)) {
            Some(Err(why)) => return denied(refusal(field, why, &root)),
            Some(Ok(Some(moved))) => rewrite.push((field, moved)),
            _ => {}
        }
    }
    match rewrite.is_empty() {
        true => Answer::default(),
        false => Answer { reason: ["moved into ", shown(&root)].concat(), rewrite, ..Answer::default() },
    }
}

fn denied(reason: String) -> Answer {
    Answer { effect: Effect::Deny, reason, ..Answer::default() }
}

fn is_asked(tool: Option<&[u8]>, tools: &Option<Texts>) -> bool {
    match (tool, tools) {
        (Some(tool), Some(tools)) => tools.clone().any(|name| name == tool),
        (Some(tool), None) => TOOLS.contains(&tool),
        (None, _) => false,
    }
}

/// The setting as a normal path, if it is absolute.
fn root(given: &[u8]) -> Option<Vec<u8>> {
    given.strip_prefix(b"/").map(|rest| {
        let mut root = Vec::with_capacity(given.len() + 1);
        path::append(&mut root, 0, rest);
        root
    })
}

/// Where a path moves to, or None if it stays.
fn destination(given: &[u8], root: &[u8], cwd: Option<&[u8]>, settings: &Settings) -> Result<Option<Vec<u8>>, Refusal> {
    let start = start(given, cwd)?;
    let mut moved = Vec::with_capacity(root.len() + start.len() + given.len() + 2);
    moved.extend_from_slice(root);
    path::append(&mut moved, root.len(), start);
    path::append(&mut moved, root.len(), given);
    let normal = &moved[root.len()..];
    if settings.exempt.clone().is_some_and(|mut patterns| patterns.any(|pattern| glob::fits(pattern, normal))) {
        return Ok(None);
    }
    if path::is_below(normal, root) {
        return Ok(path::climbs(given).then(|| normal.to_vec()));
    }
    if normal.is_empty() || normal == root {
        return Err(("would be the folder itself", "name a file in "));
    }
    Ok(Some(moved))
}

/// The folder that a path starts at: none for an absolute one.
fn start<'a>(given: &[u8], cwd: Option<&'a [u8]>) -> Result<&'a [u8], Refusal> {
    const ABSOLUTE: &str = "give an absolute path, it is moved into ";
    match (given.first(), cwd) {
        (None, _) => Err(("is empty", ABSOLUTE)),
        (Some(b'~'), _) => Err(("starts with ~", ABSOLUTE)),
        _ if given.len() > LONGEST => Err(("is longer than 4096 bytes", "give a shorter path, it is moved into ")),
        (Some(b'/'), _) => Ok(b""),
        (_, Some(cwd)) if cwd.starts_with(b"/") && cwd.len() <= LONGEST => Ok(cwd),
        _ => Err(("starts at an unknown folder", ABSOLUTE)),
    }
}

fn refusal(field: &str, (wrong, instead): Refusal, root: &[u8]) -> String {
    [field, " ", wrong, ": ", instead, shown(root)].concat()
}

fn shown(root: &[u8]) -> &str {
    match root {
        b"" => "/",
        _ => utf8(root),
    }
}
