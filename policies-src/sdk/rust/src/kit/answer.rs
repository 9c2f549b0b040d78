//! An answer, put together by its author, and as the msgpack map that the host reads.

use rmp_serde::Serializer;
use serde::Serialize;

use crate::answer::{Effect, Out};
use crate::malformed;

/// What a policy says: an effect, and whatever is added to it.
///
/// ```ignore
/// Answer::deny("not on a Friday")
/// Answer::pass().rewrite("file_path", moved).reason("moved into /sandbox")
/// ```
#[must_use]
#[derive(Default)]
pub struct Answer {
    effect: Effect,
    reason: Option<String>,
    context: Option<String>,
    rewrite: Vec<(String, Vec<u8>)>,
    rewrite_output: Option<Vec<u8>>,
    interrupt: bool,
    permissions: Vec<Vec<u8>>,
    state: Option<Vec<u8>>,
    notes: Vec<String>,
}

impl Answer {
    /// No opinion: the agent goes on as it would without this policy.
    pub fn pass() -> Self {
        Answer::default()
    }

    /// The agent need not ask anybody. Counts as a pass unless the owner granted it.
    pub fn allow(reason: impl Into<String>) -> Self {
        Answer { effect: Effect::Allow, ..Answer::default() }.reason(reason)
    }

    /// A person decides.
    pub fn ask(reason: impl Into<String>) -> Self {
        Answer { effect: Effect::Ask, ..Answer::default() }.reason(reason)
    }

    /// It does not happen. On `Stop` and `SubagentStop`: the agent goes on working.
    pub fn deny(reason: impl Into<String>) -> Self {
        Answer { effect: Effect::Deny, ..Answer::default() }.reason(reason)
    }

    /// One line for the owner and the model.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Text for the model, where the event takes it.
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.context = Some(context.into());
        self
    }

    /// Puts `value` in the place of one field of the tool's input. Needs a grant for that tool and field.
    pub fn rewrite(mut self, field: impl Into<String>, value: impl Serialize) -> Self {
        let field = field.into();
        self.rewrite.retain(|(other, _)| *other != field); // a field twice would be no answer
        self.rewrite.push((field, packed(&value)));
        self
    }

    /// Puts `value` in the place of the tool's output: of all of it, or of an output that is a map the fields that
    /// `value` has. Needs a grant.
    pub fn rewrite_output(mut self, value: impl Serialize) -> Self {
        self.rewrite_output = Some(packed(&value));
        self
    }

    /// With a deny: the whole run ends, where the agent can do that.
    pub fn interrupt(mut self) -> Self {
        self.interrupt = true;
        self
    }

    /// A permission update that goes with an allow. Needs a grant. May be repeated.
    pub fn permission(mut self, update: impl Serialize) -> Self {
        self.permissions.push(packed(&update));
        self
    }

    /// What [`crate::kit::Request::state`] is at the next event; nothing at all forgets it. Needs a grant.
    pub fn remember(mut self, state: impl Into<Vec<u8>>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// A line for the record alone. May be repeated.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The answer as the host reads it: only what was said.
    pub fn encode(&self) -> Vec<u8> {
        let mut pairs = Said { out: Out::with_capacity(512), keys: 0 };
        pairs.key("effect").text(self.effect.word());
        if let Some(reason) = &self.reason {
            pairs.key("reason").text(reason);
        }
        if let Some(context) = &self.context {
            pairs.key("context").text(context);
        }
        if !self.rewrite.is_empty() {
            let out = pairs.key("rewrite").map(self.rewrite.len());
            self.rewrite.iter().for_each(|(field, value)| {
                out.text(field).raw(value);
            });
        }
        if let Some(value) = &self.rewrite_output {
            pairs.key("rewrite_output").raw(value);
        }
        if self.interrupt {
            pairs.key("interrupt").truth(true);
        }
        if !self.permissions.is_empty() {
            let out = pairs.key("permissions").list(self.permissions.len());
            self.permissions.iter().for_each(|update| {
                out.raw(update);
            });
        }
        if let Some(state) = &self.state {
            pairs.key("state").binary(state);
        }
        if !self.notes.is_empty() {
            let out = pairs.key("notes").list(self.notes.len());
            self.notes.iter().for_each(|note| {
                out.text(note);
            });
        }
        pairs.into_map()
    }
}

/// The pairs of a map whose number is known at its end.
struct Said {
    out: Out,
    keys: u8,
}

impl Said {
    fn key(&mut self, key: &str) -> &mut Out {
        if self.keys == 0 {
            self.out.map(0); // a byte for at most 15 pairs: there are nine keys
        }
        self.keys += 1;
        self.out.text(key)
    }

    fn into_map(self) -> Vec<u8> {
        let mut map = self.out.into_bytes();
        map[0] |= self.keys;
        map
    }
}

/// A value as msgpack, with structs as maps, as JSON has them.
fn packed(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::new(&mut bytes).with_struct_map().with_human_readable();
    value.serialize(&mut serializer).unwrap_or_else(|_| malformed());
    bytes
}
