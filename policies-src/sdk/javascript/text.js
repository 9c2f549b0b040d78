// TextEncoder and TextDecoder, which QuickJS has not and @msgpack/msgpack makes when it is loaded: import this first.
//
// Both are strict, as the library's own readers are not: bytes that are no UTF-8, and lone surrogates, end the event.

// Beside the component with QuickJS lies a small one, which `wasmguard build` adds: it takes a list of bytes and gives
// the same bytes as a text, or the other way round. The engine checks that they are UTF-8, as it must for every text that
// passes between two components, and traps if not. In this language a byte would cost ten to forty times as much.
import text from "wasmguard:policy/text@1.0.0";

/** The text of UTF-8 bytes. */
export function decoded(bytes) {
  return text.decoded(bytes);
}

/** The text in UTF-8. */
export function encoded(given) {
  if (!given.isWellFormed()) throw new TypeError("half a character, a lone surrogate, is no text");
  return text.encoded(given);
}

globalThis.TextDecoder = class {
  decode(bytes) {
    return decoded(bytes);
  }
};

globalThis.TextEncoder = class {
  encode(given) {
    return encoded(given);
  }

  encodeInto(given, target) {
    const bytes = encoded(given);
    target.set(bytes);
    return { read: given.length, written: bytes.length };
  }
};
