//! Patterns for paths: `?` is one character and `*` any number of them, but no `/`; `**` is anything, and `/**/` is
//! anything between two `/`, or a single `/`. Every other character is itself.

/// Where to go on when something does not fit: the pattern behind a star, and how far that star has taken the path.
type Retry = Option<(usize, usize)>;

/// Whether all of `path` fits `pattern`.
///
/// When something does not fit, the last star takes one character more; when that would be a `/`, the last double star
/// does. Stars before those never need to change: whatever else they could take, the later one can take too.
pub fn fits(pattern: &[u8], path: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let (mut star, mut stars): (Retry, Retry) = (None, None);
    loop {
        if pattern[p..].starts_with(b"**") {
            p = behind_stars(pattern, p);
            (star, stars) = (None, Some((p, t)));
        } else if pattern.get(p) == Some(&b'*') {
            p += 1;
            star = Some((p, t));
        } else if let Some(size) = step(pattern.get(p), &path[t..]) {
            (p, t) = (p + 1, t + size);
        } else if p == pattern.len() && t == path.len() {
            return true;
        } else if let Some(again) = star.and_then(|last| more(last, path)) {
            (p, t) = again;
            star = Some(again);
        } else if let Some(again) = stars.and_then(|last| much_more(last, pattern, path)) {
            (p, t) = again;
            (star, stars) = (None, Some(again));
        } else {
            return false;
        }
    }
}

/// How many bytes of `path` one character of a pattern covers, if it does.
fn step(wanted: Option<&u8>, path: &[u8]) -> Option<usize> {
    match (wanted?, path.first()?) {
        (b'?', b'/') => None,
        (b'?', _) => Some(1 + path[1..].iter().take_while(|byte| **byte & 0xc0 == 0x80).count()), // the rest of UTF-8
        (wanted, byte) => (wanted == byte).then_some(1),
    }
}

/// The star takes one byte more, if there is one and it is no `/`.
fn more((p, taken): (usize, usize), path: &[u8]) -> Retry {
    (*path.get(taken)? != b'/').then_some((p, taken + 1))
}

/// The double star takes one byte more; if it is a whole component, everything up to the next `/`.
fn much_more((p, taken): (usize, usize), pattern: &[u8], path: &[u8]) -> Retry {
    let whole = pattern[p - 1] == b'/';
    let left = path.get(taken..).filter(|left| !left.is_empty())?;
    let size = if whole { left.iter().position(|byte| *byte == b'/')? } else { 0 };
    Some((p, taken + size + 1))
}

/// Where the pattern goes on behind the stars at `p`; if they are a whole component, their `/` belongs to them.
fn behind_stars(pattern: &[u8], p: usize) -> usize {
    let end = p + pattern[p..].iter().take_while(|byte| **byte == b'*').count();
    let whole = p > 0 && pattern[p - 1] == b'/' && pattern.get(end) == Some(&b'/');
    end + whole as usize
}
