// What our PreToolUse hook said about a call, until the SDK asks `canUseTool` about the same one.
//
// `canUseTool` is told neither the session nor the folder; the hook is. And policies that were asked about a call need
// not be asked again (some count): but only about the same id and tool, and exactly the input as the hook left it. Of that
// only a digest is kept: a call that a human denies never ends, and may be a large one.

import { createHash } from "node:crypto";

const MOST = 1_000; // calls that are remembered; most are asked about at once, or never

export class Judged {
  #calls = new Map();

  /** Remember that the hook gave *answer* to *event*. */
  note(event, answer) {
    const id = event.tool_use_id;
    const said = answer.hookSpecificOutput ?? {};
    if (event.hook_event_name !== "PreToolUse" || typeof id !== "string" || answer.decision || "continue" in answer)
      return;
    if (said.permissionDecision === "deny") return;
    if (this.#calls.size >= MOST) this.#calls.delete(this.#calls.keys().next().value);
    const input = digest(said.updatedInput ?? event.tool_input);
    this.#calls.set(id, { tool: event.tool_name, input, said: said.permissionDecision ?? "pass", about: about(event) });
  }

  /** What is known of a call: `about` it, and `judged` if the hook was asked about exactly this input. */
  of(id, tool, input) {
    const call = this.#calls.get(id);
    if (!call || call.tool !== tool) return {};
    return call.input === digest(input) ? { about: call.about, judged: call.said } : { about: call.about };
  }
}

/** What a hook's *event* says about where a call is made, under the names of the callback form. */
export function about(event) {
  const said = {
    sessionId: event.session_id,
    transcriptPath: event.transcript_path,
    cwd: event.cwd,
    permissionMode: event.permission_mode,
    agentID: event.agent_id,
    agentType: event.agent_type,
  };
  return Object.fromEntries(Object.entries(said).filter(([, value]) => typeof value === "string"));
}

/** Whether *one* and *other* are the same JSON, whatever the order of keys. */
export function same(one, other) {
  return canonical(one) === canonical(other);
}

function digest(value) {
  return createHash("sha256")
    .update(canonical(value) ?? "")
    .digest("base64");
}

function canonical(value) {
  return JSON.stringify(value, (_, item) => {
    if (typeof item !== "object" || item === null || Array.isArray(item)) return item;
    return Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
