// Where the values of a request lie. What a policy asks for is then decoded by @msgpack/msgpack, and nothing else is.
//
// 1. Bytes that are no request throw: a value that does not end, a byte that starts none, an ext type, a key that is no
//    text, a key that is asked for and comes twice, a text that is read and is no UTF-8.
// 2. Everything else is stepped over, and a text of 300 kB costs as much as an empty one.
// 3. A loop and no recursion: depth costs nothing.

import { decoded } from "./text.js";
import { Decoder } from "@msgpack/msgpack";

/** The request is not one of this ABI. */
export class Malformed extends Error {
  constructor(why) {
    super(why);
    this.name = "Malformed";
  }
}

const SIZES = new Array(256).fill(0); // of a value with its first byte; 0 if that is not all there is to know
for (let head = 0; head < 256; head++) {
  if (head < 0x80 || head >= 0xe0 || head === 0xc0 || head === 0xc2 || head === 0xc3) SIZES[head] = 1;
  else if (head >= 0xa0 && head < 0xc0) SIZES[head] = 1 + head - 0xa0; // texts
}
[4, 8, 1, 2, 4, 8, 1, 2, 4, 8].forEach((size, i) => (SIZES[0xca + i] = 1 + size)); // floats, integers

const WIDTHS = { 0xc4: 1, 0xc5: 2, 0xc6: 4, 0xd9: 1, 0xda: 2, 0xdb: 4, 0xdc: 2, 0xdd: 4, 0xde: 2, 0xdf: 4 };
const NIL = 0xc0;

// No cache of keys: it chooses what to drop by chance.
const library = new Decoder({ keyDecoder: null });

const isText = (head) => (head >= 0xa0 && head < 0xc0) || (head >= 0xd9 && head <= 0xdb);
const isMap = (head) => (head >= 0x80 && head < 0x90) || head === 0xde || head === 0xdf;
const isBinary = (head) => head >= 0xc4 && head <= 0xc6;

export class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.size = bytes.length;
  }

  /** Where the value that begins at `at` ends, with all that is in it. `seen` is told where each text lies. */
  behind(at, seen) {
    const bytes = this.bytes;
    const around = [];
    let left = 1; // values before the innermost map or list ends
    let inMap = false; // then every other value is a key: those after which an odd number is left
    for (;;) {
      while (left > 0) {
        if (at >= this.size) throw new Malformed("it is cut off");
        const head = bytes[at];
        left--;
        if (inMap && left & 1 && !isText(head)) throw new Malformed("a key is no text");
        const size = SIZES[head];
        if (size > 0) {
          if (seen && isText(head)) seen(at + 1, at + size);
          at += size;
        } else if (isText(head) || isBinary(head)) {
          const start = at + 1 + WIDTHS[head];
          const end = start + this.number(at + 1, WIDTHS[head]);
          if (seen && isText(head)) seen(start, end);
          at = end;
        } else {
          around.push(left, inMap);
          left = this.inside(at, head);
          inMap = isMap(head);
          at += 1 + (WIDTHS[head] ?? 0);
        }
      }
      if (around.length === 0) {
        if (at > this.size) throw new Malformed("it is cut off");
        return at;
      }
      inMap = around.pop();
      left = around.pop();
    }
  }

  /** How many values are directly in the map or list that begins at `at`. */
  inside(at, head) {
    if (head >= 0x80 && head < 0x90) return 2 * (head & 15);
    if (head >= 0x90 && head < 0xa0) return head & 15;
    if (head === 0xdc || head === 0xdd) return this.number(at + 1, WIDTHS[head]);
    if (head === 0xde || head === 0xdf) return 2 * this.number(at + 1, WIDTHS[head]);
    throw new Malformed(`the byte ${head.toString(16)} begins no value that a request may hold`);
  }

  /** A big-endian number of `width` bytes. */
  number(at, width) {
    if (at + width > this.size) throw new Malformed("it is cut off");
    let number = 0;
    for (let i = 0; i < width; i++) number = number * 256 + this.bytes[at + i];
    return number;
  }

  /** The map that begins at `at`. The maps in `known` are read with it, so that nothing is stepped over twice. */
  map(at, known) {
    const head = this.bytes[at];
    if (at >= this.size || !isMap(head)) throw new Malformed("a map is missing");
    const fields = new Fields(this);
    const { bytes } = this;
    let next = at + 1 + (WIDTHS[head] ?? 0);
    for (let left = this.inside(at, head); left > 0; left -= 2) {
      const key = bytes[next];
      if (!isText(key)) throw new Malformed("a key is no text");
      const value = SIZES[key] > 0 ? next + SIZES[key] : this.behind(next);
      const first = bytes[value];
      let end = value + SIZES[first]; // `behind` costs ten times as much, and most values do not need it
      if (!(SIZES[first] > 0)) {
        const name = isMap(first) ? this.among(known, next, value) : undefined;
        if (name) fields.maps[name] = this.map(value, known[name]);
        end = name ? fields.maps[name].end : this.behind(value);
      }
      fields.places.push(next, value, end);
      next = end;
    }
    fields.end = next;
    return fields;
  }

  /** Which of the names the key is that begins at `at`. */
  among(known, at, end) {
    const start = this.insideOf(at);
    for (const name in known) if (end - start === name.length && this.octets(start, end) === name) return name;
    return undefined;
  }

  /** Where the bytes of the text begin that begins at `at`. */
  insideOf(at) {
    return at + 1 + (WIDTHS[this.bytes[at]] ?? 0);
  }

  /** Bytes, each as one character. */
  octets(start, end) {
    return String.fromCharCode.apply(null, this.bytes.subarray(start, end));
  }

  /** The value there. */
  value(start, end) {
    if (isText(this.bytes[start])) return decoded(this.bytes.subarray(this.insideOf(start), end));
    // The library takes what is no UTF-8 for text, where the text is short.
    this.behind(start, (from, to) => decoded(this.bytes.subarray(from, to)));
    return library.decode(this.bytes.subarray(start, end));
  }
}

/** Each byte of a name in UTF-8 as one character. */
function octets(name) {
  return unescape(encodeURIComponent(name));
}

/** The fields of a map. */
class Fields {
  places = []; // of each field: where its key begins, its value, and what is behind
  maps = {}; // those that were asked for, and are maps
  end = 0;

  constructor(reader) {
    this.reader = reader;
  }

  /** The field's number, or -1. */
  find(name) {
    const { reader, places } = this;
    const wanted = octets(name);
    const size = wanted.length;
    let found = -1;
    for (let i = 0; i < places.length; i += 3) {
      const start = places[i + 1] - size;
      if (start - places[i] > 5 || start !== reader.insideOf(places[i])) continue;
      if (reader.octets(start, places[i + 1]) !== wanted) continue;
      if (found >= 0) throw new Malformed(`the key ${name} comes twice`);
      found = i;
    }
    return found;
  }

  /** The field's value, decoded; undefined if there is none. */
  value(name) {
    const i = this.find(name);
    return i < 0 ? undefined : this.reader.value(this.places[i + 1], this.places[i + 2]);
  }

  /** The field's value if it is a text, and undefined if it is anything else. */
  text(name) {
    const i = this.find(name);
    if (i < 0 || !isText(this.reader.bytes[this.places[i + 1]])) return undefined;
    return this.reader.value(this.places[i + 1], this.places[i + 2]);
  }

  /** Whether a float stands there: 1.0 is 1 in this language. */
  isFloat(name) {
    const i = this.find(name);
    return i >= 0 && (this.reader.bytes[this.places[i + 1]] & 0xfe) === 0xca;
  }

  /** The field's map, not decoded; undefined if there is none, or nil. It was named when this map was read. */
  map(name) {
    const i = this.find(name);
    if (i < 0 || this.reader.bytes[this.places[i + 1]] === NIL) return undefined;
    if (!this.maps[name]) throw new Malformed(`${name} is no map`);
    return this.maps[name];
  }
}
