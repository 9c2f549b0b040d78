// msgpack, read where it lies and written into one growing buffer.
//
// 1. `parse` and `parseFields` go over all the bytes. They trap at what is no msgpack, ends too early or goes on behind
//    its end, and at ext, which requests have not. Nothing recurses: depth costs nothing.
// 2. Every other function traps where a value has another type than asked for, or a number does not fit.
// 3. `fields` finds the values of a map, steps over the rest, and traps at a key that is no text or comes twice.
//
// Nothing here answers for what it cannot read: there is no error that a caller could forget to look at.

import { Buffer, isAscii, Text } from "./text";

/** Scalars first, then what has a size. */
export enum Kind {
  Nil,
  Boolean,
  Unsigned,
  Negative,
  Float,
  Text,
  Binary,
  List,
  Map,
}

/** Steps over values, from the head of one to the next. */
class Cursor {
  /** Of the last head: the boolean or number (of a float its bits), the bytes of a text, the items of a list, ... */
  value: u64 = 0;

  constructor(
    public at: usize,
    readonly end: usize,
  ) {}

  take(size: u64): usize {
    if (size > <u64>(this.end - this.at)) unreachable();
    const start = this.at;
    this.at += <usize>size;
    return start;
  }

  /** Reads what comes first of a value: all of a scalar, the size of everything else. */
  head(): Kind {
    const at = this.at;
    if (at >= this.end) unreachable();
    const first = load<u8>(at);
    this.at = at + 1;
    if (first < 0x80) return this.found(Kind.Unsigned, first);
    if (first < 0x90) return this.found(Kind.Map, first & 15);
    if (first < 0xa0) return this.found(Kind.List, first & 15);
    if (first < 0xc0) return this.found(Kind.Text, first & 31);
    if (first >= 0xe0) return this.found(Kind.Negative, <i64>(<i8>first));
    switch (first) {
      case 0xc0: return this.found(Kind.Nil, 0);
      case 0xc2: return this.found(Kind.Boolean, 0);
      case 0xc3: return this.found(Kind.Boolean, 1);
      case 0xc4: return this.found(Kind.Binary, this.number(1));
      case 0xc5: return this.found(Kind.Binary, this.number(2));
      case 0xc6: return this.found(Kind.Binary, this.number(4));
      case 0xca: return this.found(Kind.Float, reinterpret<u64>(<f64>reinterpret<f32>(<u32>this.number(4))));
      case 0xcb: return this.found(Kind.Float, this.number(8));
      case 0xcc: return this.found(Kind.Unsigned, this.number(1));
      case 0xcd: return this.found(Kind.Unsigned, this.number(2));
      case 0xce: return this.found(Kind.Unsigned, this.number(4));
      case 0xcf: return this.found(Kind.Unsigned, this.number(8));
      case 0xd0: return this.signed(<i64>(<i8>this.number(1)));
      case 0xd1: return this.signed(<i64>(<i16>this.number(2)));
      case 0xd2: return this.signed(<i64>(<i32>this.number(4)));
      case 0xd3: return this.signed(<i64>this.number(8));
      case 0xd9: return this.found(Kind.Text, this.number(1));
      case 0xda: return this.found(Kind.Text, this.number(2));
      case 0xdb: return this.found(Kind.Text, this.number(4));
      case 0xdc: return this.found(Kind.List, this.number(2));
      case 0xdd: return this.found(Kind.List, this.number(4));
      case 0xde: return this.found(Kind.Map, this.number(2));
      case 0xdf: return this.found(Kind.Map, this.number(4));
    }
    return unreachable(); // c1, which nothing begins with, and ext
  }

  /** Reads the text that comes next. */
  text(): Text {
    const size = this.sizeOfText();
    return new Text(this.take(size), <i32>size);
  }

  private sizeOfText(): u64 {
    const at = this.at;
    if (at < this.end && (load<u8>(at) & 0xe0) == 0xa0) { // almost all keys
      this.at = at + 1;
      return load<u8>(at) & 31;
    }
    if (this.head() != Kind.Text) unreachable();
    return this.value;
  }

  /** Steps over one value with all in it. Most of an event is only stepped over: this does not go by `head`. */
  skip(): void {
    const end = this.end;
    let left: u64 = 1; // 2^32 entries of a map, and more behind them, cannot wrap it
    do {
      left--;
      const at = this.at;
      if (at >= end) unreachable();
      const first = <u32>load<u8>(at);
      if (first < 0x80 || first >= 0xe0) {
        this.at = at + 1;
      } else if (first < 0xa0) {
        this.at = at + 1;
        left += first < 0x90 ? 2 * (first & 15) : first & 15;
      } else if (first < 0xc0) this.take(1 + (first & 31));
      else left += this.skipSized(first);
    } while (left);
  }

  /** Steps over what begins with a byte from c0 to df, without the values in it. Returns how many these are. */
  private skipSized(first: u32): u64 {
    if (first == 0xd9) {
      this.at++;
      this.take(this.number(1));
    } else if (first >= 0xcc && first < 0xd4) this.take(1 + (1 << (first & 3))); // integers
    else {
      const kind = this.head();
      if (kind == Kind.Text || kind == Kind.Binary) this.take(this.value);
      else if (kind == Kind.List) return this.value;
      else if (kind == Kind.Map) return 2 * this.value;
    }
    return 0;
  }

  /** What a map has under each of these keys, in their order; null where it has nothing. */
  fields(keys: StaticArray<string>): StaticArray<Value | null> {
    const found = new StaticArray<Value | null>(keys.length);
    if (this.head() != Kind.Map) unreachable();
    for (let left = this.value; left > 0; left--) {
      const size = this.sizeOfText();
      const start = this.take(size);
      const place = placeOf(start, <i32>size, keys);
      const value = this.at;
      this.skip();
      if (place < 0) continue;
      if (found[place]) unreachable();
      found[place] = new Value(value, this.at);
    }
    return found;
  }

  @inline
  private found(kind: Kind, value: u64): Kind {
    this.value = value;
    return kind;
  }

  private signed(value: i64): Kind {
    return this.found(value < 0 ? Kind.Negative : Kind.Unsigned, value);
  }

  /** A number of so many bytes, the highest first. */
  @inline
  private number(width: i32): u64 {
    const start = this.take(width);
    if (width == 1) return load<u8>(start);
    if (width == 2) return bswap<u16>(load<u16>(start));
    return width == 4 ? bswap<u32>(load<u32>(start)) : bswap<u64>(load<u64>(start));
  }
}

/** Which of the keys stands in these bytes; negative if none does. */
function placeOf(start: usize, size: i32, keys: StaticArray<string>): i32 {
  for (let i = 0, count = keys.length; i < count; i++) {
    const key = unchecked(keys[i]);
    if (key.length == size && isAscii(start, key)) return i;
  }
  return -1;
}

/** One value in bytes that `parse` has been over. */
export class Value {
  constructor(
    private start: usize,
    private end: usize,
  ) {}

  get kind(): Kind {
    return this.cursor().head();
  }

  get isNil(): bool {
    return this.kind == Kind.Nil;
  }

  boolean(): bool {
    return this.expect(Kind.Boolean).value != 0;
  }

  unsigned(): u64 {
    return this.expect(Kind.Unsigned).value;
  }

  /** Any integer but those over 2^63. */
  integer(): i64 {
    const cursor = this.cursor();
    const kind = cursor.head();
    if (kind != Kind.Negative && (kind != Kind.Unsigned || <i64>cursor.value < 0)) unreachable();
    return <i64>cursor.value;
  }

  /** Any number. */
  float(): f64 {
    const cursor = this.cursor();
    switch (cursor.head()) {
      case Kind.Unsigned: return <f64>cursor.value;
      case Kind.Negative: return <f64>(<i64>cursor.value);
      case Kind.Float: return reinterpret<f64>(cursor.value);
    }
    return unreachable();
  }

  text(): Text {
    return this.cursor().text();
  }

  binary(): Text {
    const cursor = this.expect(Kind.Binary);
    const size = cursor.value;
    return new Text(cursor.take(size), <i32>size);
  }

  /** The items of a list, or the keys and values of a map in turns. */
  items(kind: Kind = Kind.List): Items {
    const cursor = this.expect(kind);
    return new Items(cursor, kind == Kind.Map ? 2 * cursor.value : cursor.value);
  }

  /** The items of a list that is short, all at once. */
  list(): Value[] {
    const made: Value[] = [];
    for (const items = this.items(); items.left > 0; ) made.push(items.next());
    return made;
  }

  /** What a map has under each of these keys, in their order; null where it has nothing. */
  fields(keys: StaticArray<string>): StaticArray<Value | null> {
    return this.cursor().fields(keys);
  }

  private cursor(): Cursor {
    return new Cursor(this.start, this.end);
  }

  /** A cursor behind the head of this value, which must be of this kind. */
  private expect(kind: Kind): Cursor {
    const cursor = this.cursor();
    if (cursor.head() != kind) unreachable();
    return cursor;
  }
}

/** Values that follow each other. */
export class Items {
  constructor(
    private cursor: Cursor,
    /** How many there are still. */
    public left: u64,
  ) {}

  /** The next one. Traps if there is none. */
  next(): Value {
    if (this.left == 0) unreachable();
    this.left--;
    const value = new Value(this.cursor.at, this.cursor.end);
    this.cursor.skip();
    return value;
  }
}

/** The one value that fills all the bytes. */
export function parse(start: usize, size: usize): Value {
  const cursor = new Cursor(start, start + size);
  cursor.skip();
  if (cursor.at != cursor.end) unreachable();
  return new Value(start, start + size);
}

/** The fields of the one map that fills all the bytes: see `Value.fields`. */
export function parseFields(start: usize, size: usize, keys: StaticArray<string>): StaticArray<Value | null> {
  const cursor = new Cursor(start, start + size);
  const found = cursor.fields(keys);
  if (cursor.at != cursor.end) unreachable();
  return found;
}

/** The value, or null if it is nil: events say so where there is nothing. */
export function unlessNil(value: Value | null): Value | null {
  return value && !value.isNil ? value : null;
}

/** The text, which is empty where there is none. */
export function textOf(value: Value | null): Text {
  const given = unlessNil(value);
  return given ? given.text() : new Text();
}

/** Writes values one behind the other. */
export class Writer {
  readonly buffer: Buffer = new Buffer();

  boolean(value: bool): void {
    this.buffer.byte(value ? 0xc3 : 0xc2);
  }

  unsigned(value: u64): void {
    if (value < 0x80) this.buffer.byte(<u8>value);
    else if (value <= u8.MAX_VALUE) this.marked(0xcc, value, 1);
    else if (value <= u16.MAX_VALUE) this.marked(0xcd, value, 2);
    else if (value <= u32.MAX_VALUE) this.marked(0xce, value, 4);
    else this.marked(0xcf, value, 8);
  }

  negative(value: i64): void {
    if (value >= -32) this.buffer.byte(<u8>value);
    else this.marked(0xd3, <u64>value, 8);
  }

  text(value: Text): void {
    if (value.size < 32) this.buffer.byte(0xa0 | <u8>value.size);
    else if (value.size < 1 << 8) this.marked(0xd9, value.size, 1);
    else this.sized(0xda, value.size);
    this.buffer.add(value);
  }

  /** A literal of ASCII, shorter than 32 characters: a key. */
  key(literal: string): void {
    if (literal.length > 31) unreachable();
    this.buffer.byte(0xa0 | <u8>literal.length);
    this.buffer.say(literal);
  }

  binary(value: Text): void {
    if (value.size < 1 << 8) this.marked(0xc4, value.size, 1);
    else this.sized(0xc5, value.size);
    this.buffer.add(value);
  }

  /** The head of a list: its items follow. */
  list(items: i32): void {
    if (items < 16) this.buffer.byte(0x90 | <u8>items);
    else this.sized(0xdc, items);
  }

  /** The head of a map: for each entry its key and its value follow. */
  map(entries: i32): void {
    if (entries < 16) this.buffer.byte(0x80 | <u8>entries);
    else this.sized(0xde, entries);
  }

  /** A size of 16 bits, or with the next marker of 32. */
  private sized(marker: u8, size: i32): void {
    if (size < 1 << 16) this.marked(marker, size, 2);
    else this.marked(marker + 1, size, 4);
  }

  private marked(marker: u8, value: u64, width: i32): void {
    this.buffer.byte(marker);
    for (let shift = 8 * (width - 1); shift >= 0; shift -= 8) this.buffer.byte(<u8>(value >> shift));
  }
}
