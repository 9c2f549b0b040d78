//! An answer as the msgpack map that the host reads.

use alloc::string::String;
use alloc::vec::Vec;

use rmp::encode::{write_array_len, write_map_len, write_str, ByteBuf};

use crate::{malformed, utf8};

/// From the weakest to the strictest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    #[default]
    Pass,
    Allow,
    Ask,
    Deny,
}

/// What a policy says. The default is a pass that says nothing.
#[derive(Default)]
pub struct Answer {
    pub effect: Effect,
    pub reason: String,
    /// What the model reads when nothing is stopped.
    pub context: String,
    /// Fields of the tool's input, and the text that stands there from now on.
    pub rewrite: Vec<(&'static str, Vec<u8>)>,
    /// The new output, or of an output that is a map the changed fields: one msgpack value.
    pub rewrite_output: Option<Vec<u8>>,
    pub notes: Vec<String>,
}

impl Answer {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Out::with_capacity(256 + self.rewrite_output.as_ref().map_or(0, Vec::len)); // most; it may grow
        let texts = [("reason", &self.reason), ("context", &self.context)];
        let said = texts.iter().filter(|(_, text)| !text.is_empty());
        let lists = [!self.rewrite.is_empty(), self.rewrite_output.is_some(), !self.notes.is_empty()];
        out.map(1 + said.clone().count() + lists.iter().filter(|list| **list).count());
        out.text("effect").text(self.effect.word());
        said.for_each(|(key, text)| {
            out.text(key).text(text);
        });
        if !self.rewrite.is_empty() {
            out.text("rewrite").map(self.rewrite.len());
            self.rewrite.iter().for_each(|(field, value)| {
                out.text(field).text(utf8(value));
            });
        }
        if let Some(value) = &self.rewrite_output {
            out.text("rewrite_output").raw(value);
        }
        if !self.notes.is_empty() {
            out.text("notes").list(self.notes.len());
            self.notes.iter().for_each(|note| {
                out.text(note);
            });
        }
        out.into_bytes()
    }
}

impl Effect {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Effect::Pass => "pass",
            Effect::Allow => "allow",
            Effect::Ask => "ask",
            Effect::Deny => "deny",
        }
    }
}

/// Msgpack values, one behind the other. A map or a list is its size, and then what is in it.
pub struct Out(ByteBuf);

impl Out {
    pub fn with_capacity(size: usize) -> Self {
        Out(ByteBuf::with_capacity(size))
    }

    pub fn map(&mut self, pairs: usize) -> &mut Self {
        write_map_len(&mut self.0, pairs as u32).unwrap_or_else(|_| malformed());
        self
    }

    pub fn list(&mut self, items: usize) -> &mut Self {
        write_array_len(&mut self.0, items as u32).unwrap_or_else(|_| malformed());
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        write_str(&mut self.0, text).unwrap_or_else(|_| malformed());
        self
    }

    #[cfg(feature = "serde")]
    pub fn truth(&mut self, truth: bool) -> &mut Self {
        rmp::encode::write_bool(&mut self.0, truth).unwrap_or_else(|_| malformed());
        self
    }

    #[cfg(feature = "serde")]
    pub fn binary(&mut self, bytes: &[u8]) -> &mut Self {
        rmp::encode::write_bin(&mut self.0, bytes).unwrap_or_else(|_| malformed());
        self
    }

    /// Bytes that are msgpack already.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.as_mut_vec().extend_from_slice(bytes);
        self
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_vec()
    }
}
