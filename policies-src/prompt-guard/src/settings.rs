//! What the owner sets.

use alloc::vec::Vec;

use wasmguard_guest::request::{once, Reader, Texts};

#[derive(Default)]
pub struct Settings<'a> {
    /// Words that no prompt and no tool input may contain.
    pub words: Vec<&'a [u8]>,
    /// Words that are taken out of tool outputs.
    pub redact_words: Vec<&'a [u8]>,
    /// Names of kinds that are not looked for.
    pub ignore: Vec<&'a [u8]>,
    /// Whether values are looked for that are assigned to a password, a token, …
    pub assignments: bool,
    /// Whether outputs are rewritten.
    pub redact: bool,
    /// Whether a human may decide about prompts and inputs.
    pub asks: bool,
}

impl<'a> Settings<'a> {
    pub fn read(reader: &mut Reader<'a>) -> Self {
        let (mut words, mut redact_words, mut ignore) = (None, None, None);
        let (mut assignments, mut redact, mut action) = (None, None, None);
        for _ in 0..reader.map() {
            match reader.text() {
                b"words" => once(&mut words, Texts::read(reader)),
                b"redact_words" => once(&mut redact_words, Texts::read(reader)),
                b"ignore" => once(&mut ignore, Texts::read(reader)),
                b"assignments" => once(&mut assignments, reader.truth()),
                b"redact" => once(&mut redact, reader.truth()),
                b"action" => once(&mut action, reader.text()),
                _ => reader.skip(),
            }
        }
        Settings {
            words: said(words),
            redact_words: said(redact_words),
            ignore: said(ignore),
            assignments: assignments.unwrap_or(false),
            redact: redact.unwrap_or(false),
            asks: action == Some(b"ask"), // any other word is the stricter one
        }
    }
}

/// The texts of a list that say something.
fn said<'a>(texts: Option<Texts<'a>>) -> Vec<&'a [u8]> {
    texts.into_iter().flatten().filter(|text| !text.is_empty()).collect()
}
