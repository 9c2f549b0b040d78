// Answers: which ones count, and what is said when there is none.
//
// 1. An answer that says anything that the daemon never says is no answer: nobody knows what it means.
// 2. Without an answer, what can be stopped is stopped, in the event's own form, as `refusal` of the Python side does
//    (`agents/claude.py`). Where a block means "go on working" nothing is said: a guard that is away must not keep an
//    agent running.
// 3. A tool's output that nobody could look at is withheld: a policy may be there to take secrets out of it.

import { isObject } from "./daemon.js";

/** The events of Claude Code 2.1.330, but for WorktreeCreate: who hooks that has to make the worktree. */
export const EVENTS = Object.freeze([
  ...["PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch", "PermissionRequest", "PermissionDenied"],
  ...["UserPromptSubmit", "UserPromptExpansion", "SessionStart", "SessionEnd", "Setup", "Stop", "StopFailure"],
  ...["SubagentStart", "SubagentStop", "PreCompact", "PostCompact", "PreModelSwitch", "PostModelSwitch"],
  ...["Notification", "ConfigChange", "TaskCreated", "TaskCompleted", "TeammateIdle", "Elicitation"],
  ...["ElicitationResult", "WorktreeRemove", "CwdChanged", "FileChanged", "DirectoryAdded", "InstructionsLoaded"],
  "MessageDisplay",
]);
const PERMITTED = new Set(["PreToolUse", "PreModelSwitch"]);
const BLOCKED = new Set([
  ...["UserPromptSubmit", "UserPromptExpansion", "PreCompact", "ConfigChange", "TaskCreated", "PostToolBatch"],
  ...["Elicitation", "ElicitationResult"],
]);
const NOTICE = "[withheld by wasmguard: nobody could judge this output]";
/** Fields of tools' outputs that hold a word that the client knows: without it the client drops the whole answer. */
const WORDS = new Set([
  ...["type", "mode", "cell_type", "status", "outcome", "op", "operation", "action", "method", "level", "state"],
  ...["store_kind", "media_type", "mediaType"],
]);
const WORD = /^(?:[A-Za-z_-]{1,24}|base64)$/; // a secret has digits, or is longer
const NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/; // a key of a tool's own; any other one is text too
/** A PNG of one point: a picture that is none spoils the rest of the session. */
const POINT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
const [PICTURE, PNG] = ["image/", "image/png"];

const TOP = new Set(["continue", "stopReason", "decision", "reason", "hookSpecificOutput"]);
const SPEAKS = "PreCompact"; // where `systemMessage` is what the model is told
const SPECIFIC = {
  PreToolUse: ["permissionDecision", "permissionDecisionReason", "updatedInput", "additionalContext"],
  PreModelSwitch: ["permissionDecision", "permissionDecisionReason"],
  PermissionRequest: ["decision"],
  PostToolUse: ["updatedToolOutput", "additionalContext"],
};
const PERMISSION = {
  allow: { updatedInput: isObject, updatedPermissions: Array.isArray },
  deny: { message: isText, interrupt: (value) => value === true },
  ask: { updatedInput: isObject, message: isText },
};

/** *answer* to the hook event *name*, if it is one (rule 1). Throws else. */
export function hookAnswer(name, answer) {
  const { hookSpecificOutput: specific, ...top } = answer;
  refuseUnless(Object.keys(answer).every((key) => TOP.has(key) || (key === "systemMessage" && name === SPEAKS)));
  refuseUnless(!("continue" in top) || top.continue === false);
  refuseUnless(!("decision" in top) || (top.decision === "block" && isText(top.reason)));
  if (specific === undefined) return answer;
  const known = SPECIFIC[name] ?? ["additionalContext"];
  refuseUnless(isObject(specific) && specific.hookEventName === name);
  refuseUnless(Object.keys(specific).every((key) => key === "hookEventName" || known.includes(key)));
  const { permissionDecision: effect, updatedInput, decision } = specific;
  refuseUnless(effect === undefined || ["allow", "ask", "deny"].includes(effect));
  refuseUnless(updatedInput === undefined || isObject(updatedInput));
  refuseUnless(decision === undefined || (isObject(decision) && ["allow", "deny"].includes(decision.behavior)));
  return answer;
}

/** *answer* to whether a tool may run, if it is one (rule 1); `ask` only if somebody can be (*asks*). Throws else. */
export function permission(answer, asks) {
  const { version, behavior, ...rest } = answer;
  refuseUnless(version === 1 && Object.hasOwn(PERMISSION, behavior) && (behavior !== "ask" || asks));
  refuseUnless(Object.entries(rest).every(([key, value]) => PERMISSION[behavior][key]?.(value)));
  refuseUnless(behavior !== "deny" || isText(rest.message));
  return answer;
}

/** What is said to *event* when there is no answer, because of *why* (rules 2 and 3). */
export function refusal(event, why) {
  const name = event?.hook_event_name;
  if (name === "PermissionRequest") return specific(name, { decision: { behavior: "deny", message: why } });
  if (BLOCKED.has(name)) return { decision: "block", reason: why, ...(name === SPEAKS ? { systemMessage: why } : {}) };
  if (name === "PostToolUse") {
    const withheld = specific(name, { updatedToolOutput: withhold(event.tool_response, event.tool_name) });
    return { decision: "block", reason: why, ...withheld };
  }
  if (EVENTS.includes(name) && !PERMITTED.has(name)) return {};
  const denied = { permissionDecision: "deny", permissionDecisionReason: why };
  return specific(PERMITTED.has(name) ? name : "PreToolUse", denied);
}

/**
 * *value*, which *tool* gave back, with every text and picture in it replaced (`wasmguard/guest/outputs.py`,
 * `withheld`): in its shape, but for tools of MCP servers, where the client takes any.
 */
export function withhold(value, tool = undefined) {
  if (value !== null && value !== undefined && typeof tool === "string" && tool.startsWith("mcp__")) {
    return Array.isArray(value) ? [{ type: "text", text: NOTICE }] : NOTICE;
  }
  return emptied(value);
}

function emptied(value) {
  if (typeof value === "string") return NOTICE;
  if (Array.isArray(value)) return value.map(emptied);
  if (!isObject(value)) return value;
  const pictured = Object.values(value).some((item) => typeof item === "string" && item.startsWith(PICTURE));
  const entries = Object.entries(value);
  return Object.fromEntries(
    entries.map(([key, item], at) => [NAME.test(key) ? key : `${NOTICE} ${at}`, held(key, item, pictured)]),
  );
}

/** What is left of *value*, which stands under *key* in an object that may be a picture. */
function held(key, value, pictured) {
  if (typeof value !== "string") return emptied(value);
  if (pictured && (key === "base64" || key === "data")) return POINT;
  if (pictured && value.startsWith(PICTURE)) return PNG;
  return WORDS.has(key) && WORD.test(value) ? value : NOTICE;
}

function specific(name, said) {
  return { hookSpecificOutput: { hookEventName: name, ...said } };
}

function isText(value) {
  return typeof value === "string" && value.trim() !== "";
}

function refuseUnless(fits) {
  if (!fits) throw new Error("the answer is none of wasmguard's: is this another version?");
}
