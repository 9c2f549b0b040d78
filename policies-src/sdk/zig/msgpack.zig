//! msgpack, read where it lies and written into one growing buffer.
//!
//! 1. `Value.parse` goes over all the bytes once. What is no msgpack, ends too early or goes on behind its end is
//!    `error.Malformed`, and so is ext, which requests have not. Nothing recurses: depth costs nothing.
//! 2. `Value.as` reads a value into a Zig type: a list into a slice, or into a tuple of as many items; a map into a
//!    struct, by the names of its fields. A wrong type or a number that does not fit is `error.Malformed`.
//! 3. An unknown key of a map is stepped over, one that comes twice is `error.Malformed`. A field that is absent or nil
//!    has its default; without a default it is `error.Malformed`.

const std = @import("std");

pub const Error = error{ Malformed, OutOfMemory };

/// One value in bytes that `parse` has been over.
pub const Value = struct {
    /// The bytes from its first one on; what follows it is behind.
    bytes: []const u8,

    /// The one value that fills all the bytes.
    pub fn parse(bytes: []const u8) Error!Value {
        var cursor: Cursor = .{ .rest = bytes };
        try cursor.skip();
        if (cursor.rest.len != 0) return error.Malformed;
        return .{ .bytes = bytes };
    }

    /// The value as a `T`: an integer, `bool`, `[]const u8` (a text), `Binary`, a slice of these, a tuple or struct,
    /// `Value`, or an optional. Texts stay where they lie, slices are allocated.
    pub fn as(value: Value, comptime T: type, gpa: std.mem.Allocator) Error!T {
        var cursor: Cursor = .{ .rest = value.bytes };
        return cursor.read(T, gpa);
    }
};

/// Bytes that are no text.
pub const Binary = struct { bytes: []const u8 };

/// What comes first of a value: all of a scalar, the size of everything else.
const Head = union(enum) {
    nil,
    boolean: bool,
    unsigned: u64,
    negative: i64,
    float,
    text: u32,
    binary: u32,
    array: u32,
    map: u32,
};

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
            0xca => float: {
                _ = try cursor.take(4);
                break :float .float;
            },
            0xcb => float: {
                _ = try cursor.take(8);
                break :float .float;
            },
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

    fn skip(cursor: *Cursor) Error!void {
        var left: u64 = 1;
        while (left > 0) : (left -= 1) {
            switch (try cursor.head()) {
                .text, .binary => |size| _ = try cursor.take(size),
                .array => |count| left += count,
                .map => |count| left += 2 * @as(u64, count),
                else => {},
            }
        }
    }

    fn read(cursor: *Cursor, comptime T: type, gpa: std.mem.Allocator) Error!T {
        switch (T) {
            Value => {
                const start = cursor.rest;
                try cursor.skip();
                return .{ .bytes = start };
            },
            Binary => return switch (try cursor.head()) {
                .binary => |size| .{ .bytes = try cursor.take(size) },
                else => error.Malformed,
            },
            []const u8 => return switch (try cursor.head()) {
                .text => |size| cursor.take(size),
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
            .@"struct" => |fields| return if (fields.is_tuple) cursor.tuple(T, gpa) else cursor.map(T, gpa),
            else => @compileError("cannot read a " ++ @typeName(T)),
        }
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
        const count = switch (try cursor.head()) {
            .map => |count| count,
            else => return error.Malformed,
        };
        for (0..count) |_| {
            const key = try cursor.read([]const u8, gpa);
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

/// Writes values one behind the other.
pub const Writer = struct {
    gpa: std.mem.Allocator,
    buffer: std.ArrayList(u8) = .empty,

    /// What `Value.as` would read back as the same: an integer that is not negative, `bool`, `[]const u8`, `Binary`, a
    /// slice of these, a tuple, or an optional. An enum is written as the text of its name.
    pub fn write(writer: *Writer, value: anytype) Error!void {
        const T = @TypeOf(value);
        switch (T) {
            []const u8, []u8 => return writer.sized(.{ 0xa0, 32, 0xd9, 0xda, 0xdb }, value),
            Binary => return writer.sized(.{ 0, 0, 0xc4, 0xc5, 0xc6 }, value.bytes),
            else => {},
        }
        switch (@typeInfo(T)) {
            .bool => try writer.byte(if (value) 0xc3 else 0xc2),
            .@"enum" => try writer.write(@as([]const u8, @tagName(value))),
            .int, .comptime_int => try writer.unsigned(value),
            .optional => if (value) |there| try writer.write(there) else try writer.byte(0xc0),
            .pointer => |pointer| switch (pointer.size) {
                .one => try writer.write(@as([]const std.meta.Elem(T), value)),
                else => {
                    try writer.array(value.len);
                    for (value) |item| try writer.write(item);
                },
            },
            .@"struct" => {
                try writer.array(value.len);
                inline for (value) |item| try writer.write(item);
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
    try std.testing.expectEqual(-2, try (try Value.parse("\xd1\xff\xfe")).as(i8, gpa));
    try std.testing.expectError(error.Malformed, (try Value.parse("\xff")).as(u8, gpa));
}

test "a map is read by the names of the fields" {
    const T = struct { a: u8 = 3, b: ?[]const u8 = null, c: bool };
    const read = struct {
        fn read(bytes: []const u8) Error!T {
            return (try Value.parse(bytes)).as(T, std.testing.failing_allocator);
        }
    }.read;
    try std.testing.expectEqualDeep(T{ .c = true }, try read("\x81\xa1c\xc3"));
    const all = "\x84\xa1c\xc2\xa1z\x91\x80\xa1a\x05\xa1b\xa1x";
    try std.testing.expectEqualDeep(T{ .a = 5, .b = "x", .c = false }, try read(all));
    try std.testing.expectEqualDeep(T{ .c = true }, try read("\x83\xa1a\xc0\xa1b\xc0\xa1c\xc3"));
    const missing, const nil, const other = .{ "\x80", "\x81\xa1c\xc0", "\x81\xa1c\x01" };
    const twice, const no_text, const no_map = .{ "\x82\xa1c\xc3\xa1c\xc3", "\x82\xa1c\xc3\x01\x01", "\x90" };
    for ([_][]const u8{ missing, nil, other, twice, no_text, no_map }) |bytes|
        try std.testing.expectError(error.Malformed, read(bytes));
}

test "what is no msgpack is refused" {
    const nested: [5000]u8 = @splat(0x81);
    const short = [_][]const u8{ "", "\x93", "\xcd\x01", "\xdf\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff", &nested };
    const unknown = [_][]const u8{ "\xc1", "\xd4\x01\x01" };
    const long = [_][]const u8{"\x01\x01"};
    for (short ++ unknown ++ long) |bytes|
        try std.testing.expectError(error.Malformed, Value.parse(bytes));
}
