//! Values that are assigned to a password, a token, a key: `password = "…"`, `"token": "…"`, `Authorization: Bearer …`.
//!
//! 1. What stands before the `=` or `:` is a name that ends in one of `NAMES`, in any case, with or without `_` and
//!    `-`: `DB_PASSWORD` and `apiKey` are, `tokenizer`, `token_url` and `secret_name` are not.
//! 2. What stands behind is one word, of 16 characters at least, that looks random: letters and a digit, eight
//!    different characters, and in every fifth place a change between lower case, upper case and digits. People's
//!    passwords rarely look so: they are not found.
//! 3. A call (`token = next(…)`), a reference (`$TOKEN`, `{{ token }}`) and a UUID are no secrets.

use crate::secrets::{Found, Kind};
use crate::tokens::{is_alnum, is_varied};

/// What a name ends in, without `_` and `-`.
#[rustfmt::skip]
const NAMES: [&[u8]; 13] = [
    b"password", b"passwd", b"passphrase", b"pwd", b"secret", b"token", b"apikey", b"accesskey", b"secretkey",
    b"authkey", b"privatekey", b"credentials", b"authorization",
];
/// What such a name may end in and mean no secret: where a long list goes on.
const NO_NAMES: [&[u8]; 3] = [b"nexttoken", b"pagetoken", b"continuationtoken"];
const NAME: usize = 64; // bytes before the sign, at the most
const LEAST: usize = 16;

/// The value behind the `=` or `:` at `sign`.
pub fn at(text: &[u8], sign: usize) -> Option<Found> {
    let is_comparison = text[sign..].starts_with(b"==");
    if is_comparison || !is_secret(name_before(&text[sign.saturating_sub(NAME)..sign])) {
        return None;
    }
    let mut start = sign + 1;
    start += text[start..].starts_with(b"=") as usize | text[start..].starts_with(b">") as usize; // := and =>
    start += count(&text[start..], |byte| matches!(byte, b' ' | b'\t'));
    start += count(&text[start..], |byte| matches!(byte, b'\\' | b'"' | b'\'' | b'`'));
    for scheme in [b"Bearer ".as_slice(), b"Basic ", b"token "] {
        start += if text[start..].starts_with(scheme) { scheme.len() } else { 0 };
    }
    let end = start + count(&text[start..], is_of_value);
    let is_call = matches!(text.get(end), Some(b'(' | b'[' | b'{'));
    let value = &text[start..end];
    (!is_call && is_random(value) && !is_uuid(value)).then_some(Found { start, end, kind: Kind::Assigned })
}

/// Whether the name before the `=` or `:` at `sign` may be one of `NAMES`, by its last two letters.
#[inline]
pub fn may_hang(text: &[u8], sign: usize) -> bool {
    let mut end = sign;
    while matches!(text[..end].last(), Some(b' ' | b'\t')) {
        end -= 1;
    }
    end -= text[..end].last().is_some_and(|byte| matches!(byte, b'"' | b'\'')) as usize;
    end -= (text[..end].last() == Some(&b'\\')) as usize;
    match &text[..end] {
        [.., one, two] => matches!(
            [one | 32, two | 32], // in lower case
            [b'r' | b'w', b'd'] | [b's', b'e'] | [b'e', b't' | b'n' | b'y'] | [b'l', b's'] | [b'o', b'n']
        ),
        _ => false,
    }
}

/// The name that ends `text`, without blanks and a quote behind it.
fn name_before(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii_end();
    let text = text.strip_suffix(b"\"").or(text.strip_suffix(b"'")).unwrap_or(text);
    let text = text.strip_suffix(b"\\").unwrap_or(text);
    let size = text.iter().rev().take_while(|byte| is_alnum(**byte) || matches!(byte, b'_' | b'-')).count();
    &text[text.len() - size..]
}

fn is_secret(name: &[u8]) -> bool {
    let backwards = || name.iter().rev().filter(|byte| !matches!(byte, b'_' | b'-')).map(u8::to_ascii_lowercase);
    let ends_in = |end: &&[u8]| backwards().take(end.len()).eq(end.iter().rev().copied());
    NAMES.iter().any(ends_in) && !NO_NAMES.iter().any(ends_in)
}

fn is_of_value(byte: u8) -> bool {
    byte.is_ascii_graphic() && !br#""'`,;<>()[]{}|\:=&$"#.contains(&byte)
}

fn is_random(value: &[u8]) -> bool {
    let sort = |byte: &u8| match byte {
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        b'0'..=b'9' => 3,
        _ => 0,
    };
    let has = |wanted: &dyn Fn(u8) -> bool| value.iter().any(|byte| wanted(*byte));
    let changes =
        value.windows(2).filter(|pair| sort(&pair[0]) * sort(&pair[1]) > 0 && sort(&pair[0]) != sort(&pair[1]));
    value.len() >= LEAST
        && has(&|byte| byte.is_ascii_digit())
        && has(&|byte| byte.is_ascii_alphabetic())
        && is_varied(value)
        && changes.count() * 5 >= value.len()
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36 && [8, 13, 18, 23].iter().all(|place| value[*place] == b'-')
}

fn count(text: &[u8], is: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|byte| !is(*byte)).unwrap_or(text.len())
}
