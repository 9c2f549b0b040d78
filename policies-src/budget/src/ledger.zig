//! What is remembered from one event to the next.
//!
//! As bytes it is the list of a version and the fields of `Form`, in msgpack. Anything else is `error.Malformed`: a
//! ledger that cannot be read is no empty one.

const std = @import("std");
const wasmguard = @import("wasmguard");

const Budget = @import("settings.zig").Budget;

const version = 1;
const most_ids = 32; // more calls than are ever under way at the same time

const Named = struct { []const u8, u32 };
const Form = struct {
    u32, // version
    u64, // start
    u32, // calls
    u32, // turns
    u32, // calls_at_turn
    []const Named, // of_tools, by their patterns
    wasmguard.msgpack.Binary, // ids, 8 bytes each
};

pub const Ledger = struct {
    /// When the window began that the counts are of, Unix milliseconds.
    start: u64,
    calls: u32 = 0,
    /// How often a stop was answered with "go on".
    turns: u32 = 0,
    /// How many calls there had been at the last of these.
    calls_at_turn: u32 = 0,
    /// Calls of each budget, in the order of the settings.
    of_tools: []u32,
    /// Which calls were counted, the latest at the end.
    ids: []const u64 = &.{},

    /// Nothing was counted yet.
    pub fn fresh(start: u64, budgets: []const Budget) !Ledger {
        const of_tools = try wasmguard.gpa.alloc(u32, budgets.len);
        @memset(of_tools, 0);
        return .{ .start = start, .of_tools = of_tools };
    }

    /// What `state` says about the budgets that there are now.
    pub fn parse(state: []const u8, budgets: []const Budget) !Ledger {
        const form = try (try wasmguard.msgpack.Value.parse(state)).as(Form, wasmguard.gpa);
        const written, const start, const calls, const turns, const calls_at_turn, const names, const ids = form;
        if (written != version) return error.Malformed;
        var ledger: Ledger = try .fresh(start, budgets);
        ledger.calls = calls;
        ledger.turns = turns;
        ledger.calls_at_turn = calls_at_turn;
        for (budgets, ledger.of_tools) |budget, *count| {
            for (names) |named| if (std.mem.eql(u8, named[0], budget.pattern)) {
                count.* = named[1];
            };
        }
        ledger.ids = try numbers(ids.bytes);
        return ledger;
    }

    pub fn encode(ledger: Ledger, budgets: []const Budget) ![]const u8 {
        const names = try wasmguard.gpa.alloc(Named, budgets.len);
        for (names, budgets, ledger.of_tools) |*named, budget, count| named.* = .{ budget.pattern, count };
        const ids = try wasmguard.gpa.alloc([8]u8, ledger.ids.len);
        for (ids, ledger.ids) |*bytes, id| std.mem.writeInt(u64, bytes, id, .big);
        var writer: wasmguard.msgpack.Writer = .{ .gpa = wasmguard.gpa };
        try writer.write(@as(Form, .{
            version,
            ledger.start,
            ledger.calls,
            ledger.turns,
            ledger.calls_at_turn,
            names,
            .{ .bytes = @ptrCast(ids) },
        }));
        return writer.buffer.items;
    }

    pub fn holds(ledger: Ledger, id: u64) bool {
        return std.mem.findScalar(u64, ledger.ids, id) != null;
    }

    /// The call `id` was counted.
    pub fn note(ledger: *Ledger, id: u64) !void {
        const kept = ledger.ids[ledger.ids.len -| (most_ids - 1)..];
        const ids = try wasmguard.gpa.alloc(u64, kept.len + 1);
        @memcpy(ids[0..kept.len], kept);
        ids[kept.len] = id;
        ledger.ids = ids;
    }
};

fn numbers(bytes: []const u8) ![]const u64 {
    if (bytes.len % 8 != 0 or bytes.len > 8 * most_ids) return error.Malformed;
    const made = try wasmguard.gpa.alloc(u64, bytes.len / 8);
    for (made, 0..) |*number, at| number.* = std.mem.readInt(u64, bytes[8 * at ..][0..8], .big);
    return made;
}
