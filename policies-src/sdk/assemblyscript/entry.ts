// The entry of every module: `policy` of the project's `assembly/policy.ts`, behind the exports that the host calls.

import { policy } from "../assembly/policy";
import { Request } from "./request";
import { Request as Parts } from "./wasmguard";

export { wasmguard_abi_1, wasmguard_alloc } from "./wasmguard";

export function wasmguard_evaluate(start: usize, size: usize): u64 {
  const answer = policy(new Request(Parts.parse(start, size))).encode();
  return ((<u64>answer.start) << 32) | answer.size;
}
