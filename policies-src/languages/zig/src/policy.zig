//! Moves the paths that tools write to into one folder.
//!
//! 1. Only `PreToolUse` is judged, and only the tools in `tools`; everything else passes.
//! 2. Every field of `path_fields` that is a text is a path. If one is denied, the call is; if some move, they move in
//!    one answer.
//! 3. While `root` is no absolute path, everything is denied.
//! 4. A path that is empty, longer than a system takes or starts with `~` is denied.
//! 5. A relative path starts at `cwd`; it is denied if that is unknown.
//! 6. `.`, `..` and doubled slashes are resolved in the text. What follows is about the result.
//! 7. A path that fits a pattern of `exempt` stays as it is.
//! 8. A path inside the root stays as it is. If it contains `..` it is written out without: behind a link, `..` leads
//!    elsewhere than the text says, and the host checks only what is rewritten.
//! 9. The root itself is denied, and so is the path that would become it.
//! 10. Every other path moves: root + path. Asked about that, the policy says 8.

const std = @import("std");
const wasmguard = @import("wasmguard");

const path_fields = .{ "file_path", "notebook_path", "path", "scriptPath" };
const longest = 4096; // bytes: PATH_MAX, and the most that the host accepts in a rewrite

const Settings = struct {
    root: []const u8 = "/sandbox",
    tools: []const []const u8 = &.{ "Write", "Edit", "NotebookEdit" },
    exempt: []const []const u8 = &.{},
};

/// What happens to one path.
const Fate = union(enum) {
    stays,
    moves: []const u8,
    /// What is wrong with it, and what to do. The root follows.
    denied: struct { []const u8, []const u8 },
};

pub fn policy(request: wasmguard.Request) !wasmguard.Answer {
    const settings = try request.settings.as(Settings, wasmguard.gpa);
    if (!request.isPreToolUse()) return .pass;
    const given = try request.inputTexts(path_fields);
    if (!isIn(settings.tools, request.tool_name)) return .pass;
    const root = try rootOf(settings) orelse
        return .deny("the setting `root` is no absolute path: the owner must set one");
    var answer: wasmguard.Answer = .{};
    inline for (path_fields, given) |field, text| {
        if (text) |path| switch (try fate(path, root, request.cwd, settings.exempt)) {
            .stays => {},
            .moves => |moved| try answer.rewrite(field, moved),
            .denied => |why| return .deny(try wasmguard.concat(&.{ field, " ", why[0], ": ", why[1], shown(root) })),
        };
    }
    if (answer.rewritten != null) answer.reason = try wasmguard.concat(&.{ "moved into ", shown(root) });
    return answer;
}

fn isIn(texts: []const []const u8, text: []const u8) bool {
    for (texts) |one| if (wasmguard.eql(one, text)) return true;
    return false;
}

/// The setting if it is absolute, as `path.append` makes it: empty for `/`.
fn rootOf(settings: Settings) !?[]const u8 {
    if (!std.mem.startsWith(u8, settings.root, "/")) return null;
    const root = try wasmguard.path.normal(settings.root);
    return if (root.len > 1) root else "";
}

fn fate(given: []const u8, root: []const u8, cwd: []const u8, exempt: []const []const u8) !Fate {
    const absolute = "give an absolute path, it is moved into ";
    if (given.len == 0) return .{ .denied = .{ "is empty", absolute } };
    if (given[0] == '~') return .{ .denied = .{ "starts with ~", absolute } };
    if (given.len > longest)
        return .{ .denied = .{ "is longer than 4096 bytes", "give a shorter path, it is moved into " } };
    const start = if (given[0] == '/') "" else cwd;
    if (given[0] != '/' and !(std.mem.startsWith(u8, cwd, "/") and cwd.len <= longest))
        return .{ .denied = .{ "starts at an unknown folder", absolute } };
    var made: std.ArrayList(u8) = try .initCapacity(wasmguard.gpa, root.len + start.len + given.len + 2);
    made.appendSliceAssumeCapacity(root);
    wasmguard.path.append(&made, root.len, start);
    wasmguard.path.append(&made, root.len, given);
    const normal = made.items[root.len..];
    for (exempt) |pattern| if (wasmguard.glob.fits(pattern, normal)) return .stays;
    if (normal.len == 0 or wasmguard.eql(normal, root))
        return .{ .denied = .{ "would be the folder itself", "name a file in " } };
    if (!wasmguard.path.isInside(normal, root)) return .{ .moves = made.items };
    return if (wasmguard.path.climbs(given)) .{ .moves = normal } else .stays;
}

fn shown(root: []const u8) []const u8 {
    return if (root.len > 0) root else "/";
}
