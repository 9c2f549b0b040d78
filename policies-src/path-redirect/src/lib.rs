//! Moves the paths that tools write to into one folder: `redirect` holds the rules, `settings` what the owner sets.

#![no_std]

extern crate alloc;

mod redirect;
mod settings;

use wasmguard_guest::answer::Answer;
use wasmguard_guest::{policy, request};

policy!(judge);

fn judge(bytes: &[u8]) -> Answer {
    let (event, settings) = request::read(bytes, settings::Settings::read);
    redirect::judge(&event, &settings)
}
