//! What a policy in Zig stands on: guest ABI 1, without imports.
//!
//!     const wasmguard = @import("wasmguard");
//!
//!     pub const panic = wasmguard.panic;
//!     comptime {
//!         wasmguard.policy(judge);
//!     }
//!
//!     fn judge(request: wasmguard.Request) !wasmguard.Answer {
//!         const event = try request.event.as(struct { tool_name: []const u8 = "" }, wasmguard.gpa);
//!         if (!std.mem.eql(u8, event.tool_name, "Bash")) return .{};
//!         return .{ .effect = .deny, .reason = "no shell here" };
//!     }
//!
//! An error that `judge` returns ends in a trap, never in an answer, and so does a request that cannot be read: the
//! host makes that a deny.

const std = @import("std");

const heap = @import("heap.zig");
pub const msgpack = @import("msgpack.zig");

/// Every panic is a trap without a message.
pub const panic = std.debug.no_panic;

/// Where memory comes from. Nothing is ever freed.
pub const gpa = heap.allocator;

/// What a policy is asked.
pub const Request = struct {
    event: msgpack.Value,
    settings: msgpack.Value,
    /// What it remembered last; null for nothing.
    state: ?[]const u8,

    /// Every key must be there: a request without `state` does not say that nothing is remembered.
    pub fn parse(bytes: []const u8, allocator: std.mem.Allocator) msgpack.Error!Request {
        const Keys = struct { abi: u32, event: msgpack.Value, settings: msgpack.Value, state: ?msgpack.Binary };
        const keys = try (try msgpack.Value.parse(bytes)).as(Keys, allocator);
        if (keys.abi != 1) return error.Malformed;
        const state = if (keys.state) |binary| binary.bytes else null;
        return .{ .event = keys.event, .settings = keys.settings, .state = state };
    }
};

pub const Effect = enum { pass, allow, ask, deny };

/// What a policy says. What is null is not said: an answer that says nothing passes.
pub const Answer = struct {
    effect: ?Effect = null,
    /// One line for the owner and the model.
    reason: ?[]const u8 = null,
    /// Text for the model, where the event takes it.
    context: ?[]const u8 = null,
    /// With a deny: the run ends.
    interrupt: ?bool = null,
    /// What to remember; empty forgets it, null leaves it as it is.
    state: ?msgpack.Binary = null,
    /// For the record.
    notes: ?[]const []const u8 = null,

    pub fn encode(answer: Answer, allocator: std.mem.Allocator) msgpack.Error![]const u8 {
        var writer: msgpack.Writer = .{ .gpa = allocator };
        const fields = @typeInfo(Answer).@"struct".field_names;
        var set: usize = 0;
        inline for (fields) |key| set += @intFromBool(@field(answer, key) != null);
        try writer.map(set);
        inline for (fields) |key| if (@field(answer, key)) |value| {
            try writer.write(@as([]const u8, key));
            try writer.write(value);
        };
        return writer.buffer.items;
    }
};

/// Exports what the host calls, with `judge` behind it: `fn (Request) !Answer`.
pub fn policy(comptime judge: anytype) void {
    const exports = struct {
        fn abi() callconv(.c) void {}

        /// Where the host may write `size` bytes; null if there is no room.
        fn room(size: usize) callconv(.c) ?[*]u8 {
            return heap.take(size, .@"1");
        }

        fn evaluate(start: [*]const u8, size: usize) callconv(.c) u64 {
            const answer = answered(start[0..size]) catch @trap();
            return @as(u64, @intFromPtr(answer.ptr)) << 32 | answer.len;
        }

        fn answered(bytes: []const u8) ![]const u8 {
            const answer: Answer = try judge(try Request.parse(bytes, gpa));
            return answer.encode(gpa);
        }
    };
    @export(&exports.abi, .{ .name = "wasmguard_abi_1" });
    @export(&exports.room, .{ .name = "wasmguard_alloc" });
    @export(&exports.evaluate, .{ .name = "wasmguard_evaluate" });
}
