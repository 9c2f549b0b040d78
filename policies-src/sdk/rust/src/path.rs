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
