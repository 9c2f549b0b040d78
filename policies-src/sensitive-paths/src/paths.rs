//! Absolute paths, made of what somebody wrote.
//!
//! 1. `.`, `..` and doubled slashes are resolved in the text, relative paths begin at a folder that is given.
//! 2. `~` and `$HOME` are the home of somebody: the folder `~` among the homes. `~ann` is Ann's, `~root` is root's.
//! 3. Home folders are recognised by their place: below `home` or `Users`, `root` at the top or below `var`.
//! 4. A Windows path loses its drive, and its backslashes are slashes.

use alloc::vec::Vec;

use wasmguard_guest::path::append;

/// Folders at the top that homes are in.
pub const HOLDERS: [&[u8]; 3] = [b"home", b"Users", b"users"];

const HOMES: [&[u8]; 3] = [b"$HOME", b"${HOME}", b"$env:USERPROFILE"];
const HERE: [&[u8]; 2] = [b"$PWD", b"${PWD}"];

/// The normal path (`wasmguard_guest::path`) that `written` means in the folder `base`, which is one.
pub fn absolute(written: &[u8], base: &[u8]) -> Vec<u8> {
    let drive = matches!(written, [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic());
    let slashed: Vec<u8> = match drive {
        true => written[2..].iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect(),
        false => Vec::new(),
    };
    let written = if drive { &slashed } else { written };
    let mut path = Vec::with_capacity(base.len() + written.len() + 16);
    let rest = match written.first() {
        Some(b'/') => written,
        Some(b'~') => behind_home(&mut path, &written[1..]),
        _ => behind_variable(&mut path, written, base),
    };
    append(&mut path, 0, rest);
    path
}

/// Writes down the home of the user whose name `rest` begins with; returns what follows.
fn behind_home<'a>(path: &mut Vec<u8>, rest: &'a [u8]) -> &'a [u8] {
    let size = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    let (user, rest) = rest.split_at(size);
    if user != b"root" {
        append(path, 0, b"home");
    }
    append(path, 0, if user.is_empty() { b"~" } else { user });
    rest
}

fn behind_variable<'a>(path: &mut Vec<u8>, written: &'a [u8], base: &[u8]) -> &'a [u8] {
    let behind = |name: &[u8]| written.strip_prefix(name).filter(|rest| matches!(rest.first(), None | Some(b'/')));
    if let Some(rest) = HOMES.iter().find_map(|name| behind(name)) {
        return behind_home(path, rest);
    }
    path.extend_from_slice(base);
    HERE.iter().find_map(|name| behind(name)).unwrap_or(written)
}

/// The components of a normal path.
pub fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    path.split(|byte| *byte == b'/').filter(|component| !component.is_empty())
}
