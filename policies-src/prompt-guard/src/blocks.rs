//! Private keys in PEM (RFC 7468): `-----BEGIN … PRIVATE KEY-----`, lines of base64, `-----END … PRIVATE KEY-----`.
//!
//! 1. The header alone is no key, as it stands in programs that look for one: base64 must follow, 32 characters in a
//!    row.
//! 2. A key goes to its end line. If there is none before the next dashes, it goes as far as such a block can: what
//!    came first in an output that was cut is found, what came last is not.
//! 3. In between may stand what a diff, a search or JSON put there: line numbers, `+`, `\n`.

use wasmguard_guest::scan::{Places, Set};

use crate::secrets::{Found, Kind};
use crate::tokens::is_alnum;

const DASHES: &[u8] = b"-----";
const LABEL: usize = 64; // bytes of `RSA PRIVATE KEY`, at the most

/// The block whose first dashes begin at `place`.
pub fn at(text: &[u8], place: usize) -> Option<Found> {
    let label = behind_dashes(text, place);
    let start = label.checked_sub(DASHES.len()).filter(|start| *start >= place)?; // a diff puts one more before them
    let body = label + labelled(&text[label..], b"BEGIN ")?;
    let close = next_dashes(text, body);
    let end = match labelled(&text[(close + DASHES.len()).min(text.len())..], b"END ") {
        Some(size) => close + DASHES.len() + size,
        None => body + body_size(&text[body..close]),
    };
    has_base64(&text[body..end]).then_some(Found { start, end, kind: Kind::PrivateKey })
}

/// Where the dashes end that begin at `place`.
pub fn behind_dashes(text: &[u8], place: usize) -> usize {
    place + text[place..].iter().take_while(|byte| **byte == b'-').count()
}

/// The size of `BEGIN … PRIVATE KEY-----` at the beginning of `text`.
fn labelled(text: &[u8], word: &[u8]) -> Option<usize> {
    let near = &text[..text.len().min(LABEL)];
    let size = near.windows(DASHES.len()).position(|window| window == DASHES)?;
    let label = near[..size].strip_prefix(word)?;
    let label = label.strip_suffix(b" BLOCK").unwrap_or(label); // PGP's
    label.ends_with(b"PRIVATE KEY").then_some(size + DASHES.len())
}

/// Where the next five dashes begin, or the end.
fn next_dashes(text: &[u8], from: usize) -> usize {
    const DASH: Set = Set::of(b"-");
    let rest = &text[from..];
    let place = Places::new(rest, &DASH).find(|place| rest[*place..].starts_with(DASHES));
    from + place.unwrap_or(rest.len())
}

/// How far a block without an end goes. Blanks stand only where lines begin, and behind the colon of a header.
fn body_size(body: &[u8]) -> usize {
    let may = |place: usize| match body[place] {
        b' ' => place == 0 || matches!(body[place - 1], b' ' | b'\n' | b':'),
        byte => {
            is_alnum(byte) || matches!(byte, b'+' | b'/' | b'=' | b'\\' | b'\n' | b'\r' | b'\t' | b':' | b',' | b'-')
        }
    };
    (0..body.len()).find(|place| !may(*place)).unwrap_or(body.len())
}

fn has_base64(body: &[u8]) -> bool {
    let is_base64 = |byte: &u8| is_alnum(*byte) || matches!(byte, b'+' | b'/' | b'=');
    body.split(|byte| !is_base64(byte)).any(|stretch| stretch.len() >= 32)
}
