//! How many calls an agent may make, and how often it is told to go on.
//!
//! 1. Every `PreToolUse` is a call. It is counted before it runs: calls that run side by side do not wait for each
//!    other. One that is denied here is not counted.
//! 2. A call is denied if `calls` of all tools are spent, or those of any entry of `tools` that covers it.
//! 3. A call that was counted is not counted again, and passes: it is the same if session, tool and `tool_use_id` are.
//!    An id that is shorter than 16 bytes could be a number that begins anew, so it does not tell calls apart.
//! 4. `Stop` is answered with a deny, which means "go on", `turns` times while `calls` are left. Not when the agent was
//!    sent back already (`stop_hook_active`) and has made no call since: it has nothing more to do.
//! 5. In a new window everything counts from zero. Time that goes back opens no window.
//! 6. Settings that cannot be read deny every call and answer no `Stop`: their owner wanted a limit.
//! 7. Without a budget, and at every other event, it passes and remembers nothing.

const std = @import("std");
const wasmguard = @import("wasmguard");

const Ledger = @import("ledger.zig").Ledger;
const Settings = @import("settings.zig").Settings;

const Answer = wasmguard.Answer;
const gpa = wasmguard.gpa;

const shortest_id = 16; // bytes

const Event = struct {
    hook_event_name: []const u8 = "",
    session_id: []const u8 = "",
    tool_name: []const u8 = "",
    tool_use_id: []const u8 = "",
    stop_hook_active: bool = false,
    time: u64 = 0, // Unix milliseconds
};

pub fn judge(request: wasmguard.Request) !Answer {
    const event = try request.event.as(Event, gpa);
    const settings: Settings = try .parse(request.settings);
    const is_call = std.mem.eql(u8, event.hook_event_name, "PreToolUse");
    if (!is_call and !std.mem.eql(u8, event.hook_event_name, "Stop")) return .{};
    if (settings.flaw) |flaw| return if (is_call) denied("the owner must mend the setting {s}", .{flaw}) else .{};
    if (!settings.counts()) return .{};
    var ledger = try remembered(request.state, settings, event.time);
    return if (is_call) judgeCall(event, settings, &ledger) else judgeStop(event, settings, &ledger);
}

/// The ledger of the window that `time` is in.
fn remembered(state: ?[]const u8, settings: Settings, time: u64) !Ledger {
    const start = settings.window.start(time);
    const bytes = state orelse return .fresh(start, settings.tools);
    const ledger: Ledger = try .parse(bytes, settings.tools);
    if (start <= ledger.start) return ledger;
    var renewed: Ledger = try .fresh(start, settings.tools);
    renewed.ids = ledger.ids;
    return renewed;
}

fn judgeCall(event: Event, settings: Settings, ledger: *Ledger) !Answer {
    const id = identity(event);
    if (id) |known| if (ledger.holds(known)) return .{};
    if (settings.calls) |most| if (ledger.calls >= most)
        return spent("all tools together", ledger.calls, most, settings);
    for (settings.tools, ledger.of_tools) |budget, calls| {
        if (budget.covers(event.tool_name) and calls >= budget.calls)
            return spent(budget.pattern, calls, budget.calls, settings);
    }
    ledger.calls +|= 1;
    for (settings.tools, ledger.of_tools) |budget, *calls| {
        if (budget.covers(event.tool_name)) calls.* +|= 1;
    }
    if (id) |new| try ledger.note(new);
    return .{ .state = .{ .bytes = try ledger.encode(settings.tools) } };
}

/// What tells this call from others, if anything does.
fn identity(event: Event) ?u64 {
    if (event.tool_use_id.len < shortest_id) return null;
    var hash: std.hash.Fnv1a_64 = .init();
    for ([_][]const u8{ event.session_id, event.tool_name, event.tool_use_id }) |part| {
        hash.update(part);
        hash.update("\x00");
    }
    return hash.final();
}

fn spent(whose: []const u8, calls: u32, most: u32, settings: Settings) !Answer {
    const words = .{ whose, calls, most, settings.window.words(), settings.message };
    return denied("the budget of {s} is spent: {d} of {d} calls{s}: {s}", words);
}

fn judgeStop(event: Event, settings: Settings, ledger: *Ledger) !Answer {
    const is_idle = event.stop_hook_active and ledger.calls == ledger.calls_at_turn;
    const left = if (settings.calls) |most| most -| ledger.calls else null;
    if (is_idle or left == 0 or ledger.turns >= settings.turns) return .{};
    ledger.turns +|= 1;
    ledger.calls_at_turn = ledger.calls;
    const turn = .{ settings.goal, ledger.turns, settings.turns };
    var answer = try if (left) |calls|
        denied("{s} (turn {d} of {d}, {d} calls left)", turn ++ .{calls})
    else
        denied("{s} (turn {d} of {d})", turn);
    answer.state = .{ .bytes = try ledger.encode(settings.tools) };
    return answer;
}

fn denied(comptime format: []const u8, words: anytype) !Answer {
    return .{ .effect = .deny, .reason = try gpa.print(format, words) };
}
