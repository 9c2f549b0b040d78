//! What a policy is asked.
//!
//! 1. A request that cannot be read is `error.Malformed`: another ABI, a key that is absent, comes twice or is no text,
//!    a wrong type, bytes behind it. All of it has been gone over before a policy sees any.
//! 2. What an event does not say is an empty text or null, and nil is the same.
//! 3. A field of the tool's input that is no text is no error: it is for the tool to refuse. A setting of another type
//!    than it is asked for is `error.Malformed`.

const std = @import("std");

const heap = @import("heap.zig");
const msgpack = @import("msgpack.zig");

const Keys = struct {
    abi: u32,
    event: msgpack.Both(struct {
        hook_event_name: []const u8 = "",
        tool_name: []const u8 = "",
        cwd: []const u8 = "",
        tool_input: ?msgpack.Value = null,
    }),
    settings: msgpack.Both(struct {}),
    state: ?msgpack.Binary,
};

pub const Request = struct {
    /// `PreToolUse`.
    event_name: []const u8,
    /// `Write`; empty where the event is about no tool.
    tool_name: []const u8,
    /// The folder that the agent works in; empty if it does not say.
    cwd: []const u8,
    /// All of the input of the tool, to be read with `as` or `fields`; null where there is none.
    tool_input: ?msgpack.Value,
    /// All of the event.
    event: msgpack.Value,
    /// All settings.
    settings: msgpack.Value,
    /// What the policy remembered last; null for nothing.
    state: ?[]const u8,

    /// Every key must be there: a request without `state` does not say that nothing is remembered.
    pub fn parse(bytes: []const u8, allocator: std.mem.Allocator) msgpack.Error!Request {
        const keys = try msgpack.read(Keys, bytes, allocator);
        if (keys.abi != 1) return error.Malformed;
        return .{
            .event_name = keys.event.parts.hook_event_name,
            .tool_name = keys.event.parts.tool_name,
            .cwd = keys.event.parts.cwd,
            .tool_input = keys.event.parts.tool_input,
            .event = keys.event.value,
            .settings = keys.settings.value,
            .state = if (keys.state) |binary| binary.bytes else null,
        };
    }

    /// Whether this is the event `PreToolUse`: a tool is about to run.
    pub fn isPreToolUse(request: Request) bool {
        return std.mem.eql(u8, request.event_name, "PreToolUse");
    }

    /// A field of the tool's input; null if it is absent or no text.
    pub fn inputText(request: Request, comptime name: []const u8) msgpack.Error!?[]const u8 {
        return (try request.inputTexts(.{name}))[0];
    }

    /// Several fields at once: `const from, const to = try request.inputTexts(.{ "source", "destination" })`.
    pub fn inputTexts(request: Request, comptime names: anytype) msgpack.Error![names.len]?[]const u8 {
        var texts: [names.len]?[]const u8 = @splat(null);
        const input = request.tool_input orelse return texts;
        for (&texts, try input.fields(names)) |*text, field| {
            if (field) |value| text.* = try value.text();
        }
        return texts;
    }

    /// A setting; null where the owner says nothing and the manifest has no default.
    pub fn settingText(request: Request, comptime name: []const u8) msgpack.Error!?[]const u8 {
        return request.setting([]const u8, name);
    }

    pub fn settingBool(request: Request, comptime name: []const u8) msgpack.Error!?bool {
        return request.setting(bool, name);
    }

    pub fn settingInteger(request: Request, comptime name: []const u8) msgpack.Error!?i64 {
        return request.setting(i64, name);
    }

    pub fn settingTexts(request: Request, comptime name: []const u8) msgpack.Error!?[]const []const u8 {
        return request.setting([]const []const u8, name);
    }

    fn setting(request: Request, comptime T: type, comptime name: []const u8) msgpack.Error!?T {
        const value = (try request.settings.fields(.{name}))[0] orelse return null;
        return try value.as(T, heap.allocator);
    }
};
