//! Absolute paths, worked on as text: there is no file system here, so links are not followed.
//!
//! A normal path is empty (the top) or `/` and a component, any number of times; no component is empty, `.` or `..`.

use alloc::vec::Vec;

/// Appends the components of `path` to `normal`, which holds a normal path behind its first `floor` bytes.
/// `..` takes a component away and never goes below the floor, as above `/` there is only `/`.
pub fn append(normal: &mut Vec<u8>, floor: usize, path: &[u8]) {
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => normal.truncate(parent(normal, floor)),
            _ => {
                normal.push(b'/');
                normal.extend_from_slice(component);
            }
        }
    }
}

fn parent(normal: &[u8], floor: usize) -> usize {
    normal[floor..].iter().rposition(|byte| *byte == b'/').map_or(floor, |slash| floor + slash)
}

/// Whether the normal `path` is below the normal `root`: with its separator, so `/sandboxed` is not in `/sandbox`.
pub fn is_below(path: &[u8], root: &[u8]) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// Whether a component of `path` is `..`. What such a path means depends on links.
pub fn climbs(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|component| component == b"..")
}

/// An absolute path with its `.`, `..` and doubled slashes resolved; the top is `/`. Any other path stays as it is:
/// where it starts is not known here.
#[cfg(feature = "serde")]
pub fn normal(path: &str) -> String {
    let mut normal = Vec::with_capacity(path.len() + 1);
    match path.starts_with('/') {
        true => append(&mut normal, 0, path.as_bytes()),
        false => return String::from(path),
    }
    if normal.is_empty() {
        normal.push(b'/');
    }
    String::from_utf8(normal).unwrap_or_else(|_| crate::malformed())
}

/// Whether `path` is the folder or below it, as text: `/etcetera` is not in `/etc`. Resolve both first.
#[cfg(feature = "serde")]
pub fn is_in(path: &str, folder: &str) -> bool {
    let folder = folder.strip_suffix('/').unwrap_or(folder);
    path == folder || is_below(path.as_bytes(), folder.as_bytes())
}
