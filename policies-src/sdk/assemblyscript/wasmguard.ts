// What a policy in AssemblyScript stands on: guest ABI 1, without imports. Its entry file says:
//
//     import { Answer, Request, textOf, answered } from "../../sdk/assemblyscript/wasmguard";
//
//     export { wasmguard_abi_1, wasmguard_alloc } from "../../sdk/assemblyscript/wasmguard";
//
//     export function wasmguard_evaluate(start: usize, size: usize): u64 {
//       return answered(start, size, judge);
//     }
//
//     function judge(request: Request): Answer {
//       const answer = new Answer();
//       const found = request.event.fields(["tool_name"]);
//       if (textOf(found[0]).is("Bash")) answer.deny("no shell here");
//       return answer;
//     }
//
// A request that cannot be read ends in a trap, never in an answer: the host makes that a deny. Build with `--runtime
// stub`, which never frees (every event gets a fresh instance), and `--use abort=`, which makes each failed check a
// trap.

import { Kind, parseFields, Value, Writer } from "./msgpack";
import { Buffer, Text } from "./text";

export { Items, Kind, parse, textOf, unlessNil, Value, Writer } from "./msgpack";
export { Buffer, Text } from "./text";

const KEYS: StaticArray<string> = ["abi", "event", "settings", "state"];

/** What a policy is asked. */
export class Request {
  constructor(
    readonly event: Value,
    readonly settings: Value,
    /** What it remembered last; null for nothing. */
    readonly state: Text | null,
  ) {}

  /** Every key must be there: a request without `state` does not say that nothing is remembered. */
  static parse(start: usize, size: usize): Request {
    const found = parseFields(start, size, KEYS);
    for (let i = 0; i < found.length; i++) if (!found[i]) unreachable();
    if (found[0]!.unsigned() != 1 || found[1]!.kind != Kind.Map || found[2]!.kind != Kind.Map) unreachable();
    return new Request(found[1]!, found[2]!, found[3]!.isNil ? null : found[3]!.binary());
  }
}

/** What a policy says. One that nothing was done to passes. */
export class Answer {
  effect: string = "pass";
  /** One line for the owner and the model. */
  reason: Text = new Text();
  /** Text for the model, where the event takes it. */
  context: Text = new Text();
  /** With a deny: the run ends. */
  interrupt: bool = false;
  /** What to remember; empty forgets it, null leaves it as it is. */
  state: Text | null = null;
  /** For the record. */
  notes: Text[] = [];

  deny(reason: string): void {
    this.effect = "deny";
    this.reason = new Buffer().say(reason).text;
  }

  encode(): Text {
    const writer = new Writer();
    const state = this.state;
    const set = i32(this.reason.size > 0) + i32(this.context.size > 0) + i32(this.interrupt);
    writer.map(1 + set + i32(state != null) + i32(this.notes.length > 0));
    writer.key("effect");
    writer.key(this.effect);
    if (this.reason.size) {
      writer.key("reason");
      writer.text(this.reason);
    }
    if (this.context.size) {
      writer.key("context");
      writer.text(this.context);
    }
    if (this.interrupt) {
      writer.key("interrupt");
      writer.boolean(true);
    }
    if (state) {
      writer.key("state");
      writer.binary(state);
    }
    if (this.notes.length) {
      writer.key("notes");
      writer.list(this.notes.length);
      for (let i = 0; i < this.notes.length; i++) writer.text(this.notes[i]);
    }
    return writer.buffer.text;
  }
}

/** What `wasmguard_evaluate` returns for the answer of `judge`. */
export function answered(start: usize, size: usize, judge: (request: Request) => Answer): u64 {
  const answer = judge(Request.parse(start, size)).encode();
  return (<u64>answer.start << 32) | answer.size;
}

/** Names the version of the ABI. Nobody calls it. */
export function wasmguard_abi_1(): void {}

/** Where the host may write `size` bytes. Traps if there is no room. */
export function wasmguard_alloc(size: usize): usize {
  return heap.alloc(size);
}
