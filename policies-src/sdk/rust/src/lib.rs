//! What a policy in Rust stands on: guest ABI 1, no imports.
//!
//! With the feature `serde` it is the kit of README.md: `use wasmguard_guest::prelude::*`. Without, and without std, it
//! is what that stands on: `request` and `answer` are msgpack in and out; `heap` hands out memory; `scan` looks for
//! bytes; `path` and `glob` know paths as text. There a policy is a function from the bytes of a request to an
//! `answer::Answer`, named once: `policy!(judge)`.
//!
//! A request that cannot be read is answered by a trap, never by a verdict: the host makes that a deny. So there are no
//! errors to pass around, and no panic message is ever built.
//!
//! Built for another target than wasm, where its tests run, a trap is a panic.

#![cfg_attr(all(target_arch = "wasm32", not(feature = "serde")), no_std)]

extern crate alloc;

pub mod answer;
pub mod glob;
#[cfg(target_arch = "wasm32")]
pub mod heap;
#[cfg(feature = "serde")]
pub mod kit;
pub mod path;
#[cfg(feature = "serde")]
pub mod prelude;
pub mod request;
pub mod scan;

/// Ends the evaluation without an answer: what the host gave us is not a request of this ABI.
#[cold]
pub fn malformed() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    panic!("malformed");
}

/// The same bytes as text. Traps if they are not UTF-8, which the host never sends.
pub fn utf8(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_else(|_| malformed())
}

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static HEAP: heap::Bump = heap::Bump;

#[cfg(all(target_arch = "wasm32", not(feature = "serde")))]
#[panic_handler]
fn panicked(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

/// Exports a policy: a function from the bytes of a request to an [`answer::Answer`].
#[macro_export]
macro_rules! policy {
    ($judge:path) => {
        #[cfg(target_arch = "wasm32")]
        #[no_mangle]
        pub extern "C" fn wasmguard_abi_1() {}

        /// Where the host may write `size` bytes; null if there is no room.
        #[cfg(target_arch = "wasm32")]
        #[no_mangle]
        pub extern "C" fn wasmguard_alloc(size: usize) -> *mut u8 {
            $crate::heap::take(size, 1)
        }

        /// # Safety
        /// `start` comes from `wasmguard_alloc(size)` and the host has written all `size` bytes.
        #[cfg(target_arch = "wasm32")]
        #[no_mangle]
        pub unsafe extern "C" fn wasmguard_evaluate(start: *const u8, size: usize) -> u64 {
            let answer = $judge(core::slice::from_raw_parts(start, size)).encode().leak();
            (answer.as_ptr() as u64) << 32 | answer.len() as u64
        }
    };
}
