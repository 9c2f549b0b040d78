// wasmguard for the Claude Agent SDK: what the daemon on this machine decides, as `canUseTool` and as hooks.
//
//     import { query } from "@anthropic-ai/claude-agent-sdk";
//     import { connect } from "wasmguard-client";
//
//     const guard = connect();
//     for await (const message of query({ prompt, options: guard.options({ cwd }) })) ...
//
// Nothing here decides, and nothing here lets a call go on because something failed.

import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { EVENTS, hookAnswer, permission, refusal } from "./answers.js";
import { Daemon, said } from "./daemon.js";
import { permissionRequest, postToolUse, preToolUse } from "./folded.js";
import { Judged, about as aboutOf, same } from "./judged.js";
import { CALL, callback, denied, plain } from "./permission.js";
import { addressOf, checkedToken, installedUrl, readToken, stateFolder } from "./places.js";

export { EVENTS };

const HOOK = "/v1/hook/claude-code";
const TIMEOUT = 25_000; // milliseconds for an answer
const LATER = 5; // seconds that the SDK waits longer than we do

/** The guard that the daemon at *url* is. Throws if what is given cannot be meant; the daemon need not be there yet. */
export function connect({ url, token, tokenFile, timeoutMs = TIMEOUT, configDir, daemonUser } = {}) {
  if (!(timeoutMs > 0 && timeoutMs <= 600_000))
    throw new TypeError(`\`timeoutMs\` is \`${timeoutMs}\`: write milliseconds`);
  const file = token === undefined ? (tokenFile ?? join(stateFolder(), "token")) : undefined;
  const daemon = new Daemon({
    address: addressOf(url ?? process.env.WASMGUARD_URL ?? installedUrl()),
    token: file === undefined ? checkedToken(token) : readToken(file),
    tokenFile: file,
    user: daemonUser ?? process.geteuid?.(),
  });
  return new Guard(daemon, timeoutMs, { CLAUDE_CONFIG_DIR: configDir ?? process.env.CLAUDE_CONFIG_DIR });
}

class Guard {
  #daemon;
  #timeoutMs;
  #places;
  #judged = new Judged();

  constructor(daemon, timeoutMs, places) {
    this.#daemon = daemon;
    this.#timeoutMs = timeoutMs;
    this.#places = places;
    for (const name of ["decide", "canUseTool", "hooks", "options", "status", "close"])
      this[name] = this[name].bind(this);
  }

  /** What the policies answer to a hook's *event*, in the form that the SDK takes. Never rejects: see `refusal`. */
  decide(event, options) {
    return this.#decided(event, options?.signal, this.#places);
  }

  /** A `canUseTool` for the SDK. *human* has the same form; *about* says what `canUseTool` is not told. */
  canUseTool(human, about) {
    return callback(this.#asking(this.#places), this.#judged, human, about);
  }

  /** Hooks for the SDK, for all *events*. */
  hooks({ events = EVENTS } = {}) {
    return this.#hooks(events, this.#places);
  }

  /** *base*, options of the SDK, guarded: all hooks, and `canUseTool` if nobody else is asked. */
  options(base = {}, { events = EVENTS, unasked } = {}) {
    const environ = base.env ?? process.env;
    const folder = resolve(base.cwd ?? ".");
    const places = { CLAUDE_PROJECT_DIR: folder, HOME: environ.HOME, ...this.#places };
    if (environ.CLAUDE_CONFIG_DIR) places.CLAUDE_CONFIG_DIR = environ.CLAUDE_CONFIG_DIR;
    const asks = !base.permissionPromptToolName;
    const theirs = base.hooks ?? {};
    const ours = this.#hooks(
      events.filter((name) => !(asks && name === "PermissionRequest")),
      places,
    );
    const hooks = { ...theirs };
    for (const [name, groups] of Object.entries(ours)) hooks[name] = [...groups, ...(theirs[name] ?? [])];
    const [own] = this.#group([]);
    const judge = this.#hook(places);
    if (theirs.PreToolUse?.length && ours.PreToolUse) hooks.PreToolUse = preToolUse(theirs.PreToolUse, judge, own);
    if (theirs.PostToolUse?.length && ours.PostToolUse) hooks.PostToolUse = postToolUse(theirs.PostToolUse, judge, own);
    if (theirs.PermissionRequest?.length) {
      hooks.PermissionRequest = permissionRequest(theirs.PermissionRequest, judge, this.#again(places), own);
    }
    const about = { cwd: folder, ...(base.permissionMode ? { permissionMode: base.permissionMode } : {}), unasked };
    const canUseTool = callback(this.#asking(places), this.#judged, base.canUseTool, about);
    return { ...base, hooks, ...(asks ? { canUseTool } : {}) };
  }

  /** How the daemon is (`GET /v1/status`). Rejects if it does not answer: ask at the start, to hear it then. */
  status() {
    return this.#daemon.ask("GET", "/v1/status", { timeoutMs: this.#timeoutMs });
  }

  /** Let go of connections to the daemon. */
  close() {
    this.#daemon.close();
  }

  async #decided(event, signal, places) {
    try {
      const name = event?.hook_event_name;
      const answer = hookAnswer(name, await this.#posted(HOOK, event, signal, places));
      this.#judged.note(event, answer);
      return answer;
    } catch (error) {
      return refusal(event, `wasmguard: ${said(error)}`);
    }
  }

  #posted(path, question, signal, places) {
    return this.#daemon.ask("POST", path, { question, signal, context: headers(places), timeoutMs: this.#timeoutMs });
  }

  #asking(places) {
    return (path, question, signal) => this.#posted(path, question, signal, places);
  }

  /** What is left of an allow that a PermissionRequest hook of theirs gave: what it changed in the input is judged. */
  #again(places) {
    return async (event, theirs, signal) => {
      const input = theirs.updatedInput ?? event.tool_input;
      if (same(input, event.tool_input)) return theirs;
      try {
        const question = { version: 1, toolName: event.tool_name, input, ...aboutOf(event), asks: true };
        const answer = permission(await this.#posted(CALL, question, signal, places), true);
        return answer.behavior === "deny" ? plain(answer) : { ...theirs, updatedInput: answer.updatedInput ?? input };
      } catch (error) {
        return denied(error);
      }
    };
  }

  #hook(places) {
    return (event, _, options) => this.#decided(event, options?.signal, places);
  }

  #group(hooks) {
    return [{ hooks, timeout: Math.ceil(this.#timeoutMs / 1000) + LATER, onFailure: "block" }];
  }

  #hooks(events, places) {
    return Object.fromEntries(events.map((name) => [name, this.#group([this.#hook(places)])]));
  }
}

/** The headers that tell the daemon where the agent's settings are. A path goes as its bytes in UTF-8. */
function headers({ HOME = homedir(), CLAUDE_CONFIG_DIR, CLAUDE_PROJECT_DIR }) {
  const said = { "X-Home": HOME, "X-Claude-Config-Dir": CLAUDE_CONFIG_DIR, "X-Claude-Project-Dir": CLAUDE_PROJECT_DIR };
  const paths = Object.entries(said).filter(([, path]) => path && isAbsolute(path));
  return Object.fromEntries(paths.map(([name, path]) => [name, Buffer.from(path, "utf8").toString("latin1")]));
}
