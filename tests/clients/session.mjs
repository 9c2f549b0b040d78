// One session of the real Claude Agent SDK, guarded by wasmguard-client, as a JSON file says; prints what happened.
//
//     node session.mjs scenario.json
//
// `guard` says how it is guarded: `options` (all of it), `callback` (`canUseTool` alone), `hooks` alone, or `none`.
// `human` is what the human callback answers: absent for none, a result, or `{changes: {...}}` to fields of the input.
// `kill` is a process group that is ended when the first tool's result is there.

import { readFileSync } from "node:fs";
import { connect } from "../../clients/typescript/src/index.js";

const scenario = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { query } = await import(scenario.sdk);
const happened = { asked: [], calls: [], results: [], result: null, error: null };
const guard = connect(scenario.connect);

function human(toolName, input, options) {
  happened.asked.push({ toolName, input, message: options.message ?? null, suggestions: options.suggestions ?? [] });
  const { changes, remembers, ...answer } = scenario.human;
  if (changes) return { behavior: "allow", updatedInput: { ...input, ...changes } };
  return remembers ? { behavior: "allow", updatedPermissions: options.suggestions } : answer;
}

function guarded(base) {
  const asks = scenario.human && human;
  if (scenario.guard === "callback") return { ...base, canUseTool: recorded(guard.canUseTool(asks, scenario.about)) };
  if (scenario.guard === "hooks") return { ...base, hooks: guard.hooks(scenario.hooks) };
  if (scenario.guard === "none") return base;
  const options = guard.options({ ...base, ...(asks ? { canUseTool: asks } : {}) }, scenario.hooks);
  return { ...options, canUseTool: recorded(options.canUseTool) };
}

function recorded(canUseTool) {
  return async (...asked) => {
    const answer = await canUseTool(...asked);
    happened.calls.push({ toolName: asked[0], answer });
    return answer;
  };
}

try {
  for await (const message of query({ prompt: scenario.prompt, options: guarded(scenario.options) })) {
    if (message.type === "user") {
      for (const part of Array.isArray(message.message.content) ? message.message.content : []) {
        if (part.type !== "tool_result") continue;
        const text = typeof part.content === "string" ? part.content : JSON.stringify(part.content);
        happened.results.push({ error: Boolean(part.is_error), text });
        if (scenario.kill && happened.results.length === 1) process.kill(-scenario.kill, "SIGKILL");
      }
    }
    if (message.type === "result") happened.result = message;
  }
} catch (error) {
  happened.error = String(error);
}
guard.close();
console.log(JSON.stringify(happened));
