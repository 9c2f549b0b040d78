// TextEncoder and TextDecoder, which QuickJS has not and @msgpack/msgpack makes when it is loaded: import this first.
//
// Both are strict, as the library's own readers are not: bytes that are no UTF-8, and lone surrogates, throw. They work
// in blocks, for one call of the engine costs as much as hundreds of characters in it.

const BLOCK = 8192; // arguments of one call; they lie on a stack

/** The text of UTF-8 bytes. */
export function decoded(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += BLOCK) text += String.fromCharCode.apply(null, bytes.subarray(i, i + BLOCK));
  return /^[\x00-\x7f]*$/.test(text) ? text : decodeURIComponent(escape(text));
}

/** Each byte of a text in UTF-8 as one character. */
export function octets(text) {
  return unescape(encodeURIComponent(text));
}

globalThis.TextDecoder = class {
  decode(bytes) {
    return decoded(bytes);
  }
};

globalThis.TextEncoder = class {
  encode(text) {
    const from = octets(text);
    const to = new Uint8Array(from.length);
    for (let i = 0; i < from.length; i++) to[i] = from.charCodeAt(i);
    return to;
  }

  encodeInto(text, target) {
    const bytes = this.encode(text);
    target.set(bytes);
    return { read: text.length, written: bytes.length };
  }
};
