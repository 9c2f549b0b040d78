//! Memory that is handed out once and never taken back: every event gets a fresh instance, which is thrown away.
//!
//! The heap starts behind the static data, in the page that the module begins with. That holds a small event and its
//! answer, so it costs no `memory.grow`, which is most of what a general allocator adds to such an event.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size};
use core::ptr::{addr_of, null_mut};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const PAGE: usize = 64 << 10;

extern "C" {
    static __heap_base: u8; // the linker's: the first address that nothing lives at
}

static TAKEN: AtomicUsize = AtomicUsize::new(0); // bytes behind __heap_base; atomic only in name, there are no threads

pub struct Bump;

unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size(), layout.align())
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}

    /// What was handed out last grows where it is: a text that is put together piece by piece is that most of the time.
    #[cfg(feature = "serde")]
    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let is_last = start as usize + layout.size() == addr_of!(__heap_base) as usize + TAKEN.load(Relaxed);
        if is_last && size >= layout.size() {
            return if take(size - layout.size(), 1).is_null() { null_mut() } else { start };
        }
        let made = take(size, layout.align());
        if !made.is_null() {
            core::ptr::copy_nonoverlapping(start, made, size.min(layout.size()));
        }
        made
    }
}

/// `size` bytes that nobody else has, or null.
pub fn take(size: usize, align: usize) -> *mut u8 {
    let base = addr_of!(__heap_base) as usize;
    let start = (base + TAKEN.load(Relaxed) + align - 1) & !(align - 1);
    let Some(end) = start.checked_add(size) else { return null_mut() };
    let have = memory_size(0) * PAGE;
    if end > have && memory_grow(0, (end - have).div_ceil(PAGE)) == usize::MAX {
        return null_mut();
    }
    TAKEN.store(end - base, Relaxed);
    start as *mut u8
}
