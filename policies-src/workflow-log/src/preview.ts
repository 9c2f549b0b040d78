// The beginning of a value, as JSON on one line.

import { Buffer, Items, Kind, Text, Value } from "../../sdk/assemblyscript/wasmguard";

const DIGITS = "0123456789abcdef";

/** So many characters of a value, or all of it; what is missing is three dots. */
export function preview(value: Value, characters: i32): Text {
  const line = new Line(characters);
  line.value(value);
  return line.text;
}

/** Takes characters while there is room for them. */
class Line {
  private buffer: Buffer = new Buffer();

  constructor(private left: i32) {}

  get text(): Text {
    return this.isFull ? this.buffer.say("...").text : this.buffer.text;
  }

  /** Whether something did not fit. */
  private get isFull(): bool {
    return this.left < 0;
  }

  value(value: Value): void {
    switch (value.kind) {
      case Kind.Nil: return this.literal("null");
      case Kind.Boolean: return this.literal(value.boolean() ? "true" : "false");
      case Kind.Unsigned: return this.literal(value.unsigned().toString());
      case Kind.Negative: return this.literal(value.integer().toString());
      case Kind.Float: return this.literal(value.float().toString());
      case Kind.Text: return this.quoted(value.text());
      case Kind.List: return this.all(value.items(), "[", "]", false);
      case Kind.Map: return this.all(value.items(Kind.Map), "{", "}", true);
    }
    unreachable(); // binary: nothing that an event holds
  }

  private all(items: Items, open: string, close: string, isMap: bool): void {
    this.literal(open);
    for (let i = 0; items.left > 0 && !this.isFull; i++) {
      if (i > 0) this.literal(isMap && i % 2 == 1 ? ": " : ", ");
      this.value(items.next());
    }
    this.literal(close);
  }

  private quoted(text: Text): void {
    this.literal('"');
    for (let i = 0; i < text.size && !this.isFull; ) {
      const size = sizeOfCharacter(text.at(i));
      this.character(text.slice(i, i + size));
      i += size;
    }
    this.literal('"');
  }

  private character(character: Text): void {
    const byte = character.at(0);
    if (byte == 0x22 || byte == 0x5c) this.literal("\\");
    if (byte == 0x0a) this.literal("\\n");
    else if (byte == 0x09) this.literal("\\t");
    else if (byte < 0x20 || byte == 0x7f) this.escaped(byte);
    else if (--this.left >= 0) this.buffer.add(character);
  }

  private escaped(byte: u8): void {
    this.literal("\\u00");
    this.literal(DIGITS.charAt(byte >> 4));
    this.literal(DIGITS.charAt(byte & 15));
  }

  private literal(literal: string): void {
    for (let i = 0; i < literal.length && --this.left >= 0; i++) this.buffer.byte(<u8>literal.charCodeAt(i));
  }
}

/** How many bytes of UTF-8 a character has that begins with this one. */
function sizeOfCharacter(first: u8): i32 {
  return first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}
