//! What the owner set, read and checked.

const std = @import("std");
const wasmguard = @import("wasmguard");

/// Entries of `tools`, and bytes of the name in one: what is remembered about them has a limit, too.
const most_tools = 24;
const longest_name = 128;
const most_calls = 999_999_999;

/// So many calls of the tools that a pattern covers.
pub const Budget = struct {
    /// The name of a tool; with a `*` at its end, all that begin so.
    pattern: []const u8,
    calls: u32,

    pub fn covers(budget: Budget, tool: []const u8) bool {
        const prefix = std.mem.cutSuffix(u8, budget.pattern, "*") orelse
            return std.mem.eql(u8, budget.pattern, tool);
        return std.mem.startsWith(u8, tool, prefix);
    }
};

/// How long counts last.
pub const Window = enum(u64) {
    none = 0,
    hour = 3_600_000, // milliseconds
    day = 86_400_000,

    /// When the one that holds `time` began, both in Unix milliseconds. Everything is in the one window `none`.
    pub fn start(window: Window, time: u64) u64 {
        return if (window == .none) 0 else time - time % @backingInt(window);
    }

    /// How a message speaks of it.
    pub fn words(window: Window) []const u8 {
        return switch (window) {
            .none => "",
            .hour => " this hour",
            .day => " today",
        };
    }
};

pub const Settings = struct {
    tools: []const Budget,
    calls: ?u32,
    turns: u32,
    window: Window,
    message: []const u8,
    goal: []const u8,
    /// What is wrong with them, for their owner. Then nothing else here counts.
    flaw: ?[]const u8 = null,

    /// Whether any call is to be counted.
    pub fn counts(settings: Settings) bool {
        return settings.tools.len > 0 or settings.calls != null or settings.turns > 0;
    }

    pub fn parse(value: wasmguard.msgpack.Value) !Settings {
        const given = try value.as(struct {
            tools: []const []const u8 = &.{},
            calls: ?i64 = null,
            turns: i64 = 0,
            window: []const u8 = "none",
            message: []const u8 = "finish with what you have, or ask the user",
            goal: []const u8 = "there is budget left: go on with what is not done yet",
        }, wasmguard.gpa);
        var flaw: ?[]const u8 = null;
        if (given.calls != null and number(given.calls.?) == null)
            flaw = "`calls`: write a number from 0 to 999999999";
        const turns = number(given.turns);
        if (turns == null) flaw = "`turns`: write a number from 0 to 999999999";
        const window = std.meta.stringToEnum(Window, given.window);
        if (window == null) flaw = "`window`: write \"none\", \"hour\" or \"day\"";
        const tools = try budgets(given.tools);
        if (tools == null) flaw = "`tools`: write each tool once, as \"Bash=20\", and at most 24";
        return .{
            .tools = tools orelse &.{},
            .calls = if (given.calls) |calls| number(calls) else null,
            .turns = turns orelse 0,
            .window = window orelse .none,
            .message = given.message,
            .goal = given.goal,
            .flaw = flaw,
        };
    }
};

fn number(given: i64) ?u32 {
    return if (given >= 0 and given <= most_calls) @intCast(given) else null;
}

/// The budgets that `given` writes as `NAME=CALLS`, or null if one cannot be read.
fn budgets(given: []const []const u8) !?[]const Budget {
    if (given.len > most_tools) return null;
    const made = try wasmguard.gpa.alloc(Budget, given.len);
    for (given, made, 0..) |entry, *budget, before| {
        const name, const calls = std.mem.cutScalarLast(u8, entry, '=') orelse return null;
        budget.pattern = std.mem.trim(u8, name, " ");
        budget.calls = digits(std.mem.trim(u8, calls, " ")) orelse return null;
        if (budget.pattern.len == 0 or budget.pattern.len > longest_name) return null;
        for (made[0..before]) |other| if (std.mem.eql(u8, other.pattern, budget.pattern)) return null;
    }
    return made;
}

fn digits(text: []const u8) ?u32 {
    if (text.len == 0 or text.len > 9) return null;
    var sum: u32 = 0;
    for (text) |digit| {
        if (!std.ascii.isDigit(digit)) return null;
        sum = 10 * sum + (digit - '0');
    }
    return sum;
}
