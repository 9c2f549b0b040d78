//! What a policy in Zig stands on: guest ABI 1, without imports. README.md tells it from the beginning.
//!
//!     const wasmguard = @import("wasmguard");
//!
//!     pub fn policy(request: wasmguard.Request) !wasmguard.Answer {
//!         if (!wasmguard.eql(request.tool_name, "Bash")) return .pass;
//!         return .deny("no shell here");
//!     }
//!
//! An error that a policy returns ends in a trap, never in an answer, and so does a request that cannot be read: the
//! host makes that a deny.

const std = @import("std");

const answer = @import("answer.zig");
const heap = @import("heap.zig");

pub const Answer = answer.Answer;
pub const Effect = answer.Effect;
pub const Request = @import("request.zig").Request;
pub const glob = @import("glob.zig");
pub const msgpack = @import("msgpack.zig");
pub const path = @import("path.zig");

/// Every panic is a trap without a message.
pub const panic = std.debug.no_panic;

/// Where memory comes from. Nothing is ever freed.
pub const gpa = heap.allocator;

/// Whether two texts are the same.
pub fn eql(one: []const u8, other: []const u8) bool {
    return std.mem.eql(u8, one, other);
}

/// A text made of others: `print("{s} is in {s}", .{ path, folder })`.
pub fn print(comptime format: []const u8, parts: anytype) error{OutOfMemory}![]const u8 {
    return gpa.print(format, parts);
}

/// Texts one behind the other, without the code for formats.
pub fn concat(texts: []const []const u8) error{OutOfMemory}![]const u8 {
    return std.mem.concat(gpa, u8, texts);
}

/// Exports what the host calls, with `judge` behind it: `fn (Request) !Answer`.
pub fn policy(comptime judge: anytype) void {
    const exports = struct {
        fn abi() callconv(.c) void {}

        /// Where the host may write `size` bytes; null if there is no room.
        fn room(size: usize) callconv(.c) ?[*]u8 {
            return heap.take(size, .@"1");
        }

        fn evaluate(start: [*]const u8, size: usize) callconv(.c) u64 {
            const said = answered(start[0..size]) catch @trap();
            return @as(u64, @intFromPtr(said.ptr)) << 32 | said.len;
        }

        fn answered(bytes: []const u8) ![]const u8 {
            const said: Answer = try judge(try Request.parse(bytes, gpa));
            return said.encode(gpa);
        }
    };
    @export(&exports.abi, .{ .name = "wasmguard_abi_1" });
    @export(&exports.room, .{ .name = "wasmguard_alloc" });
    @export(&exports.evaluate, .{ .name = "wasmguard_evaluate" });
}
