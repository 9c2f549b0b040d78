//! Finds secrets in a text: one pass over it, that stops only at bytes which a secret may hang on.
//!
//! 1. Every kind has bytes that it hangs on: a token one in its prefix, a private key the dashes before it, an assigned
//!    value the `=` or `:` before it, a word its first letter. Between them the text is stepped over.
//! 2. What is found is stepped over too, so two finds never overlap; the first one wins, and where an assigned value
//!    begins with a token, the token.
//! 3. A notice that stands where a secret was is left alone, whatever the words of the list. So an output that was
//!    rewritten is not rewritten again.
//! 4. What is looked at for one place is bounded, or is looked at for no other: the time is linear in the text.

use wasmguard_guest::scan::{Places, Set};

use crate::{assignments, blocks, tokens};

/// What a secret is. The names are those that the setting `ignore` knows, and that stand in reasons and notes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Aws,
    GitHub,
    GitLab,
    Slack,
    OpenAi,
    Anthropic,
    Stripe,
    Npm,
    PyPi,
    Google,
    HuggingFace,
    Jwt,
    PrivateKey,
    Assigned,
    Word,
}

#[rustfmt::skip]
const KINDS: [Kind; 15] = [
    Kind::Aws, Kind::GitHub, Kind::GitLab, Kind::Slack, Kind::OpenAi, Kind::Anthropic, Kind::Stripe, Kind::Npm,
    Kind::PyPi, Kind::Google, Kind::HuggingFace, Kind::Jwt, Kind::PrivateKey, Kind::Assigned, Kind::Word,
];

impl Kind {
    /// Its name in the settings, and for people.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Kind::Aws => ("aws", "aws access key"),
            Kind::GitHub => ("github", "github token"),
            Kind::GitLab => ("gitlab", "gitlab token"),
            Kind::Slack => ("slack", "slack token"),
            Kind::OpenAi => ("openai", "openai api key"),
            Kind::Anthropic => ("anthropic", "anthropic api key"),
            Kind::Stripe => ("stripe", "stripe key"),
            Kind::Npm => ("npm", "npm token"),
            Kind::PyPi => ("pypi", "pypi token"),
            Kind::Google => ("google", "google api key"),
            Kind::HuggingFace => ("huggingface", "hugging face token"),
            Kind::Jwt => ("jwt", "json web token"),
            Kind::PrivateKey => ("private-key", "private key"),
            Kind::Assigned => ("assignments", "assigned secret"),
            Kind::Word => ("words", "word of the owner's list"),
        }
    }
}

/// A secret: `text[start..end]`.
#[derive(Clone, Copy)]
pub struct Found {
    pub start: usize,
    pub end: usize,
    pub kind: Kind,
}

const LONGEST_NOTICE: usize = 40;
const HOOKS: &[u8] = b"-_AJ"; // what tokens and private keys hang on

/// What is looked for.
pub struct Search<'a> {
    words: &'a [&'a [u8]],
    ignore: &'a [&'a [u8]],
    assignments: bool,
    firsts: Set,  // of words, in both cases,
    seconds: Set, // and what may follow those
    set: Set,     // every byte that something hangs on
}

impl<'a> Search<'a> {
    pub fn new(words: &'a [&'a [u8]], ignore: &'a [&'a [u8]], assignments: bool) -> Self {
        let mut search =
            Search { words, ignore, assignments, firsts: Set::of(b""), seconds: Set::of(b""), set: Set::of(HOOKS) };
        for word in words {
            for byte in both(word[0]) {
                search.firsts.put(byte);
                search.set.put(byte);
            }
            match word.get(1) {
                Some(byte) => both(*byte).into_iter().for_each(|byte| search.seconds.put(byte)),
                None => search.seconds = Set::ALL,
            }
        }
        if assignments {
            search.set.put(b'=');
            search.set.put(b':');
        }
        search
    }

    /// The secrets in a text, in their order.
    pub fn all<'s>(&'s self, text: &'s [u8]) -> impl Iterator<Item = Found> + 's {
        let mut places = Places::new(text, &self.set);
        let mut done = 0; // where the last one ended
        core::iter::from_fn(move || loop {
            let place = places.next()?;
            if !self.may_hang(text, place) {
                continue;
            }
            if let Some(found) = self.at(text, place) {
                let start = found.start.max(done); // a word may be what a token begins with: the rest goes too
                done = found.end;
                places.skip_to(done);
                return Some(Found { start, ..found });
            }
            if text[place] == b'-' && !self.firsts.has(b'-') {
                places.skip_to(blocks::behind_dashes(text, place)); // a ruler of a thousand dashes is one place
            }
        })
    }

    /// Whether to look closer: most bytes that something could hang on are ruled out by their neighbours.
    #[inline]
    fn may_hang(&self, text: &[u8], place: usize) -> bool {
        let next = text.get(place + 1).copied().unwrap_or_default();
        let shaped = match text[place] {
            b'_' => tokens::may_end(text, place),
            b'-' => next == b'-' || tokens::may_end(text, place),
            b'A' => matches!(next, b'K' | b'S' | b'B' | b'C' | b'I'),
            b'J' => place >= 2 && text[place - 1] == b'y' && text[place - 2] == b'e',
            b'=' | b':' => self.assignments && assignments::may_hang(text, place),
            _ => false,
        };
        shaped || self.firsts.has(text[place]) && self.seconds.has(next)
    }

    /// The secret that hangs on the byte at `place`.
    fn at(&self, text: &[u8], place: usize) -> Option<Found> {
        let byte = text[place];
        let shaped = match byte {
            b'-' => blocks::at(text, place).or_else(|| tokens::behind(text, place)),
            b'_' => tokens::behind(text, place),
            b'A' => tokens::capital(text, place),
            b'J' => tokens::web_token(text, place),
            b'=' | b':' if self.assignments => assignments::at(text, place).map(|value| self.narrowed(text, value)),
            _ => None,
        };
        let wanted = shaped.filter(|found| !self.ignore.contains(&found.kind.names().0.as_bytes()));
        wanted.or_else(|| if self.firsts.has(byte) { self.word(text, place) } else { None })
    }

    fn word(&self, text: &[u8], start: usize) -> Option<Found> {
        if notice_around(text, start) {
            return None;
        }
        let rest = &text[start..];
        let fits = |word: &&&[u8]| rest.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
        let word = self.words.iter().find(fits)?;
        Some(Found { start, end: start + word.len(), kind: Kind::Word })
    }

    /// The token inside an assigned value, if there is one: it says more.
    fn narrowed(&self, text: &[u8], value: Found) -> Found {
        let tokens = Search { ignore: self.ignore, ..Search::new(&[], &[], false) };
        let inside = tokens.all(&text[value.start..value.end]).next();
        inside.map_or(value, |token| Found { start: value.start + token.start, end: value.start + token.end, ..token })
    }
}

/// What stands before and behind the name of a kind where a secret was.
pub const NOTICE: (&[u8], &[u8]) = (b"[redacted: ", b"]");

/// Whether the byte at `place` is part of a notice.
fn notice_around(text: &[u8], place: usize) -> bool {
    let Some(back) = text[place.saturating_sub(LONGEST_NOTICE)..=place].iter().rev().position(|byte| *byte == b'[')
    else {
        return false;
    };
    let Some(said) = text[place - back..].strip_prefix(NOTICE.0) else { return false };
    let ends =
        |kind: &Kind| said.strip_prefix(kind.names().1.as_bytes()).is_some_and(|rest| rest.starts_with(NOTICE.1));
    KINDS
        .iter()
        .find(|kind| ends(kind))
        .is_some_and(|kind| back < NOTICE.0.len() + kind.names().1.len() + NOTICE.1.len())
}

fn both(byte: u8) -> [u8; 2] {
    [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()]
}
