// Hooks of others and ours, as one.
//
// The client runs all hooks of an event at once, each on the original; of several rewrites the last to finish wins. So
// theirs could undo a rewrite of ours, or bring one that nobody judged. As one hook,
//
// 1. theirs come first, in their order, each on what those before it left; ours judges what comes out of that;
// 2. the strictest effect counts (deny, defer, ask, allow); an allow does not vouch for what is rewritten after it;
// 3. one of theirs that throws, hangs or says nonsense denies, whatever its `onFailure`; after a tool, the model hears
//    of it;
// 4. an input that they change on PermissionRequest is another call, and the daemon is asked about it.
//
// A matcher means what it means to the client: names with `|`, else a regular expression that is not anchored; one that
// is wrong never matches. It also means a tool by a name that it had before, and a Monitor as `Bash`: such a hook is
// shown a Bash with the same command, and what it rewrites goes back into the Monitor.

import { refusal } from "./answers.js";
import { isObject, said } from "./daemon.js";

const PATIENCE = 60; // seconds for a hook that does not say how long it takes
const RANKS = ["pass", "allow", "ask", "defer", "deny"];
const OTHER_NAMES = {
  // Of Claude Code 2.1.330.
  Agent: ["Task"],
  TaskStop: ["KillShell", "KillBash"],
  ListAgents: ["ListPeers"],
  SendUserMessage: ["Brief"],
  ListMcpResourcesTool: ["ListMcpResources"],
  ReadMcpResourceTool: ["ReadMcpResource"],
  ReadMcpResourceDirTool: ["ReadMcpResourceDir"],
  SetGoal: ["ProposeGoal"],
  REPL: ["Eval"],
  ArtifactComments: ["Artifact"],
  ArtifactData: ["Artifact"],
  ArtifactCheck: ["Artifact"],
};
const ARTIFACTS = {
  ArtifactComments: ["comments", "reply", "resolve", "watch", "unwatch", "status", "resume_replies"],
  ArtifactData: ["read_db", "write_db"],
  ArtifactCheck: ["verify", "preview"],
};
const SHELL_GATES = ["PreToolUse", "PermissionRequest"];
const NEGATED = /\(\?<?!|\[\^/; // such an expression means a Monitor only where it says `Bash`
const OUTPUTS = ["updatedToolOutput", "updatedMCPToolOutput"];

/** One group for `PreToolUse`: the callbacks of *groups*, then *ours*. */
export function preToolUse(groups, ours, own) {
  return one(groups, own, async (event, id, options) => {
    const heard = [];
    let current = event;
    for await (const answer of asked(groups, () => current, id, options)) {
      const theirs = effect(answer);
      heard.push(theirs);
      if (theirs.effect === "deny") return spoken(heard, event, current);
      if (theirs.input) {
        current = { ...current, tool_input: theirs.input };
        voidAllows(heard, theirs);
      }
    }
    const answer = await ours(current, id, options);
    const last = effect(answer);
    heard.push(last);
    if (last.input) voidAllows(heard, last);
    return spoken(heard, event, last.input ? { ...current, tool_input: last.input } : current);
  });
}

/** One group for `PostToolUse`: the callbacks of *groups*, then *ours*. */
export function postToolUse(groups, ours, own) {
  return one(groups, own, async (event, id, options) => {
    const heard = [];
    let current = event;
    for await (const answer of asked(groups, () => current, id, options)) {
      heard.push(answer.failed ? { decision: "block", reason: answer.failed } : answer);
      const key = OUTPUTS.find((name) => answer.hookSpecificOutput?.[name] !== undefined);
      if (key) current = { ...current, tool_response: answer.hookSpecificOutput[key] };
    }
    heard.push(await ours(current, id, options));
    return after(heard);
  });
}

/** One group for `PermissionRequest`: *ours* first; *again* is asked about what the callbacks of *groups* allow. */
export function permissionRequest(groups, ours, again, own) {
  return one(groups, own, async (event, id, options) => {
    const answer = await ours(event, id, options);
    if (decision(answer)) return answer;
    for await (const theirs of asked(groups, () => event, id, options)) {
      const { behavior, ...said } = theirs.failed ? { behavior: "deny" } : (decision(theirs) ?? {});
      const why = theirs.failed || said.message || "refused by a hook";
      if (behavior === "deny") return requested({ behavior, ...said, message: why });
      if (behavior === "allow") return requested(await again(event, { behavior, ...said }, options?.signal));
      if (behavior !== undefined) return refusal(event, "wasmguard: a hook gave an answer that nobody understands");
    }
    return {};
  });
}

/** Whether *matcher* means the tool *name*. */
export function matches(matcher, name) {
  if (matcher === undefined || matcher === null || matcher === "" || matcher === "*") return true;
  if (/^[\w,| -]*$/.test(matcher)) return matcher.split(/[|,]/).some((word) => word.trim() === name);
  try {
    return new RegExp(matcher).test(name);
  } catch {
    return false;
  }
}

function one(groups, own, hook) {
  const theirs = groups.reduce((sum, group) => sum + group.hooks.length * (group.timeout ?? PATIENCE), 0);
  const walled = (event, id, options) =>
    hook(event, id, options).catch((error) => refusal(event, `wasmguard: ${said(error)}`));
  return [{ ...own, timeout: own.timeout + theirs, hooks: [walled] }];
}

/** What the callbacks that are meant answer, one after the other; `failed` says why there is none. */
async function* asked(groups, current, id, options) {
  for (const { matcher, hooks, timeout = PATIENCE } of groups) {
    for (const hook of hooks) {
      const event = current();
      const given = shown(matcher, event);
      const answer = given && (await within(timeout, () => hook(structuredClone(given), id, options)));
      if (given) yield given.tool_name === event.tool_name ? answer : carriedBack(answer, event);
    }
  }
}

/** What a hook with *matcher* is shown of *event*, or undefined if it is not asked. */
export function shown(matcher, event) {
  const { hook_event_name: name, tool_name: tool = "", tool_input: input } = event;
  const former = Object.hasOwn(OTHER_NAMES, tool) ? OTHER_NAMES[tool] : [];
  const acting = tool === "Artifact" ? Object.keys(ARTIFACTS).filter((as) => ARTIFACTS[as].includes(input?.action)) : [];
  if ([tool, ...former, ...acting].some((one) => matches(matcher, one))) return event;
  if (tool !== "Monitor" || !SHELL_GATES.includes(name)) return undefined;
  const { command, description } = input ?? {};
  if (typeof command !== "string" || !command || !matches(matcher, "Bash")) return undefined;
  if (NEGATED.test(matcher) && !matcher.includes("Bash")) return undefined;
  const about = typeof description === "string" ? { command, description } : { command };
  return { ...event, tool_name: "Bash", tool_input: about };
}

/** What was answered about a Monitor by who was shown a Bash. */
function carriedBack(answer, event) {
  const back = (input) => {
    if (typeof input?.command !== "string") throw new Error("a hook rewrote a command away");
    return { ...event.tool_input, ...input };
  };
  const carried = (part) =>
    Object.fromEntries(
      Object.entries(part).map(([key, value]) =>
        ["updatedInput", "modifiedInput"].includes(key) && value != null ? [key, back(value)] : [key, value],
      ),
    );
  try {
    const specific = isObject(answer.hookSpecificOutput) ? answer.hookSpecificOutput : undefined;
    if (!specific) return carried(answer);
    const decision = isObject(specific.decision) ? { decision: carried(specific.decision) } : {};
    return { ...carried(answer), hookSpecificOutput: { ...carried(specific), ...decision } };
  } catch (error) {
    return { failed: `wasmguard: ${said(error)}` };
  }
}

async function within(seconds, hook) {
  let timer;
  try {
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${seconds} s`)), seconds * 1000);
    });
    const answer = await Promise.race([hook(), late]);
    if (!isObject(answer)) throw new Error("no answer");
    return answer;
  } catch (error) {
    return { failed: `wasmguard: a hook failed: ${said(error)}` };
  } finally {
    clearTimeout(timer);
  }
}

/** What an answer to PreToolUse means, in today's words and those of older SDKs. */
function effect(answer) {
  if (answer.failed) return { effect: "deny", reason: answer.failed };
  const specific = isObject(answer.hookSpecificOutput) ? answer.hookSpecificOutput : {};
  const old = { approve: "allow", block: "deny" }[answer.decision] ?? answer.decision;
  const words = [specific.permissionDecision, old].filter((word) => word !== undefined && word !== null);
  const known = words.every((word) => RANKS.includes(word) && word !== "pass");
  const input = specific.updatedInput ?? specific.modifiedInput ?? answer.updatedInput ?? answer.modifiedInput;
  if (!known || (input != null && !isObject(input))) {
    return { effect: "deny", reason: "wasmguard: a hook gave an answer that nobody understands" };
  }
  const reason = specific.permissionDecisionReason ?? answer.reason ?? "";
  const { continue: on, stopReason, systemMessage, suppressOutput } = answer;
  return {
    effect: words.reduce(strictest, "pass"),
    reason,
    input: input ?? undefined,
    context: specific.additionalContext,
    top: { ...(on === false ? { continue: false, stopReason } : {}), systemMessage, suppressOutput },
  };
}

function strictest(one, other) {
  return RANKS.indexOf(one) >= RANKS.indexOf(other) ? one : other;
}

/** Take back what was allowed before *rewriter* rewrote the input (rule 2). */
function voidAllows(heard, rewriter) {
  for (const before of heard) {
    if (before !== rewriter && before.effect === "allow") before.effect = "pass";
  }
}

/** All that was *heard* as one answer to PreToolUse; *event* was, *current* is to be. */
function spoken(heard, event, current) {
  const final = heard.map((answer) => answer.effect).reduce(strictest, "pass");
  const reasons = heard.filter((answer) => answer.effect === final && answer.reason).map((answer) => answer.reason);
  const contexts = heard.map((answer) => answer.context).filter(Boolean);
  const said = final === "pass" ? {} : { permissionDecision: final, permissionDecisionReason: reasons.join("\n") };
  if (final === "deny" && !said.permissionDecisionReason.trim()) said.permissionDecisionReason = "refused by a hook";
  if (current !== event && final !== "deny") said.updatedInput = current.tool_input;
  if (contexts.length) said.additionalContext = contexts.join("\n");
  return { ...together(heard.map((answer) => answer.top)), ...specific("PreToolUse", said) };
}

/** All that was *heard* as one answer to PostToolUse; of several outputs the last, which is ours if we gave one. */
function after(heard) {
  const blocks = heard.filter((answer) => answer.decision === "block");
  const parts = heard.map((answer) => answer.hookSpecificOutput ?? {});
  const contexts = parts.map((part) => part.additionalContext).filter(Boolean);
  const written = parts.findLast((part) => OUTPUTS.some((name) => part[name] !== undefined)) ?? {};
  const said = Object.fromEntries(
    OUTPUTS.filter((name) => written[name] !== undefined).map((name) => [name, written[name]]),
  );
  if (contexts.length) said.additionalContext = contexts.join("\n");
  const block = blocks.length ? { decision: "block", reason: blocks.map((answer) => answer.reason).join("\n") } : {};
  const { hookSpecificOutput: _, decision: __, reason: ___, ...top } = Object.assign({}, ...heard);
  return { ...top, ...together(heard), ...block, ...specific("PostToolUse", said) };
}

/** The keys of the top level that end a run or speak to the user. */
function together(tops) {
  const ending = tops.find((top) => top?.continue === false);
  const messages = tops.map((top) => top?.systemMessage).filter(Boolean);
  return {
    ...(ending ? { continue: false, stopReason: ending.stopReason } : {}),
    ...(messages.length ? { systemMessage: messages.join("\n") } : {}),
    ...(tops.some((top) => top?.suppressOutput) ? { suppressOutput: true } : {}),
  };
}

function decision(answer) {
  return answer.hookSpecificOutput?.decision;
}

function requested(said) {
  return specific("PermissionRequest", { decision: said });
}

function specific(name, answer) {
  return Object.keys(answer).length ? { hookSpecificOutput: { hookEventName: name, ...answer } } : {};
}
