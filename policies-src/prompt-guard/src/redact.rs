//! Takes secrets out of a tool's output: the same value, with `[redacted: github token]` where a secret was.
//!
//! 1. Texts change wherever they stand; numbers, keys and the shape stay. Of a map only the changed top-level fields
//!    are answered, anything else whole.
//! 2. A secret in a key stays, because the agent would drop an output with another key. It is reported like any other.

use alloc::vec::Vec;

use wasmguard_guest::answer::Out;
use wasmguard_guest::request::{Reader, Walk};
use wasmguard_guest::utf8;

use crate::secrets::{Found, Search, NOTICE};

/// What has changed of an output: one msgpack value, or None if nothing did.
pub fn redacted(output: &[u8], search: &Search) -> Option<Vec<u8>> {
    let mut reader = Reader::new(output);
    if !reader.is_map() {
        return rewritten(output, search);
    }
    let (mut changed, mut fields) = (0, Vec::new());
    for _ in 0..reader.map() {
        let (key, value) = (reader.value(), reader.value());
        if let Some(value) = rewritten(value, search) {
            changed += 1;
            fields.extend_from_slice(key);
            fields.extend_from_slice(&value);
        }
    }
    let mut out = Out::with_capacity(fields.len() + 8);
    (changed > 0).then(|| {
        out.map(changed).raw(&fields);
        out.into_bytes()
    })
}

/// A value without its secrets, or None if it has none that can go.
fn rewritten(value: &[u8], search: &Search) -> Option<Vec<u8>> {
    let mut out: Option<Out> = None;
    let mut done = 0; // bytes of the value that were walked over
    for step in Walk::new(value) {
        let text = step.text.filter(|_| !step.is_key).unwrap_or_default();
        let found: Vec<Found> = search.all(text).collect();
        if !found.is_empty() {
            let out = out.get_or_insert_with(|| begun(value, done));
            out.text(utf8(&without(text, &found)));
        } else if let Some(out) = &mut out {
            out.raw(step.raw);
        }
        done += step.raw.len();
    }
    out.map(Out::into_bytes)
}

/// The first bytes of a value, and room for the rest.
fn begun(value: &[u8], done: usize) -> Out {
    let mut out = Out::with_capacity(value.len() + value.len() / 8 + 64);
    out.raw(&value[..done]);
    out
}

fn without(text: &[u8], found: &[Found]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len() + 40 * found.len());
    let mut from = 0;
    for secret in found {
        kept.extend_from_slice(&text[from..secret.start]);
        kept.extend_from_slice(NOTICE.0);
        kept.extend_from_slice(secret.kind.names().1.as_bytes());
        kept.extend_from_slice(NOTICE.1);
        from = secret.end;
    }
    kept.extend_from_slice(&text[from..]);
    kept
}
