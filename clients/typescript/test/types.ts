// Does what this package gives fit what the SDK takes? Compiled, never run.

import {
  query,
  type CanUseTool,
  type HookCallbackMatcher,
  type HookEvent,
  type Options,
} from "@anthropic-ai/claude-agent-sdk";
import { connect, EVENTS, type About, type Guard, type Permission } from "wasmguard-client";

const guard: Guard = connect({ url: "http://127.0.0.1:8123", tokenFile: "/token", timeoutMs: 1000 });
const human: CanUseTool = async (toolName, input, { signal, suggestions }) =>
  toolName === "Write" && !signal.aborted
    ? { behavior: "allow", updatedInput: input, updatedPermissions: suggestions }
    : null;

const canUseTool: CanUseTool = guard.canUseTool(human);
const hooks: Partial<Record<HookEvent, HookCallbackMatcher[]>> = guard.hooks({ events: ["PreToolUse", "Stop"] });
const base: Options = { cwd: "/repo", canUseTool: human, hooks: { Stop: [{ hooks: [async () => ({})] }] } };
const options: Options = guard.options(base, { unasked: "pass" });
const known: readonly HookEvent[] = EVENTS;
const about: About = { sessionId: "s", unasked: "deny" };

async function guides(): Promise<Permission> {
  const older: Permission = await guard.canUseTool()({ toolName: "Write", input: {} });
  return older.behavior === "deny" ? older : guard.canUseTool(human, about)("Write", {}, { toolUseID: "t" });
}

export { canUseTool, guides, hooks, known };
export const session = query({ prompt: "p", options });
export const status: Promise<Record<string, unknown>> = guard.status();
