//! Moves the paths that tools write to into one folder: path-redirect, as an author writes it on the kit.
//!
//! What it must do is in `cases/` and in the README of `../../path-redirect`, whose rules are these.

use wasmguard_guest::glob;
use wasmguard_guest::prelude::*;

const FIELDS: [&str; 4] = ["file_path", "notebook_path", "path", "scriptPath"];
const LONGEST: usize = 4096; // bytes: PATH_MAX, and the most that the host accepts in a rewrite

#[derive(Deserialize)]
struct Settings<'a> {
    #[serde(default = "sandbox")]
    root: &'a str,
    #[serde(borrow, default = "writing")]
    tools: Vec<&'a str>,
    #[serde(borrow, default)]
    exempt: Vec<&'a str>,
}

fn sandbox() -> &'static str {
    "/sandbox"
}

fn writing<'a>() -> Vec<&'a str> {
    vec!["Write", "Edit", "NotebookEdit"]
}

policy!(redirect);

fn redirect(request: &Request) -> Answer {
    let settings: Settings = request.settings();
    if request.event_name() != "PreToolUse" {
        return Answer::pass();
    }
    let given = FIELDS.map(|field| request.input_text(field));
    if !settings.tools.contains(&request.tool_name()) {
        return Answer::pass();
    }
    if !settings.root.starts_with('/') {
        return Answer::deny("the setting `root` is no absolute path: the owner must set one");
    }
    let root = path::normal(settings.root);
    let mut answer = Answer::pass();
    for (field, given) in FIELDS.into_iter().zip(given) {
        let Some(given) = given else { continue };
        match destination(given, &root, request.cwd(), &settings.exempt) {
            Err((wrong, instead)) => return Answer::deny([field, " ", wrong, ": ", instead, &root].concat()),
            Ok(Some(moved)) => answer = answer.rewrite(field, moved).reason(["moved into ", &root].concat()),
            Ok(None) => {}
        }
    }
    answer
}

/// Why a path is denied: what is wrong with it, and what to do. The root follows.
type Refusal = (&'static str, &'static str);

/// Where a path moves to, or None if it stays.
fn destination(given: &str, root: &str, cwd: &str, exempt: &[&str]) -> Result<Option<String>, Refusal> {
    let normal = path::normal(&absolute(given, cwd)?);
    if exempt.iter().any(|pattern| glob::fits(pattern.as_bytes(), text(&normal).as_bytes())) {
        return Ok(None);
    }
    if normal != root && path::is_in(&normal, root) {
        let climbs = path::climbs(given.as_bytes()); // behind a link `..` leads elsewhere: it is written out
        return Ok(climbs.then_some(normal));
    }
    if normal == "/" || normal == root {
        return Err(("would be the folder itself", "name a file in "));
    }
    Ok(Some([root, &normal].concat()))
}

/// The path from the top: a relative one starts at the agent's folder.
fn absolute(given: &str, cwd: &str) -> Result<String, Refusal> {
    const ABSOLUTE: &str = "give an absolute path, it is moved into ";
    match given.as_bytes().first() {
        None => Err(("is empty", ABSOLUTE)),
        Some(b'~') => Err(("starts with ~", ABSOLUTE)),
        _ if given.len() > LONGEST => Err(("is longer than 4096 bytes", "give a shorter path, it is moved into ")),
        Some(b'/') => Ok(given.into()),
        _ if cwd.starts_with('/') && cwd.len() <= LONGEST => Ok([cwd, "/", given].concat()),
        _ => Err(("starts at an unknown folder", ABSOLUTE)),
    }
}

/// The normal path as patterns see it, to which the top is nothing.
fn text(normal: &str) -> &str {
    normal.strip_suffix('/').unwrap_or(normal)
}
