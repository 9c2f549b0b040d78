//! Memory that is handed out once and never taken back: every event gets a fresh instance, which is thrown away.
//!
//! The heap starts behind the static data, in the page that the module begins with. That holds a small event and its
//! answer, so it costs no `memory.grow`, which is most of what a general allocator adds to such an event.
//!
//! Built for another target than wasm, where tests run, it is the machine's.

const std = @import("std");
const builtin = @import("builtin");

const page = 64 << 10;

extern var __heap_base: u8; // the linker's: the first address that nothing lives at

var taken: usize = 0; // bytes behind __heap_base

pub const allocator: std.mem.Allocator = if (builtin.cpu.arch.isWasm()) .{
    .ptr = undefined,
    .vtable = &.{ .alloc = alloc, .resize = resize, .remap = remap, .free = std.mem.Allocator.noFree },
} else std.heap.page_allocator;

/// `size` bytes that nobody else has, or null.
pub fn take(size: usize, alignment: std.mem.Alignment) ?[*]u8 {
    const base = @intFromPtr(&__heap_base);
    const start = alignment.forward(base + taken);
    return if (reserve(start, size)) @ptrFromInt(start) else null;
}

/// Everything up to `size` bytes behind `start` is taken.
fn reserve(start: usize, size: usize) bool {
    const end = std.math.add(usize, start, size) catch return false;
    const have = @wasmMemorySize(0) * page;
    if (end > have and @wasmMemoryGrow(0, (end - have) / page + 1) == -1) return false;
    taken = end - @intFromPtr(&__heap_base);
    return true;
}

fn alloc(_: *anyopaque, size: usize, alignment: std.mem.Alignment, _: usize) ?[*]u8 {
    return take(size, alignment);
}

/// Only what was handed out last can grow.
fn resize(_: *anyopaque, memory: []u8, _: std.mem.Alignment, size: usize, _: usize) bool {
    if (size <= memory.len) return true;
    const start = @intFromPtr(memory.ptr);
    return start + memory.len == @intFromPtr(&__heap_base) + taken and reserve(start, size);
}

fn remap(context: *anyopaque, memory: []u8, alignment: std.mem.Alignment, size: usize, caller: usize) ?[*]u8 {
    return if (resize(context, memory, alignment, size, caller)) memory.ptr else null;
}
