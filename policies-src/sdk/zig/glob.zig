//! Patterns for paths: `?` is one character and `*` any number of them, but no `/`; `**` is anything, and `/**/` is
//! anything between two `/`, or a single `/`. Every other character is itself.

const std = @import("std");

/// Where to go on when something does not fit: behind a star in the pattern, and how far that star has taken the path.
const Place = struct { pattern: usize, path: usize };

/// Whether all of `path` fits `pattern`.
///
/// When something does not fit, the last star takes one byte more; when that would be a `/`, the last double star does.
/// Stars before those never need to change: whatever else they could take, the later one can take too.
pub fn fits(pattern: []const u8, path: []const u8) bool {
    var at: Place = .{ .pattern = 0, .path = 0 };
    var star: ?Place = null;
    var stars: ?Place = null;
    while (true) {
        const rest = pattern[at.pattern..];
        if (std.mem.startsWith(u8, rest, "**")) {
            at.pattern = behindStars(pattern, at.pattern);
            star = null;
            stars = at;
        } else if (rest.len > 0 and rest[0] == '*') {
            at.pattern += 1;
            star = at;
        } else if (step(rest, path[at.path..])) |size| {
            at.pattern += 1;
            at.path += size;
        } else if (rest.len == 0 and at.path == path.len) {
            return true;
        } else if (takesMore(star, path)) |again| {
            at = again;
            star = again;
        } else if (takeMore(stars, pattern, path)) |again| {
            at = again;
            star = null;
            stars = again;
        } else return false;
    }
}

/// How many bytes of the path the first character of the pattern covers, if it does.
fn step(pattern: []const u8, path: []const u8) ?usize {
    if (pattern.len == 0 or path.len == 0) return null;
    if (pattern[0] != '?') return if (pattern[0] == path[0]) 1 else null;
    if (path[0] == '/') return null;
    var size: usize = 1;
    while (size < path.len and path[size] & 0xc0 == 0x80) size += 1; // the rest of UTF-8
    return size;
}

/// The star takes one byte more, if there is one and it is no `/`.
fn takesMore(star: ?Place, path: []const u8) ?Place {
    const last = star orelse return null;
    if (last.path == path.len or path[last.path] == '/') return null;
    return .{ .pattern = last.pattern, .path = last.path + 1 };
}

/// The double star takes one byte more; if it is a whole part, everything up to the next `/`.
fn takeMore(stars: ?Place, pattern: []const u8, path: []const u8) ?Place {
    const last = stars orelse return null;
    const left = path[last.path..];
    if (left.len == 0) return null;
    const isWhole = pattern[last.pattern - 1] == '/';
    const size = if (isWhole) std.mem.findScalar(u8, left, '/') orelse return null else 0;
    return .{ .pattern = last.pattern, .path = last.path + size + 1 };
}

/// Where the pattern goes on behind the stars at `start`; if they are a whole part, their `/` belongs to them.
fn behindStars(pattern: []const u8, start: usize) usize {
    var end = start;
    while (end < pattern.len and pattern[end] == '*') end += 1;
    const isWhole = start > 0 and pattern[start - 1] == '/' and end < pattern.len and pattern[end] == '/';
    return if (isWhole) end + 1 else end;
}

test "patterns" {
    const fitting = [_][2][]const u8{
        .{ "/tmp/**", "/tmp/a/b" },
        .{ "/tmp/*-*.txt", "/tmp/a-b-c.txt" },
        .{ "/w/**/*.log", "/w/x.log" },
        .{ "/tmp/?.txt", "/tmp/é.txt" },
        .{ "/**/a*/b*c/d", "/ax/q/a1/a2/bc/bxc/a3/bcbc/d" },
        .{ "", "" },
    };
    const other = [_][2][]const u8{
        .{ "/tmp/**", "/tmp" },
        .{ "/tmp/*.txt", "/tmp/a/b.txt" },
        .{ "/w/**/log", "/w/a/catalog" },
        .{ "/tmp?x", "/tmp/x" },
        .{ "/tmp", "/tmp/x" },
        .{ "/tmp/[ab]", "/tmp/a" },
    };
    for (fitting) |pair| try std.testing.expect(fits(pair[0], pair[1]));
    for (other) |pair| try std.testing.expect(!fits(pair[0], pair[1]));
}
