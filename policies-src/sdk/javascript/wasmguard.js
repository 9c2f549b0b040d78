// What a policy in JavaScript or TypeScript stands on. README.md is the whole of it on one page, wasmguard.d.ts its types.
//
//     import { deny, pass, policy } from "../kit/wasmguard.js";
//
//     policy((request) => (request.toolName === "Bash" ? deny("no shell here") : pass()));

import { encoded } from "./text.js"; // before the library
import { Encoder } from "@msgpack/msgpack";
import { Answer } from "./answer.js";
import { Request } from "./request.js";

export { Answer, allow, ask, deny, pass, rewrite } from "./answer.js";
export { normal, within } from "./paths.js";
export { Malformed } from "./reader.js";
export { Request } from "./request.js";

/** The library's, but it writes a text as it is, and does not count and write its characters one by one. */
class Writer extends Encoder {
  encodeString(text) {
    const bytes = encoded(text);
    this.writeStringHeader(bytes.length);
    this.ensureBufferSizeToWrite(bytes.length);
    this.bytes.set(bytes, this.pos);
    this.pos += bytes.length;
  }
}

const writer = new Writer();
let judge;

/** Names the one function that is the policy. */
export function policy(given) {
  if (judge) throw new TypeError("policy() is called twice: keep one");
  if (typeof given !== "function") throw new TypeError("policy() wants a function");
  judge = given;
}

/** The world's one function, which the build exports. Whatever is thrown is its error arm, which the host makes a deny. */
export function evaluate(bytes) {
  const answer = marked()(new Request(bytes));
  if (!(answer instanceof Answer)) throw new TypeError("the policy returned no Answer: return pass() for no opinion");
  return writer.encode(answer.said);
}

/** The policy. */
export function marked() {
  if (!judge) throw new TypeError("there is no policy: call policy() in src/policy");
  return judge;
}
