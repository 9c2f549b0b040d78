//! msgpack, read where it lies and written into one growing buffer.
//!
//! 1. `read` goes over all the bytes. What is no msgpack, ends too early or goes on behind its end is
//!    `error.Malformed`, and so is ext, which requests have not. Nothing recurses but what a type is made of: depth
//!    costs nothing, and what nobody asks for is stepped over, whatever its size.
//! 2. A value is read into a Zig type: a list into a slice, or into a tuple of as many items; a map into a struct, by
//!    the names of its fields. A wrong type or a number that does not fit is `error.Malformed`.
//! 3. A text that is read is UTF-8, or `error.Malformed`.
//! 4. An unknown key of a map is stepped over; one that comes twice, or is no text, is `error.Malformed`. A field that
//!    is absent or nil has its default; without a default it is `error.Malformed`.

const std = @import("std");

pub const Error = error{ Malformed, OutOfMemory };

/// The one value that fills all the bytes, as a `T`: see `Value.as`.
pub fn read(comptime T: type, bytes: []const u8, gpa: std.mem.Allocator) Error!T {
    var cursor: Cursor = .{ .rest = bytes };
    const made = try cursor.read(T, gpa);
    if (cursor.rest.len != 0) return error.Malformed;
    return made;
}

/// One value in bytes that `read` has been over.
pub const Value = struct {
    bytes: []const u8,

    /// The one value that fills all the bytes.
    pub fn parse(bytes: []const u8) Error!Value {
        return read(Value, bytes, .failing);
    }

    /// `given` as a value: anything that `Writer.write` takes.
    pub fn of(given: anytype, gpa: std.mem.Allocator) Error!Value {
        var writer: Writer = .{ .gpa = gpa };
        try writer.write(given);
        return .{ .bytes = writer.buffer.items };
    }

    /// The value as a `T`: an integer, `f64` (of any number), `bool`, `[]const u8` (a text), `Binary`, a slice of
    /// these, a tuple or struct, `Value`, or an optional. Texts stay where they lie, slices are allocated.
    pub fn as(value: Value, comptime T: type, gpa: std.mem.Allocator) Error!T {
        return read(T, value.bytes, gpa);
    }

    /// The value if it is a text, else null.
    pub fn text(value: Value) Error!?[]const u8 {
        return switch (value.bytes[0]) {
            0xa0...0xbf, 0xd9...0xdb => try read([]const u8, value.bytes, .failing),
            else => null,
        };
    }

    /// What a map has under each of these names, in their order; null where it has nothing or nil.
    pub fn fields(value: Value, comptime names: anytype) Error![names.len]?Value {
        var cursor: Cursor = .{ .rest = value.bytes };
        const keys: [names.len][]const u8 = names;
        return cursor.fields(names.len, &keys);
    }
};

/// Bytes that are no text.
pub const Binary = struct { bytes: []const u8 };

/// A value twice: as it is, and read into a `T` on the same way over its bytes.
pub fn Both(comptime T: type) type {
    return struct { value: Value, parts: T, is_both: void = {} };
}

/// What comes first of a value: all of a scalar, the size of everything else.
const Head = union(enum) {
    nil,
    boolean: bool,
    unsigned: u64,
    negative: i64,
    float: f64,
    text: u32,
    binary: u32,
    array: u32,
    map: u32,
};

/// Bytes of the value that `bytes` begins with, without what is in it; and how many values are.
inline fn sizes(bytes: []const u8) ?struct { u64, u64 } {
    return switch (bytes[0]) {
        0x00...0x7f, 0xc0, 0xc2, 0xc3, 0xe0...0xff => .{ 1, 0 },
        0xa0...0xbf => |first| .{ 1 + (first & 31), 0 },
        0xcc, 0xd0 => .{ 2, 0 },
        0xcd, 0xd1 => .{ 3, 0 },
        0xca, 0xce, 0xd2 => .{ 5, 0 },
        0xcb, 0xcf, 0xd3 => .{ 9, 0 },
        0xc4, 0xd9 => .{ 2 + (countOf(u8, bytes) orelse return null), 0 },
        0xc5, 0xda => .{ 3 + (countOf(u16, bytes) orelse return null), 0 },
        0xc6, 0xdb => .{ 5 + (countOf(u32, bytes) orelse return null), 0 },
        0x80...0x8f => |first| .{ 1, 2 * (first & 15) },
        0x90...0x9f => |first| .{ 1, first & 15 },
        0xdc => .{ 3, countOf(u16, bytes) orelse return null },
        0xdd => .{ 5, countOf(u32, bytes) orelse return null },
        0xde => .{ 3, 2 * (countOf(u16, bytes) orelse return null) },
        0xdf => .{ 5, 2 * (countOf(u32, bytes) orelse return null) },
        else => null,
    };
}

/// The number behind the first byte.
inline fn countOf(comptime T: type, bytes: []const u8) ?u64 {
    const size = @sizeOf(T);
    return if (bytes.len > size) std.mem.readInt(T, bytes[1..][0..size], .big) else null;
}

const Cursor = struct {
    rest: []const u8,

    fn take(cursor: *Cursor, size: usize) Error![]const u8 {
        if (size > cursor.rest.len) return error.Malformed;
        defer cursor.rest = cursor.rest[size..];
        return cursor.rest[0..size];
    }

    fn number(cursor: *Cursor, comptime T: type) Error!T {
        const size = @divExact(@bitSizeOf(T), 8);
        return std.mem.readInt(T, (try cursor.take(size))[0..size], .big);
    }

    fn signed(cursor: *Cursor, comptime T: type) Error!Head {
        const found: i64 = try cursor.number(T);
        return if (found < 0) .{ .negative = found } else .{ .unsigned = @intCast(found) };
    }

    fn head(cursor: *Cursor) Error!Head {
        const first = try cursor.number(u8);
        return switch (first) {
            0x00...0x7f => .{ .unsigned = first },
            0x80...0x8f => .{ .map = first & 15 },
            0x90...0x9f => .{ .array = first & 15 },
            0xa0...0xbf => .{ .text = first & 31 },
            0xc0 => .nil,
            0xc2, 0xc3 => .{ .boolean = first == 0xc3 },
            0xc4 => .{ .binary = try cursor.number(u8) },
            0xc5 => .{ .binary = try cursor.number(u16) },
            0xc6 => .{ .binary = try cursor.number(u32) },
            0xca => .{ .float = @as(f32, @bitCast(try cursor.number(u32))) },
            0xcb => .{ .float = @bitCast(try cursor.number(u64)) },
            0xcc => .{ .unsigned = try cursor.number(u8) },
            0xcd => .{ .unsigned = try cursor.number(u16) },
            0xce => .{ .unsigned = try cursor.number(u32) },
            0xcf => .{ .unsigned = try cursor.number(u64) },
            0xd0 => try cursor.signed(i8),
            0xd1 => try cursor.signed(i16),
            0xd2 => try cursor.signed(i32),
            0xd3 => try cursor.signed(i64),
            0xd9 => .{ .text = try cursor.number(u8) },
            0xda => .{ .text = try cursor.number(u16) },
            0xdb => .{ .text = try cursor.number(u32) },
            0xdc => .{ .array = try cursor.number(u16) },
            0xdd => .{ .array = try cursor.number(u32) },
            0xde => .{ .map = try cursor.number(u16) },
            0xdf => .{ .map = try cursor.number(u32) },
            0xe0...0xff => .{ .negative = @as(i8, @bitCast(first)) },
            0xc1, 0xc7...0xc9, 0xd4...0xd8 => error.Malformed,
        };
    }

    /// Steps over one value with all that is in it. Most of an event is only stepped over: this does not go by `head`.
    fn skip(cursor: *Cursor) Error!void {
        var rest = cursor.rest;
        var left: u64 = 1; // 2^32 entries of a map, and more behind them, cannot wrap it
        while (left > 0) {
            left -= 1;
            if (rest.len == 0) return error.Malformed;
            const size, const inside = sizes(rest) orelse return error.Malformed;
            if (size > rest.len) return error.Malformed;
            rest = rest[@intCast(size)..];
            left += inside;
        }
        cursor.rest = rest;
    }

    fn read(cursor: *Cursor, comptime T: type, gpa: std.mem.Allocator) Error!T {
        switch (T) {
            Value => {
                const start = cursor.rest;
                try cursor.skip();
                return .{ .bytes = start[0 .. start.len - cursor.rest.len] };
            },
            Binary => return switch (try cursor.head()) {
                .binary => |size| .{ .bytes = try cursor.take(size) },
                else => error.Malformed,
            },
            []const u8 => {
                const bytes = try cursor.text();
                return if (isAscii(bytes) or std.unicode.utf8ValidateSlice(bytes)) bytes else error.Malformed;
            },
            f64 => return switch (try cursor.head()) {
                .float => |found| found,
                inline .unsigned, .negative => |found| @floatFromInt(found),
                else => error.Malformed,
            },
            bool => return switch (try cursor.head()) {
                .boolean => |truth| truth,
                else => error.Malformed,
            },
            else => {},
        }
        switch (@typeInfo(T)) {
            .int => return switch (try cursor.head()) {
                inline .unsigned, .negative => |found| std.math.cast(T, found) orelse error.Malformed,
                else => error.Malformed,
            },
            .optional => |optional| return if (cursor.stepsOverNil()) null else try cursor.read(optional.child, gpa),
            .pointer => |slice| return cursor.list(slice.child, gpa),
            .@"struct" => |info| if (@hasField(T, "is_both")) {
                const start = cursor.rest;
                const parts = try cursor.read(@FieldType(T, "parts"), gpa);
                return .{ .value = .{ .bytes = start[0 .. start.len - cursor.rest.len] }, .parts = parts };
            } else return if (info.is_tuple) cursor.tuple(T, gpa) else cursor.map(T, gpa),
            else => @compileError("cannot read a " ++ @typeName(T)),
        }
    }

    /// The bytes of a text, which are not looked at.
    fn text(cursor: *Cursor) Error![]const u8 {
        return switch (try cursor.head()) {
            .text => |size| cursor.take(size),
            else => error.Malformed,
        };
    }

    fn list(cursor: *Cursor, comptime T: type, gpa: std.mem.Allocator) Error![]const T {
        const count = try cursor.items();
        if (count > cursor.rest.len) return error.Malformed; // each takes a byte: nothing is allocated for a lie
        const made = try gpa.alloc(T, count);
        for (made) |*item| item.* = try cursor.read(T, gpa);
        return made;
    }

    fn tuple(cursor: *Cursor, comptime T: type, gpa: std.mem.Allocator) Error!T {
        var made: T = undefined;
        if (try cursor.items() != made.len) return error.Malformed;
        inline for (&made) |*item| item.* = try cursor.read(@TypeOf(item.*), gpa);
        return made;
    }

    fn map(cursor: *Cursor, comptime T: type, gpa: std.mem.Allocator) Error!T {
        const info = @typeInfo(T).@"struct";
        var made: T = undefined;
        var seen: [info.field_names.len]bool = @splat(false);
        inline for (info.field_names, info.field_types, info.field_attrs) |name, Field, attributes| {
            if (attributes.defaultValue(Field)) |default| @field(made, name) = default;
        }
        for (0..try cursor.entries()) |_| {
            const key = try cursor.text();
            inline for (info.field_names, info.field_types, info.field_attrs, &seen) |name, Field, attributes, *found| {
                if (std.mem.eql(u8, key, name)) {
                    if (found.*) return error.Malformed;
                    found.* = true;
                    const is_default = attributes.defaultValue(Field) != null and cursor.stepsOverNil();
                    if (!is_default) @field(made, name) = try cursor.read(Field, gpa);
                    break;
                }
            } else try cursor.skip();
        }
        inline for (info.field_types, info.field_attrs, seen) |Field, attributes, found| {
            if (!found and attributes.defaultValue(Field) == null) return error.Malformed;
        }
        return made;
    }

    fn fields(cursor: *Cursor, comptime count: usize, names: *const [count][]const u8) Error![count]?Value {
        var found: [count]?Value = @splat(null);
        var seen: [count]bool = @splat(false);
        for (0..try cursor.entries()) |_| {
            const key = try cursor.text();
            for (names, &seen, &found) |name, *was_seen, *value| {
                if (!std.mem.eql(u8, key, name)) continue;
                if (was_seen.*) return error.Malformed;
                was_seen.* = true;
                if (!cursor.stepsOverNil()) value.* = try cursor.read(Value, .failing);
                break;
            } else try cursor.skip();
        }
        return found;
    }

    fn entries(cursor: *Cursor) Error!u32 {
        return switch (try cursor.head()) {
            .map => |count| count,
            else => error.Malformed,
        };
    }

    fn items(cursor: *Cursor) Error!u32 {
        return switch (try cursor.head()) {
            .array => |count| count,
            else => error.Malformed,
        };
    }

    fn stepsOverNil(cursor: *Cursor) bool {
        const nil = cursor.rest.len > 0 and cursor.rest[0] == 0xc0;
        if (nil) cursor.rest = cursor.rest[1..];
        return nil;
    }
};

/// Eight bytes at a time, unlike `std.ascii.isAscii` where there are no vectors: most texts end here.
fn isAscii(bytes: []const u8) bool {
    var rest = bytes;
    var all: u64 = 0;
    while (rest.len >= 8) : (rest = rest[8..]) all |= std.mem.readInt(u64, rest[0..8], .little);
    for (rest) |byte| all |= byte;
    return all & 0x8080808080808080 == 0;
}

/// Writes values one behind the other.
pub const Writer = struct {
    gpa: std.mem.Allocator,
    buffer: std.ArrayList(u8) = .empty,

    /// What `Value.as` would read back as the same: an integer, `bool`, `[]const u8`, `Binary`, `Value`, a slice of
    /// these, a tuple or struct, or an optional. An enum is written as the text of its name.
    pub fn write(writer: *Writer, value: anytype) Error!void {
        const T = @TypeOf(value);
        switch (T) {
            []const u8, []u8 => return writer.sized(.{ 0xa0, 32, 0xd9, 0xda, 0xdb }, value),
            Binary => return writer.sized(.{ 0, 0, 0xc4, 0xc5, 0xc6 }, value.bytes),
            Value => return writer.buffer.appendSlice(writer.gpa, value.bytes),
            else => {},
        }
        switch (@typeInfo(T)) {
            .bool => try writer.byte(if (value) 0xc3 else 0xc2),
            .@"enum" => try writer.write(@as([]const u8, @tagName(value))),
            .int, .comptime_int => if (value < 0) try writer.negative(value) else try writer.unsigned(@intCast(value)),
            .optional => if (value) |there| try writer.write(there) else try writer.byte(0xc0),
            .pointer => |pointer| switch (pointer.size) {
                .one => try writer.write(@as([]const std.meta.Elem(T), value)),
                else => {
                    try writer.array(value.len);
                    for (value) |item| try writer.write(item);
                },
            },
            .@"struct" => |info| if (info.is_tuple) {
                try writer.array(value.len);
                inline for (value) |item| try writer.write(item);
            } else {
                try writer.map(info.field_names.len);
                inline for (info.field_names) |name| {
                    try writer.write(@as([]const u8, name));
                    try writer.write(@field(value, name));
                }
            },
            else => @compileError("cannot write a " ++ @typeName(T)),
        }
    }

    /// The head of a list: its items follow.
    pub fn array(writer: *Writer, items: usize) Error!void {
        try writer.head(.{ 0x90, 16, null, 0xdc, 0xdd }, items);
    }

    /// The head of a map: for each entry its key and its value follow.
    pub fn map(writer: *Writer, entries: usize) Error!void {
        try writer.head(.{ 0x80, 16, null, 0xde, 0xdf }, entries);
    }

    fn sized(writer: *Writer, markers: Markers, bytes: []const u8) Error!void {
        try writer.head(markers, bytes.len);
        try writer.buffer.appendSlice(writer.gpa, bytes);
    }

    /// The first marker and how many sizes fit into it; then those in front of a size of 8, 16 and 32 bits.
    const Markers = struct { u8, usize, ?u8, u8, u8 };

    fn head(writer: *Writer, markers: Markers, size: usize) Error!void {
        const first, const fits, const of8, const of16, const of32 = markers;
        if (size < fits) return writer.byte(first | @as(u8, @intCast(size)));
        if (of8) |marker| if (std.math.cast(u8, size)) |short| return writer.marked(marker, u8, short);
        if (std.math.cast(u16, size)) |short| return writer.marked(of16, u16, short);
        try writer.marked(of32, u32, @intCast(size));
    }

    fn unsigned(writer: *Writer, number: u64) Error!void {
        if (number < 0x80) return writer.byte(@intCast(number));
        if (std.math.cast(u8, number)) |short| return writer.marked(0xcc, u8, short);
        if (std.math.cast(u16, number)) |short| return writer.marked(0xcd, u16, short);
        if (std.math.cast(u32, number)) |short| return writer.marked(0xce, u32, short);
        try writer.marked(0xcf, u64, number);
    }

    fn negative(writer: *Writer, number: i64) Error!void {
        if (number >= -32) return writer.byte(@bitCast(@as(i8, @intCast(number))));
        try writer.marked(0xd3, i64, number);
    }

    fn marked(writer: *Writer, marker: u8, comptime T: type, number: T) Error!void {
        try writer.byte(marker);
        var bytes: [@divExact(@bitSizeOf(T), 8)]u8 = undefined;
        std.mem.writeInt(T, &bytes, number, .big);
        try writer.buffer.appendSlice(writer.gpa, &bytes);
    }

    fn byte(writer: *Writer, value: u8) Error!void {
        try writer.buffer.append(writer.gpa, value);
    }
};

test "what was written is read back" {
    var arena: std.heap.ArenaAllocator = .init(std.testing.allocator);
    defer arena.deinit();
    const gpa = arena.allocator();
    const T = struct { u64, u32, bool, []const u8, Binary, ?u8, ?u8, []const struct { []const u8, u16 } };
    const long: [70_000]u8 = @splat('x');
    const bytes: Binary = .{ .bytes = long[0..300] };
    const given: T = .{ 1 << 40, 300, true, &long, bytes, null, 7, &.{ .{ "a", 1 }, .{ "", 65_535 } } };
    var writer: Writer = .{ .gpa = gpa };
    try writer.write(given);
    try std.testing.expectEqualDeep(given, try (try Value.parse(writer.buffer.items)).as(T, gpa));
}

test "every integer survives, and one that does not fit is refused" {
    var arena: std.heap.ArenaAllocator = .init(std.testing.allocator);
    defer arena.deinit();
    const gpa = arena.allocator();
    for (0..64) |bits| {
        const number = @as(u64, 1) << @intCast(bits);
        for ([_]u64{ number - 1, number, number +| 1 }) |given| {
            var writer: Writer = .{ .gpa = gpa };
            try writer.write(given);
            const value = try Value.parse(writer.buffer.items);
            try std.testing.expectEqual(given, try value.as(u64, gpa));
            if (given > 255) try std.testing.expectError(error.Malformed, value.as(u8, gpa));
        }
    }
    for ([_]i64{ -1, -32, -33, -1 << 40, std.math.minInt(i64) }) |given| {
        const value: Value = try .of(given, gpa);
        try std.testing.expectEqual(given, try value.as(i64, gpa));
        try std.testing.expectError(error.Malformed, value.as(u64, gpa));
    }
    try std.testing.expectEqual(-2, try (try Value.parse("\xd1\xff\xfe")).as(i8, gpa));
    try std.testing.expectError(error.Malformed, (try Value.parse("\xff")).as(u8, gpa));
}

test "a map is read by the names of the fields" {
    const T = struct { a: u8 = 3, b: ?[]const u8 = null, c: bool };
    const parsed = struct {
        fn parsed(bytes: []const u8) Error!T {
            return (try Value.parse(bytes)).as(T, std.testing.failing_allocator);
        }
    }.parsed;
    try std.testing.expectEqualDeep(T{ .c = true }, try parsed("\x81\xa1c\xc3"));
    const all = "\x84\xa1c\xc2\xa1z\x91\x80\xa1a\x05\xa1b\xa1x";
    try std.testing.expectEqualDeep(T{ .a = 5, .b = "x", .c = false }, try parsed(all));
    try std.testing.expectEqualDeep(T{ .c = true }, try parsed("\x83\xa1a\xc0\xa1b\xc0\xa1c\xc3"));
    const missing, const nil, const other = .{ "\x80", "\x81\xa1c\xc0", "\x81\xa1c\x01" };
    const twice, const no_text, const no_map = .{ "\x82\xa1c\xc3\xa1c\xc3", "\x82\xa1c\xc3\x01\x01", "\x90" };
    for ([_][]const u8{ missing, nil, other, twice, no_text, no_map }) |bytes|
        try std.testing.expectError(error.Malformed, parsed(bytes));
}

test "what is no msgpack is refused" {
    const nested: [5000]u8 = @splat(0x81);
    const short = [_][]const u8{ "", "\x93", "\xcd\x01", "\xdf\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff", &nested };
    const unknown = [_][]const u8{ "\xc1", "\xd4\x01\x01" };
    const long = [_][]const u8{"\x01\x01"};
    for (short ++ unknown ++ long) |bytes|
        try std.testing.expectError(error.Malformed, Value.parse(bytes));
}

test "a text that is read is UTF-8" {
    const failing: std.mem.Allocator = .failing;
    for ([_][]const u8{ "\xa1\xff", "\xa1\xc3", "\xa2\xc0\xaf", "\xa3\xed\xa0\x80" }) |bytes| {
        const value: Value = try .parse(bytes);
        try std.testing.expectError(error.Malformed, value.as([]const u8, failing));
        try std.testing.expectError(error.Malformed, value.text());
    }
    try std.testing.expectEqualStrings("é", (try (try Value.parse("\xa2é")).text()).?);
    try std.testing.expectEqual(null, try (try Value.parse("\x05")).text());
}

test "fields are found by their names" {
    const value: Value = try .parse("\x84\xa1a\x05\xa1z\x91\x80\xa1b\xc0\xa1c\xa1x");
    const a, const b, const c, const d = try value.fields(.{ "a", "b", "c", "d" });
    try std.testing.expectEqual(5, try a.?.as(u8, .failing));
    try std.testing.expectEqual(null, b);
    try std.testing.expectEqualStrings("x", (try c.?.text()).?);
    try std.testing.expectEqual(null, d);
    for ([_][]const u8{ "\x82\xa1a\x01\xa1a\x01", "\x82\xa1a\xc0\xa1a\xc0", "\x81\x01\x01", "\x90" }) |bytes|
        try std.testing.expectError(error.Malformed, (try Value.parse(bytes)).fields(.{"a"}));
}

test "a struct is written as a map, floats are read from any number" {
    var arena: std.heap.ArenaAllocator = .init(std.testing.allocator);
    defer arena.deinit();
    const value: Value = try .of(.{ .a = 1, .b = .{ "x", false } }, arena.allocator());
    try std.testing.expectEqualStrings("\x82\xa1a\x01\xa1b\x92\xa1x\xc2", value.bytes);
    for ([_][]const u8{ "\x02", "\xca\x40\x00\x00\x00", "\xcb\x40\x00\x00\x00\x00\x00\x00\x00" }) |bytes|
        try std.testing.expectEqual(2.0, try (try Value.parse(bytes)).as(f64, .failing));
    try std.testing.expectEqual(-1.0, try (try Value.parse("\xff")).as(f64, .failing));
}
