//! Moves the paths that tools write to into one folder: guest ABI 1, no imports, no std.
//!
//! `redirect` holds the rules; `request` and `answer` are msgpack in and out; `path` and `glob` know nothing of either.
//!
//! A request that cannot be read is answered by a trap, never by a verdict: the host makes that a deny. So there are no
//! errors to pass around, and no panic message is ever built.

#![no_std]

extern crate alloc;

mod answer;
mod glob;
mod heap;
mod path;
mod redirect;
mod request;

use core::arch::wasm32::unreachable;
use core::slice;

use crate::request::Request;

#[global_allocator]
static HEAP: heap::Bump = heap::Bump;

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo) -> ! {
    unreachable()
}

/// Ends the evaluation without an answer: what the host gave us is not a request of this ABI.
#[cold]
pub fn malformed() -> ! {
    unreachable()
}

#[no_mangle]
pub extern "C" fn wasmguard_abi_1() {}

/// Where the host may write `size` bytes; null if there is no room.
#[no_mangle]
pub extern "C" fn wasmguard_alloc(size: usize) -> *mut u8 {
    heap::take(size, 1)
}

/// # Safety
/// `start` comes from `wasmguard_alloc(size)` and the host has written all `size` bytes.
#[no_mangle]
pub unsafe extern "C" fn wasmguard_evaluate(start: *const u8, size: usize) -> u64 {
    let request = Request::read(slice::from_raw_parts(start, size));
    let answer = answer::encode(&redirect::judge(&request)).leak();
    (answer.as_ptr() as u64) << 32 | answer.len() as u64
}
