//! A request: one event, what the owner set, and what the policy remembers.
//!
//! 1. What is not a request of ABI 1 traps: `abi`, `event`, `settings` or `state` missing, twice or of another type,
//!    bytes left over, and whatever `raw` refuses. The host makes that a deny.
//! 2. So does a value that is read as something it is not; a value that nobody reads is stepped over.

use serde::Deserialize;

use super::raw::{Pairs, Raw};
use crate::request::once;
use crate::{malformed, utf8};

/// What the host asks about. All that is read from it borrows from it.
pub struct Request<'a> {
    event: Raw<'a>,
    settings: Raw<'a>,
    state: Option<&'a [u8]>,
    name: &'a str,
    tool: &'a str,
    cwd: &'a str,
    input: Option<Raw<'a>>,
}

impl<'a> Request<'a> {
    /// Reads all of `bytes`.
    pub fn read(bytes: &'a [u8]) -> Self {
        let (mut abi, mut event, mut settings, mut state) = (None, None, None, None);
        let mut pairs = Pairs::of(bytes);
        for (key, value) in &mut pairs {
            match key {
                b"abi" => once(&mut abi, value),
                b"event" => once(&mut event, value),
                b"settings" => once(&mut settings, value),
                b"state" => once(&mut state, value),
                _ => {}
            }
        }
        let (Some(abi), Some(event), Some(settings), Some(state)) = (abi, event, settings, state) else { malformed() };
        let state = (!state.is_nil()).then(|| state.binary().unwrap_or_else(|| malformed()));
        if abi.small() != Some(1) || !settings.is_map() || !pairs.rest().is_empty() {
            malformed()
        }
        Request::about(event, settings, state)
    }

    fn about(event: Raw<'a>, settings: Raw<'a>, state: Option<&'a [u8]>) -> Self {
        let (mut name, mut tool, mut cwd, mut input) = (None, None, None, None);
        for (key, value) in event.pairs().filter(|(_, value)| !value.is_nil()) {
            match key {
                b"hook_event_name" => once(&mut name, text(value)),
                b"tool_name" => once(&mut tool, text(value)),
                b"cwd" => once(&mut cwd, text(value)),
                b"tool_input" => once(&mut input, value),
                _ => {}
            }
        }
        let (name, tool, cwd) = (name.unwrap_or_default(), tool.unwrap_or_default(), cwd.unwrap_or_default());
        Request { event, settings, state, name, tool, cwd, input }
    }

    /// What happens: `PreToolUse`, `UserPromptSubmit`, … Empty if the event has no name.
    pub fn event_name(&self) -> &'a str {
        self.name
    }

    /// The tool that is called. Empty if the event is about none.
    pub fn tool_name(&self) -> &'a str {
        self.tool
    }

    /// The folder that the agent works in, where relative paths start. Empty if that is unknown.
    pub fn cwd(&self) -> &'a str {
        self.cwd
    }

    /// A text of the tool's input; none if it has no such field, or something else stands there.
    pub fn input_text(&self, field: &str) -> Option<&'a str> {
        self.input?.at(field)?.text().map(utf8)
    }

    /// The tool's input as a type of yours; none if the event has no input. Traps if it is not of this type.
    pub fn input<T: Deserialize<'a>>(&self) -> Option<T> {
        self.input.map(typed)
    }

    /// The whole event as a type of yours, with Claude Code's names of fields. Traps if it is not of this type.
    pub fn event<T: Deserialize<'a>>(&self) -> T {
        typed(self.event)
    }

    /// One field of the event, such as `prompt`; none if it is absent or nil. Traps if it is not of this type.
    pub fn field<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        self.event.at(name).filter(|value| !value.is_nil()).map(typed)
    }

    /// All settings as a type of yours. What the owner leaves out has the manifest's default, or is absent. Traps if
    /// they are not of this type.
    pub fn settings<T: Deserialize<'a>>(&self) -> T {
        typed(self.settings)
    }

    /// One setting: `request.setting::<bool>("strict")`; none if it is absent. Traps if it is not of this type.
    pub fn setting<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        self.settings.at(name).map(typed)
    }

    /// What the policy remembered at its last event; none at the first.
    pub fn state(&self) -> Option<&'a [u8]> {
        self.state
    }
}

fn text(value: Raw<'_>) -> &str {
    utf8(value.text().unwrap_or_else(|| malformed()))
}

fn typed<'a, T: Deserialize<'a>>(value: Raw<'a>) -> T {
    T::deserialize(value).unwrap_or_else(|_| malformed())
}
