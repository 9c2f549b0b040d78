//! What a policy says.

const std = @import("std");

const heap = @import("heap.zig");
const msgpack = @import("msgpack.zig");

pub const Effect = enum { pass, allow, ask, deny };

/// What is null is not said. What can be added to any answer is added by its methods:
///
///     var answer: Answer = .{ .reason = "moved into /sandbox" };
///     try answer.rewrite("file_path", moved);
pub const Answer = struct {
    effect: ?Effect = null,
    /// One line for the owner and the model.
    reason: ?[]const u8 = null,
    /// Text for the model, where the event takes it.
    context: ?[]const u8 = null,
    /// With a deny: the run ends.
    interrupt: ?bool = null,
    /// What to remember; empty forgets it, null leaves it as it is. `remember` sets it.
    state: ?msgpack.Binary = null,
    /// For the record. `note` adds one.
    notes: ?[]const []const u8 = null,
    /// `rewrite` adds to them.
    rewritten: ?[]const Field = null,
    /// What stands in the place of the tool's output. `rewriteOutput` sets it.
    output: ?msgpack.Value = null,

    /// No opinion: the agent's own permission system goes on.
    pub const pass: Answer = .{};

    pub fn allow(reason: []const u8) Answer {
        return .{ .effect = .allow, .reason = reason };
    }

    pub fn ask(reason: []const u8) Answer {
        return .{ .effect = .ask, .reason = reason };
    }

    pub fn deny(reason: []const u8) Answer {
        return .{ .effect = .deny, .reason = reason };
    }

    /// This field of the tool's input is `value` from now on: a text, or anything else that `msgpack.Value.of` takes.
    pub fn rewrite(answer: *Answer, field: []const u8, value: anytype) !void {
        const added: Field = .{ .name = field, .value = try .of(value, heap.allocator) };
        answer.rewritten = try with(Field, answer.rewritten, added);
    }

    /// The tool's output is `value` from now on: a text, or of an output that is a map the fields that change, as a
    /// struct.
    pub fn rewriteOutput(answer: *Answer, value: anytype) !void {
        answer.output = try .of(value, heap.allocator);
    }

    /// One line for the record.
    pub fn note(answer: *Answer, text: []const u8) !void {
        answer.notes = try with([]const u8, answer.notes, text);
    }

    /// The policy gets these bytes with the next event. Its manifest has to ask for `state`.
    pub fn remember(answer: *Answer, bytes: []const u8) void {
        answer.state = .{ .bytes = bytes };
    }

    pub fn encode(answer: Answer, allocator: std.mem.Allocator) msgpack.Error![]const u8 {
        var writer: msgpack.Writer = .{ .gpa = allocator };
        const fields = @typeInfo(Answer).@"struct".field_names;
        var set: usize = 0;
        inline for (fields) |field| set += @intFromBool(@field(answer, field) != null);
        try writer.map(set);
        inline for (fields) |field| if (@field(answer, field)) |value| {
            try writer.write(@as([]const u8, comptime key(field)));
            if (@TypeOf(value) == []const Field) try writeFields(&writer, value) else try writer.write(value);
        };
        return writer.buffer.items;
    }
};

const Field = struct { name: []const u8, value: msgpack.Value };

fn writeFields(writer: *msgpack.Writer, fields: []const Field) msgpack.Error!void {
    try writer.map(fields.len);
    for (fields) |field| {
        try writer.write(field.name);
        try writer.write(field.value);
    }
}

/// What the host calls a field of `Answer`: two are called otherwise here, where methods have their names.
fn key(comptime field: []const u8) []const u8 {
    if (std.mem.eql(u8, field, "rewritten")) return "rewrite";
    if (std.mem.eql(u8, field, "output")) return "rewrite_output";
    return field;
}

/// The items and one more.
fn with(comptime T: type, items: ?[]const T, one: T) ![]const T {
    const before = items orelse &.{};
    const made = try heap.allocator.alloc(T, before.len + 1);
    @memcpy(made[0..before.len], before);
    made[before.len] = one;
    return made;
}

test "only what was set is said" {
    const gpa = heap.allocator;
    const empty: Answer = .pass;
    try std.testing.expectEqualStrings("\x80", try empty.encode(gpa));
    const denied: Answer = .deny("no");
    try std.testing.expectEqualStrings("\x82\xa6effect\xa4deny\xa6reason\xa2no", try denied.encode(gpa));
}

test "what is added is said in its order" {
    var answer: Answer = .{ .interrupt = true };
    try answer.rewrite("a", "x");
    try answer.rewrite("b", 7);
    try answer.note("1");
    try answer.note("2");
    answer.remember("s");
    try answer.rewriteOutput(.{ .stdout = "" });
    const said = try answer.encode(heap.allocator);
    try std.testing.expectEqualStrings("\x85\xa9interrupt\xc3\xa5state\xc4\x01s\xa5notes\x92\xa11\xa12" ++
        "\xa7rewrite\x82\xa1a\xa1x\xa1b\x07\xaerewrite_output\x81\xa6stdout\xa0", said);
}
