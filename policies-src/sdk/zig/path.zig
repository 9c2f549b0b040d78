//! Absolute paths, worked on as text: there is no file system in a policy, so links are not followed.

const std = @import("std");

const heap = @import("heap.zig");

/// `path` with `.`, `..` and doubled slashes resolved, and no slash at its end: `/etc/x` for `/tmp/..//etc/./x/`. Above
/// `/` there is only `/`. One that is not absolute stays as it is: nobody knows where it starts.
pub fn normal(path: []const u8) error{OutOfMemory}![]const u8 {
    if (!std.mem.startsWith(u8, path, "/")) return path;
    var made: std.ArrayList(u8) = try .initCapacity(heap.allocator, path.len + 1);
    append(&made, 0, path);
    return if (made.items.len > 0) made.items else "/";
}

/// Whether `path` is `folder` or below it. `path` must be as `normal` makes it: `/etc/../x` is inside `/etc`, as text.
pub fn isInside(path: []const u8, folder: []const u8) bool {
    const root = std.mem.trimEnd(u8, folder, "/");
    const rest = std.mem.cutPrefix(u8, path, root) orelse return false;
    return if (rest.len == 0) path.len > 0 else rest[0] == '/';
}

/// Whether a part of `path` is `..`. What such a path means depends on links.
pub fn climbs(path: []const u8) bool {
    var parts = std.mem.splitScalar(u8, path, '/');
    while (parts.next()) |part| if (std.mem.eql(u8, part, "..")) return true;
    return false;
}

/// Appends the parts of `path` to `made`, which holds a path without `.`, `..` and doubled slashes behind its first
/// `floor` bytes and has room for one byte more than `path`. `..` takes a part away, and never goes below the floor.
pub fn append(made: *std.ArrayList(u8), floor: usize, path: []const u8) void {
    var parts = std.mem.splitScalar(u8, path, '/');
    while (parts.next()) |part| {
        if (part.len == 0 or std.mem.eql(u8, part, ".")) continue;
        if (std.mem.eql(u8, part, "..")) {
            const last = std.mem.findScalarLast(u8, made.items[floor..], '/') orelse 0;
            made.shrinkRetainingCapacity(floor + last);
        } else {
            made.appendAssumeCapacity('/');
            made.appendSliceAssumeCapacity(part);
        }
    }
}

test "a path is made normal" {
    const pairs = [_][2][]const u8{
        .{ "/etc/x", "/etc/x" },         .{ "/tmp/..//etc/./x/", "/etc/x" }, .{ "/../../x", "/x" },
        .{ "/", "/" },                   .{ "//", "/" },                     .{ "/a/..", "/" },
        .{ "/a/.../b..", "/a/.../b.." }, .{ "a/../b", "a/../b" },            .{ "", "" },
    };
    for (pairs) |pair| try std.testing.expectEqualStrings(pair[1], try normal(pair[0]));
}

test "a folder holds itself and what is below it" {
    try std.testing.expect(isInside("/etc", "/etc") and isInside("/etc/x", "/etc") and isInside("/x", "/"));
    try std.testing.expect(isInside("/etc/x", "/etc/") and isInside("/etc", "/etc/") and !isInside("", "/"));
    try std.testing.expect(!isInside("/etcetera", "/etc") and !isInside("/et", "/etc") and !isInside("x", "/"));
}

test "dots climb only as a part of their own" {
    try std.testing.expect(climbs("/a/../b") and climbs("..") and climbs("/a/.."));
    try std.testing.expect(!climbs("/a/..b/...") and !climbs(""));
}
