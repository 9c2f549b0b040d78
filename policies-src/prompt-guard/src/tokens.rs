//! Tokens that tell themselves apart by their shape: a prefix, and behind it so many characters of an alphabet.
//!
//! 1. A token begins where a word does: behind anything but a letter or digit, or behind an escape (`\n`, `%3D`, the
//!    colours of a terminal), which ends in one.
//! 2. What is behind the prefix has as many characters as issuers give it, and at least eight different ones: a
//!    placeholder (`ghp_xxxxxxxx…`) is no token.
//! 3. Where the prefix is nothing special (`sk-`), a stretch of twenty letters and digits in a row, of two sorts at
//!    least, must be there: names that people make up have hyphens and words.

use crate::secrets::{Found, Kind};

/// A shape: `least` characters of `alphabet` behind `prefix`, and what else must be true of them.
struct Shape {
    prefix: &'static [u8],
    kind: Kind,
    alphabet: fn(u8) -> bool,
    least: usize,
    more: fn(&[u8]) -> bool,
}

const fn shape(
    prefix: &'static str,
    kind: Kind,
    alphabet: fn(u8) -> bool,
    least: usize,
    more: fn(&[u8]) -> bool,
) -> Shape {
    Shape { prefix: prefix.as_bytes(), kind, alphabet, least, more }
}

/// Every prefix ends in `_` or `-`. The lengths are those of the issuers' documents, rounded down.
static SHAPES: [Shape; 38] = [
    shape("ghp_", Kind::GitHub, is_alnum, 36, any),
    shape("gho_", Kind::GitHub, is_alnum, 36, any),
    shape("ghu_", Kind::GitHub, is_alnum, 36, any),
    shape("ghs_", Kind::GitHub, is_alnum, 36, any),
    shape("ghr_", Kind::GitHub, is_alnum, 36, any),
    shape("github_pat_", Kind::GitHub, is_url, 36, any),
    shape("glpat-", Kind::GitLab, is_url, 20, any),
    shape("gldt-", Kind::GitLab, is_url, 20, any),
    shape("glrt-", Kind::GitLab, is_url, 20, any),
    shape("glrtr-", Kind::GitLab, is_url, 20, any),
    shape("glcbt-", Kind::GitLab, is_url, 20, any),
    shape("glptt-", Kind::GitLab, is_url, 40, any),
    shape("glft-", Kind::GitLab, is_url, 20, any),
    shape("glimt-", Kind::GitLab, is_url, 20, any),
    shape("glagent-", Kind::GitLab, is_url, 40, any),
    shape("gloas-", Kind::GitLab, is_url, 40, any),
    shape("glsoat-", Kind::GitLab, is_url, 20, any),
    shape("xoxb-", Kind::Slack, is_url, 24, is_numbered),
    shape("xoxp-", Kind::Slack, is_url, 24, is_numbered),
    shape("xoxa-", Kind::Slack, is_url, 24, is_numbered),
    shape("xoxr-", Kind::Slack, is_url, 24, is_numbered),
    shape("xoxs-", Kind::Slack, is_url, 24, is_numbered),
    shape("xoxe-", Kind::Slack, is_url, 24, is_numbered),
    shape("xoxc-", Kind::Slack, is_url, 24, is_numbered),
    shape("xapp-", Kind::Slack, is_url, 24, is_numbered),
    shape("sk-ant-", Kind::Anthropic, is_url, 24, has_stretch),
    shape("sk-", Kind::OpenAi, is_url, 32, is_of_openai),
    shape("sk_live_", Kind::Stripe, is_alnum, 16, any),
    shape("sk_test_", Kind::Stripe, is_alnum, 16, any),
    shape("rk_live_", Kind::Stripe, is_alnum, 16, any),
    shape("rk_test_", Kind::Stripe, is_alnum, 16, any),
    shape("sk_org_", Kind::Stripe, is_alnum, 16, any),
    shape("whsec_", Kind::Stripe, is_base64, 32, has_stretch),
    shape("npm_", Kind::Npm, is_alnum, 36, any),
    shape("pypi-", Kind::PyPi, is_url, 60, is_macaroon),
    shape("GOCSPX-", Kind::Google, is_url, 24, any),
    shape("hf_", Kind::HuggingFace, is_alnum, 34, any),
    shape("api_org_", Kind::HuggingFace, is_alnum, 34, any),
];

const LOOKED_AT: usize = 64; // bytes of a token that decide

/// The token whose prefix ends at `place`, where `_` or `-` stands.
pub fn behind(text: &[u8], place: usize) -> Option<Found> {
    let (until, body) = text.split_at(place + 1);
    let shape = SHAPES.iter().find(|shape| {
        let start = until.len().wrapping_sub(shape.prefix.len());
        until.ends_with(shape.prefix)
            && begins(text, start)
            && fits(body, shape.alphabet, shape.least)
            && (shape.more)(body)
    })?;
    let end = place + 1 + run(body, shape.alphabet);
    Some(Found { start: until.len() - shape.prefix.len(), end, kind: shape.kind })
}

/// The token that begins at `start` with an `A`: of AWS, or of Google's.
pub fn capital(text: &[u8], start: usize) -> Option<Found> {
    let (prefix, body) = text[start..].split_at_checked(4)?;
    let (kind, size) = match prefix {
        b"AKIA" | b"ASIA" | b"ABIA" | b"ACCA" => (Kind::Aws, fixed(body, is_capital, is_alnum, 16)?),
        b"AIza" => (Kind::Google, fixed(body, is_url, is_url, 35)?),
        _ => return None,
    };
    begins(text, start).then_some(Found { start, end: start + 4 + size, kind })
}

/// The JSON web token (RFC 7519) whose first part begins with the `eyJ` that ends at `place`: `{"` in base64.
pub fn web_token(text: &[u8], place: usize) -> Option<Found> {
    let start = place.checked_sub(2)?;
    if &text[start..=place] != b"eyJ" || start > 0 && matches!(text[start - 1], b'_' | b'-') || !begins(text, start) {
        return None;
    }
    let header = run(&text[start..], is_url);
    let payload = text[start + header..].strip_prefix(b".")?;
    let claims = run(payload, is_url);
    let signature = payload[claims..].strip_prefix(b".")?;
    let signed = run(signature, is_url);
    let whole = header >= 16 && payload.starts_with(b"eyJ") && claims >= 8 && signed >= 16;
    whole.then_some(Found { start, end: start + header + claims + signed + 2, kind: Kind::Jwt })
}

/// `size` characters of an alphabet, if no more of another one follow.
fn fixed(body: &[u8], alphabet: fn(u8) -> bool, outer: fn(u8) -> bool, size: usize) -> Option<usize> {
    let ends = body.get(size).is_none_or(|next| !outer(*next));
    (ends && fits(body, alphabet, size)).then_some(size)
}

fn fits(body: &[u8], alphabet: fn(u8) -> bool, least: usize) -> bool {
    body.get(..least).is_some_and(|begin| begin.iter().all(|byte| alphabet(*byte)) && is_varied(begin))
}

fn run(text: &[u8], alphabet: fn(u8) -> bool) -> usize {
    text.iter().position(|byte| !alphabet(*byte)).unwrap_or(text.len())
}

/// Whether at least eight different characters are there.
pub fn is_varied(text: &[u8]) -> bool {
    let seen = text.iter().fold(0u128, |seen, byte| seen | 1 << (byte & 127));
    seen.count_ones() >= 8
}

/// Whether a word may begin at `start`.
fn begins(text: &[u8], start: usize) -> bool {
    match &text[..start] {
        [] | [.., b'\\', b'n' | b'r' | b't'] => true,
        [.., b'%', one, other] if one.is_ascii_hexdigit() && other.is_ascii_hexdigit() => true,
        [before @ .., b'm'] => {
            let digits = before.iter().rev().take(12).take_while(|byte| matches!(byte, b'0'..=b'9' | b';')).count();
            before[..before.len() - digits].ends_with(b"[") // ESC [ 31 m, whatever was made of ESC
        }
        [.., before] => !is_alnum(*before),
    }
}

fn any(_: &[u8]) -> bool {
    true
}

fn is_numbered(body: &[u8]) -> bool {
    body[0].is_ascii_digit()
}

/// A macaroon of version 2 for pypi's own address or its test one begins so.
fn is_macaroon(body: &[u8]) -> bool {
    body.starts_with(b"AgE")
}

/// Whether twenty letters and digits follow each other, lower case, upper case and digits at least two of the three.
fn has_stretch(body: &[u8]) -> bool {
    let body = &body[..run(&body[..body.len().min(LOOKED_AT)], is_base64)];
    body.split(|byte| !is_alnum(*byte)).any(|stretch| {
        let sorts = [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit];
        stretch.len() >= 20 && sorts.iter().filter(|sort| stretch.iter().any(sort)).count() >= 2
    })
}

/// The same, but not Anthropic's.
fn is_of_openai(body: &[u8]) -> bool {
    !body.starts_with(b"ant-") && has_stretch(body)
}

pub fn is_alnum(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn is_url(byte: u8) -> bool {
    is_alnum(byte) || byte == b'_' || byte == b'-'
}

fn is_base64(byte: u8) -> bool {
    is_url(byte) || matches!(byte, b'+' | b'/' | b'=')
}

fn is_capital(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'0'..=b'9')
}

/// Whether a prefix may end at `place`.
#[inline]
pub fn may_end(text: &[u8], place: usize) -> bool {
    let mark = match text.get(place.wrapping_sub(2)..=place) {
        Some(end) => mark(end),
        None => return false,
    };
    MARKS[mark / 64] >> (mark % 64) & 1 == 1
}

/// A bit for what each prefix ends in: most places need no comparison.
static MARKS: [u64; 32] = marks();

const fn marks() -> [u64; 32] {
    let (mut marks, mut at) = ([0; 32], 0);
    while at < SHAPES.len() {
        let mark = mark(SHAPES[at].prefix);
        marks[mark / 64] |= 1 << (mark % 64);
        at += 1;
    }
    marks
}

/// A number below 2048 for the last three bytes, of which the last is `_` or `-`.
#[inline]
const fn mark(text: &[u8]) -> usize {
    match text {
        [.., one, two, three] => (*one as usize & 31) << 6 | (*two as usize & 31) << 1 | (*three as usize >> 6),
        _ => 0,
    }
}
