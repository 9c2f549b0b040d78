//! Keeps secrets out of prompts, tool inputs and, where it may, tool outputs.
//!
//! `judge` holds the rules for events. `secrets` finds secrets in a text: `tokens` by the shape of a token, `blocks` by
//! that of a PEM block, `assignments` by what a value is assigned to. `redact` takes them out of a tool's output.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod assignments;
mod blocks;
mod judge;
mod redact;
mod secrets;
mod settings;
mod tokens;

use wasmguard_guest::answer::Answer;
use wasmguard_guest::{policy, request};

policy!(judge);

pub fn judge(bytes: &[u8]) -> Answer {
    let (event, settings) = request::read(bytes, settings::Settings::read);
    judge::judge(&event, &settings)
}
