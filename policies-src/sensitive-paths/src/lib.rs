//! Denies or asks where a tool or a command touches paths that matter to the machine or to its owner.
//!
//! `judge` holds the rules. `paths` makes absolute paths of what is written, `patterns` compares them with the lists,
//! `shell` splits command lines, and `commands` says which of their words are paths, and what is done to them.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod commands;
mod judge;
mod paths;
mod patterns;
mod settings;
mod shell;

use wasmguard_guest::answer::Answer;
use wasmguard_guest::{policy, request};

policy!(judge);

pub fn judge(bytes: &[u8]) -> Answer {
    let (event, said) = request::read(bytes, settings::Said::read);
    judge::judge(&event, said)
}
