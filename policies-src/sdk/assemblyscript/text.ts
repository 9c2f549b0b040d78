// Texts as they come: UTF-8, somewhere in memory. AssemblyScript's own strings are UTF-16 and only used for literals.

/** The code unit at an index of the string, without the check of `charCodeAt`, which costs more than the rest. */
@inline
function unit(literal: string, index: i32): u16 {
  return load<u16>(changetype<usize>(literal) + ((<usize>index) << 1));
}

/** Whether this literal of ASCII begins at `start`, where there are as many bytes. */
@inline
export function isAscii(start: usize, literal: string): bool {
  for (let i = 0; i < literal.length; i++) {
    if (load<u8>(start + i) != unit(literal, i)) return false;
  }
  return true;
}

/** Bytes of UTF-8 that somebody else owns. */
export class Text {
  constructor(
    readonly start: usize = 0,
    /** In bytes. */
    readonly size: i32 = 0,
  ) {}

  /** The byte at `index`. Traps if there is none. */
  at(index: i32): u8 {
    if (<u32>index >= <u32>this.size) unreachable();
    return load<u8>(this.start + index);
  }

  /** From one byte up to another; both may lie behind the end. */
  slice(from: i32, to: i32 = i32.MAX_VALUE): Text {
    const end = min(to, this.size);
    const begin = min(from, end);
    return new Text(this.start + begin, end - begin);
  }

  /** Whether it is this literal of ASCII. */
  is(literal: string): bool {
    return this.size == literal.length && this.begins(literal);
  }

  /** Whether it begins with this literal of ASCII. */
  begins(literal: string): bool {
    return this.size >= literal.length && isAscii(this.start, literal);
  }

  equals(other: Text): bool {
    return this.size == other.size && memory.compare(this.start, other.start, this.size) == 0;
  }

  startsWith(other: Text): bool {
    return this.size >= other.size && memory.compare(this.start, other.start, other.size) == 0;
  }

  /** The same without what is behind `most` bytes, cut between two characters. */
  cut(most: i32): Text {
    if (this.size <= most) return this;
    while (most > 0 && (this.at(most) & 0xc0) == 0x80) most--;
    return this.slice(0, most);
  }
}

/** A text that is being written. */
export class Buffer {
  start: usize = 0;
  size: i32 = 0;
  private room: i32 = 0;

  /** Everything that was written. It stays valid only until more is. */
  get text(): Text {
    return new Text(this.start, this.size);
  }

  byte(value: u8): void {
    store<u8>(this.reserve(1), value);
  }

  bytes(start: usize, size: i32): void {
    memory.copy(this.reserve(size), start, size);
  }

  add(text: Text): Buffer {
    this.bytes(text.start, text.size);
    return this;
  }

  /** A literal of ASCII. */
  say(literal: string): Buffer {
    const place = this.reserve(literal.length);
    for (let i = 0; i < literal.length; i++) store<u8>(place + i, <u8>unit(literal, i));
    return this;
  }

  /** A number in decimal digits. */
  count(number: u64): Buffer {
    if (number > 9) this.count(number / 10);
    this.byte(0x30 + <u8>(number % 10));
    return this;
  }

  /** Where the next `size` bytes go. */
  reserve(size: i32): usize {
    const end = this.size + size;
    if (end < this.size) unreachable();
    if (end > this.room) {
      this.room = max(max(2 * this.room, end), 64);
      this.start = this.start ? heap.realloc(this.start, this.room) : heap.alloc(this.room);
    }
    const place = this.start + this.size;
    this.size = end;
    return place;
  }
}
