// What the daemon says is what the SDK is told, and what the SDK says is what the daemon is asked.

import assert from "node:assert/strict";
import { test } from "node:test";
import { EVENTS, connect } from "../src/index.js";
import { matches, shown } from "../src/folded.js";
import { TOKEN, answer, server } from "./hostile.js";

const HOOK = "/v1/hook/claude-code";
const CALL = "/v1/can-use-tool";
const ALLOW = { version: 1, behavior: "allow" };
const DENY = { version: 1, behavior: "deny", message: "no" };
const ASK = { version: 1, behavior: "ask", message: "why" };
const UPDATE = { type: "setMode", mode: "acceptEdits", destination: "session" };
const WRITE = {
  ...{ hook_event_name: "PreToolUse", tool_name: "Write", tool_input: { a: 1, b: 2 }, tool_use_id: "t1" },
  ...{ session_id: "s", transcript_path: "/t", cwd: "/w", permission_mode: "plan", agent_id: "g", agent_type: "x" },
};

/** A guard whose daemon says what *says* returns for each question. */
async function guarded(t, says, options = {}) {
  const there = await server((asked) => answer(says(asked)));
  const guard = connect({ url: there.url, token: TOKEN, ...options });
  t.after(() => (guard.close(), there.close()));
  return { guard, asked: there.asked };
}

function pre(said) {
  return { hookSpecificOutput: { hookEventName: "PreToolUse", ...said } };
}

// canUseTool

test("an allow carries the whole input, an update and nothing else", async (t) => {
  const { guard } = await guarded(t, () => ({ ...ALLOW, updatedPermissions: [UPDATE] }));
  const input = { a: 1 };
  assert.deepEqual(await guard.canUseTool()("Write", input, {}), {
    ...{ behavior: "allow", updatedInput: input, updatedPermissions: [UPDATE] },
  });
});

test("both forms ask the same", async (t) => {
  const { guard, asked } = await guarded(t, () => ({ ...ALLOW, updatedInput: { a: 2 } }));
  const call = guard.canUseTool();
  const options = {
    toolUseID: "t",
    agentID: "g",
    suggestions: [UPDATE],
    mcpServer: { name: "n", source: "sdk", x: 1 },
  };
  assert.deepEqual(await call("Write", { a: 1 }, { ...options, requestId: "r", title: "x" }), {
    behavior: "allow",
    updatedInput: { a: 2 },
  });
  await call({ toolName: "Write", input: { a: 1 }, ...options });
  await call("Write", { a: 1 });
  const common = { version: 1, toolName: "Write", input: { a: 1 }, asks: false, unasked: "deny", judged: false };
  const more = { toolUseID: "t", agentID: "g", suggestions: [UPDATE], mcpServer: { name: "n", source: "sdk" } };
  assert.deepEqual(
    asked.map(({ question }) => question),
    [{ ...common, ...more }, { ...common, ...more }, common],
  );
});

test("a deny says why, and may end the run", async (t) => {
  const { guard } = await guarded(t, () => ({ ...DENY, interrupt: true }));
  assert.deepEqual(await guard.canUseTool()("Write", {}, {}), { behavior: "deny", message: "no", interrupt: true });
});

test("the human is asked in the form in which we were, about the rewritten input", async (t) => {
  const { guard, asked } = await guarded(t, () => ({ ...ASK, updatedInput: { a: 2 } }));
  const heard = [];
  const call = guard.canUseTool((...said) => (heard.push(said), { behavior: "allow", updatedPermissions: [UPDATE] }));
  const expected = { behavior: "allow", updatedInput: { a: 2 }, updatedPermissions: [UPDATE] };
  assert.deepEqual(await call("Write", { a: 1 }, { toolUseID: "t" }), expected);
  assert.deepEqual(await call({ toolName: "Write", input: { a: 1 } }), expected);
  assert.deepEqual(heard, [
    ["Write", { a: 2 }, { toolUseID: "t", message: "why" }],
    [{ toolName: "Write", input: { a: 2 }, message: "why" }],
  ]);
  assert.ok(asked.every(({ question }) => question.asks));
});

test("what the human changes is judged again, and may be rewritten again or denied", async (t) => {
  const says = ({ question: { input } }) =>
    ({ 1: ASK, 2: DENY, 3: { ...ASK, updatedInput: { a: 4 } }, 5: ALLOW })[input.a];
  const { guard, asked } = await guarded(t, says);
  const changed = (a) => guard.canUseTool(() => ({ behavior: "allow", updatedInput: { a } }))("Write", { a: 1 }, {});
  assert.deepEqual(await changed(2), { behavior: "deny", message: "no" });
  assert.deepEqual(await changed(3), { behavior: "allow", updatedInput: { a: 4 } });
  assert.deepEqual(await changed(5), { behavior: "allow", updatedInput: { a: 5 } });
  assert.equal(asked.length, 6);
  assert.deepEqual(await changed(1), { behavior: "allow", updatedInput: { a: 1 } });
  assert.equal(asked.length, 7); // nothing was changed
});

test("what the human does to the input he is shown is no answer", async (t) => {
  const { guard } = await guarded(t, () => ASK);
  const human = (_, input) => ((input.a = 9), { behavior: "allow" });
  assert.deepEqual(await guard.canUseTool(human)("Write", { a: 1 }, {}), { behavior: "allow", updatedInput: { a: 1 } });
});

test("a human's no is his, in his words", async (t) => {
  const { guard } = await guarded(t, () => ASK);
  const no = (said) => guard.canUseTool(() => said)("Write", {}, {});
  assert.deepEqual(await no({ behavior: "deny", message: "later", interrupt: true }), {
    behavior: "deny",
    message: "later",
    interrupt: true,
  });
  assert.deepEqual(await no({ behavior: "deny" }), { behavior: "deny", message: "refused by the user" });
});

for (const said of [
  null,
  undefined,
  true,
  "allow",
  {},
  { behavior: "ask" },
  { behavior: "allow", updatedInput: "x" },
  { behavior: "allow", updatedPermissions: {} },
]) {
  test(`a human who says ${JSON.stringify(said)} gives no answer`, async (t) => {
    const { guard } = await guarded(t, () => ASK);
    assert.match((await guard.canUseTool(() => said)("Write", {}, {})).message, /gave no answer/);
  });
}

test("a human who throws denies", async (t) => {
  const { guard } = await guarded(t, () => ASK);
  const human = () => {
    throw new Error("the window is closed");
  };
  assert.deepEqual(await guard.canUseTool(human)("Write", {}, {}), {
    behavior: "deny",
    message: "wasmguard: the window is closed",
  });
});

// What the hook said counts in canUseTool, for exactly the same call

for (const [what, said, judged] of [
  ["no opinion", {}, "pass"],
  ["an ask", pre({ permissionDecision: "ask", permissionDecisionReason: "x" }), "ask"],
  ["a rewrite", pre({ updatedInput: { b: 2, a: 3 } }), "pass"],
]) {
  test(`a call that was judged with ${what} is not judged twice`, async (t) => {
    const { guard, asked } = await guarded(t, ({ path }) => (path === HOOK ? said : ALLOW));
    await guard.hooks().PreToolUse[0].hooks[0](WRITE, "t1", {});
    const input = said.hookSpecificOutput?.updatedInput ? { a: 3, b: 2 } : { b: 2, a: 1 };
    const ask = (id, tool, given) =>
      guard.canUseTool(null, { cwd: "/other", sessionId: "?" })(tool, given, { toolUseID: id });
    await ask("t1", "Write", input);
    await ask("t1", "Write", { ...input, c: 1 });
    await ask("t2", "Write", input);
    await ask("t1", "Read", input);
    const [, same, changed, ...others] = asked.map(({ question }) => question);
    assert.equal(same.judged, judged);
    const about = {
      sessionId: "s",
      transcriptPath: "/t",
      cwd: "/w",
      permissionMode: "plan",
      agentID: "g",
      agentType: "x",
    };
    for (const [key, value] of Object.entries(about)) assert.deepEqual([same[key], changed[key]], [value, value]);
    assert.equal(changed.judged, false);
    for (const other of others) assert.deepEqual([other.judged, other.cwd, other.sessionId], [false, "/other", "?"]);
  });
}

test("what the human changes is judged by all, also after the hook judged what he was shown", async (t) => {
  const { guard, asked } = await guarded(t, ({ path }) => (path === HOOK ? {} : ASK));
  await guard.decide(WRITE);
  const human = () => ({ behavior: "allow", updatedInput: { a: 9 } });
  await guard.canUseTool(human)("Write", WRITE.tool_input, { toolUseID: "t1" });
  assert.deepEqual(
    asked.slice(1).map(({ question }) => [question.input.a, question.judged]),
    [
      [1, "pass"],
      [9, false],
    ],
  );
});

test("a call that the hook denied is not taken for judged", async (t) => {
  const deny = pre({ permissionDecision: "deny", permissionDecisionReason: "x" });
  const { guard, asked } = await guarded(t, ({ path }) => (path === HOOK ? deny : ALLOW));
  await guard.decide(WRITE);
  await guard.canUseTool()("Write", WRITE.tool_input, { toolUseID: "t1" });
  assert.equal(asked[1].question.judged, false);
});

test("it remembers a bounded number of calls", async (t) => {
  const { guard, asked } = await guarded(t, ({ path }) => (path === HOOK ? {} : ALLOW));
  for (let at = 0; at <= 1000; at += 1) await guard.decide({ ...WRITE, tool_use_id: `t${at}` });
  for (const id of ["t0", "t1", "t1000"]) await guard.canUseTool()("Write", WRITE.tool_input, { toolUseID: id });
  assert.deepEqual(
    asked.slice(-3).map(({ question }) => question.judged),
    [false, "pass", "pass"],
  );
});

// Hooks

test("all events are hooked, closed and with a timeout above ours, but for WorktreeCreate", async (t) => {
  const { guard } = await guarded(t, () => ({}), { timeoutMs: 2_500 });
  const hooks = guard.hooks();
  assert.deepEqual(Object.keys(hooks), [...EVENTS]);
  assert.ok(!EVENTS.includes("WorktreeCreate"));
  for (const groups of Object.values(hooks)) {
    assert.equal(groups.length, 1);
    assert.deepEqual([groups[0].onFailure, groups[0].timeout, groups[0].hooks.length], ["block", 8, 1]);
  }
  assert.deepEqual(Object.keys(guard.hooks({ events: ["Stop"] })), ["Stop"]);
});

test("an event goes to the daemon as it came, with the places of the agent's settings", async (t) => {
  const { guard, asked } = await guarded(t, () => ({}), { configDir: "/hé/日本" });
  assert.deepEqual(await guard.decide({ ...WRITE, extra: ["\ud800"] }), {});
  assert.deepEqual(asked[0].question, { ...WRITE, extra: ["\ud800"] });
  const head = Buffer.from(asked[0].head, "latin1").toString("utf8");
  assert.match(head, /^X-Claude-Config-Dir: \/hé\/日本\r?$/m);
  assert.match(head, new RegExp(`^Authorization: Bearer ${TOKEN}\r?$`, "m"));
  assert.match(head, /^X-Home: \/.*\r?$/m);
  assert.doesNotMatch(head, /^(sec-|origin)/im);
});

test("parts of it can be taken along", async (t) => {
  const { guard } = await guarded(t, ({ path }) => (path === HOOK ? {} : ALLOW));
  const { decide, canUseTool, hooks, options } = guard;
  assert.deepEqual(await decide(WRITE), {});
  assert.equal((await canUseTool()("Write", {}, {})).behavior, "allow");
  assert.ok(hooks().Stop && options().hooks.Stop);
});

// options: theirs and ours

test("options keep what they are given, and leave it as it was", async (t) => {
  const { guard } = await guarded(t, () => ({}));
  const base = Object.freeze({ cwd: "/w", model: "m", hooks: Object.freeze({ Stop: Object.freeze([{ hooks: [] }]) }) });
  const options = guard.options(base);
  assert.deepEqual([options.cwd, options.model], ["/w", "m"]);
  assert.equal(options.hooks.Stop.length, 2);
  assert.equal(options.hooks.PermissionRequest, undefined); // `canUseTool` asks the same policies
  assert.equal(typeof options.canUseTool, "function");
  const other = guard.options({ permissionPromptToolName: "x" });
  assert.equal(other.canUseTool, undefined);
  assert.equal(other.hooks.PermissionRequest.length, 1);
});

test("their canUseTool is the human, and what the session is, is said", async (t) => {
  const { guard, asked } = await guarded(t, () => ASK);
  const env = { HOME: "/home/other", CLAUDE_CONFIG_DIR: "/conf" };
  const base = { cwd: "/w", env, permissionMode: "plan", canUseTool: async () => ({ behavior: "allow" }) };
  assert.equal((await guard.options(base).canUseTool("Write", {}, {})).behavior, "allow");
  const { cwd, permissionMode, asks } = asked[0].question;
  assert.deepEqual([cwd, permissionMode, asks], ["/w", "plan", true]);
  for (const line of ["X-Home: /home/other", "X-Claude-Config-Dir: /conf", "X-Claude-Project-Dir: /w"])
    assert.ok(asked[0].head.includes(line));
});

/** What the folded hook of *theirs* answers to Write, and what the daemon was asked. */
async function folded(t, theirs, ours, event = WRITE) {
  const { guard, asked } = await guarded(t, ours);
  const groups = theirs.map((hook) => (typeof hook === "function" ? { hooks: [hook] } : hook));
  const [group, ...more] = guard.options({ hooks: { [event.hook_event_name]: groups } }).hooks[event.hook_event_name];
  assert.equal(more.length, 0);
  assert.equal(group.onFailure, "block");
  return { said: await group.hooks[0](event, "t1", {}), asked, group };
}

test("ours judges what theirs made of the input, and both rewrites hold", async (t) => {
  const theirs = [
    (event) => pre({ updatedInput: { ...event.tool_input, c: 3 } }),
    (event) => pre({ updatedInput: { ...event.tool_input, d: 4 } }),
  ];
  const ours = ({ question }) => pre({ updatedInput: { ...question.tool_input, a: 0 } });
  const { said, asked, group } = await folded(t, theirs, ours);
  assert.deepEqual(asked[0].question.tool_input, { a: 1, b: 2, c: 3, d: 4 });
  assert.deepEqual(said, pre({ updatedInput: { a: 0, b: 2, c: 3, d: 4 } }));
  assert.equal(group.timeout, 30 + 120);
});

for (const [theirs, ours, expected] of [
  ["allow", "deny", "deny"],
  ["deny", "allow", "deny"],
  ["ask", "allow", "ask"],
  ["allow", "ask", "ask"],
  ["allow", undefined, "allow"],
  [undefined, "allow", "allow"],
  [undefined, undefined, undefined],
]) {
  test(`of ${theirs} and our ${ours} the strictest counts`, async (t) => {
    const word = (effect, reason) =>
      effect ? pre({ permissionDecision: effect, permissionDecisionReason: reason }) : {};
    const { said, asked } = await folded(t, [() => word(theirs, "theirs")], () => word(ours, "ours"));
    assert.equal(said.hookSpecificOutput?.permissionDecision, expected);
    if (expected === "deny")
      assert.equal(said.hookSpecificOutput.permissionDecisionReason, theirs === "deny" ? "theirs" : "ours");
    assert.equal(asked.length, theirs === "deny" ? 0 : 1);
  });
}

test("their allow does not vouch for what is rewritten after it", async (t) => {
  const theirs = [() => pre({ permissionDecision: "allow", permissionDecisionReason: "x" })];
  const { said } = await folded(t, theirs, () => pre({ updatedInput: { a: 0, b: 0 } }));
  assert.deepEqual(said, pre({ updatedInput: { a: 0, b: 0 } }));
});

test("old words of theirs are understood", async (t) => {
  assert.equal(
    (await folded(t, [() => ({ decision: "block", reason: "old" })], () => ({}))).said.hookSpecificOutput
      .permissionDecision,
    "deny",
  );
  assert.equal(
    (await folded(t, [() => ({ decision: "approve" })], () => ({}))).said.hookSpecificOutput.permissionDecision,
    "allow",
  );
  const { asked } = await folded(t, [() => pre({ modifiedInput: { a: 7 } })], () => ({}));
  assert.deepEqual(asked[0].question.tool_input, { a: 7 });
});

for (const [what, hook] of [
  [
    "throws",
    () => {
      throw new Error("boom");
    },
  ],
  [
    "rejects",
    async () => {
      throw new Error("boom");
    },
  ],
  ["says nothing", () => undefined],
  ["says nonsense", () => pre({ permissionDecision: "yes" })],
  ["rewrites to nonsense", () => pre({ updatedInput: "x" })],
  ["hangs", { timeout: 0.05, hooks: [() => new Promise(() => {})] }],
]) {
  test(`one of theirs that ${what} denies`, async (t) => {
    const { said } = await folded(t, [hook], () => ({}));
    assert.equal(said.hookSpecificOutput.permissionDecision, "deny");
    assert.ok(said.hookSpecificOutput.permissionDecisionReason);
  });
}

test("theirs are asked only about the tools that they mean, and cannot change the event", async (t) => {
  const heard = [];
  const hook = (event) => (heard.push(event.tool_name), (event.tool_input.a = 9), {});
  const { asked } = await folded(
    t,
    [
      { matcher: "Write|Edit", hooks: [hook] },
      { matcher: "Bash", hooks: [hook] },
    ],
    () => ({}),
  );
  assert.deepEqual(heard, ["Write"]);
  assert.deepEqual(asked[0].question.tool_input, { a: 1, b: 2 });
});

test("what else theirs say is said", async (t) => {
  const theirs = [
    () => ({ continue: false, stopReason: "enough", systemMessage: "m", ...pre({ additionalContext: "one" }) }),
  ];
  const { said } = await folded(t, theirs, () => pre({ additionalContext: "two" }));
  assert.deepEqual(said, {
    continue: false,
    stopReason: "enough",
    systemMessage: "m",
    ...pre({ additionalContext: "one\ntwo" }),
  });
});

test("an output of theirs is what ours judges, and ours is what counts", async (t) => {
  const post = (said) => ({ hookSpecificOutput: { hookEventName: "PostToolUse", ...said } });
  const event = { ...WRITE, hook_event_name: "PostToolUse", tool_response: { stdout: "secret" } };
  const theirs = [
    () => ({ decision: "block", reason: "look", ...post({ updatedToolOutput: { stdout: "their secret" } }) }),
  ];
  const ours = ({ question }) =>
    post({ updatedToolOutput: { stdout: question.tool_response.stdout.replace("secret", "*") } });
  const { said } = await folded(t, theirs, ours, event);
  assert.deepEqual(said, { decision: "block", reason: "look", ...post({ updatedToolOutput: { stdout: "their *" } }) });
  const alone = await folded(t, theirs, () => ({}), event);
  assert.deepEqual(alone.said.hookSpecificOutput.updatedToolOutput, { stdout: "their secret" });
  const broken = await folded(t, [() => null], () => ({}), event);
  assert.equal(broken.said.decision, "block");
});

test("what theirs change on PermissionRequest is judged", async (t) => {
  const event = { ...WRITE, hook_event_name: "PermissionRequest" };
  const request = (decision) => ({ hookSpecificOutput: { hookEventName: "PermissionRequest", decision } });
  const says = ({ path, question }) =>
    path === HOOK ? {} : question.input.a === 2 ? DENY : { ...ASK, updatedInput: { a: 4 } };
  const allows = (more) => [() => request({ behavior: "allow", ...more })];
  assert.deepEqual((await folded(t, allows({}), says, event)).said, request({ behavior: "allow" }));
  assert.deepEqual(
    (await folded(t, allows({ updatedInput: { a: 2 } }), says, event)).said,
    request({ behavior: "deny", message: "no" }),
  );
  const moved = (await folded(t, allows({ updatedInput: { a: 3 } }), says, event)).said;
  assert.deepEqual(moved, request({ behavior: "allow", updatedInput: { a: 4 } }));
  const ours = await folded(t, allows({}), () => request({ behavior: "deny", message: "ours" }), event);
  assert.equal(ours.said.hookSpecificOutput.decision.message, "ours");
});

test("what theirs deny on PermissionRequest is denied, whatever they say or fail to say", async (t) => {
  const event = { ...WRITE, hook_event_name: "PermissionRequest" };
  const request = (decision) => ({ hookSpecificOutput: { hookEventName: "PermissionRequest", decision } });
  const boom = () => {
    throw new Error("boom");
  };
  for (const hook of [
    ...[{ behavior: "deny" }, { behavior: "deny", message: "x", interrupt: true }, { behavior: "perhaps" }].map(
      (said) => () => request(said),
    ),
    ...[boom, () => null, () => request({ behavior: "allow", updatedInput: "x" })],
  ]) {
    const { said } = await folded(t, [hook, () => request({ behavior: "allow" })], () => ({}), event);
    assert.equal(said.hookSpecificOutput.decision.behavior, "deny");
    assert.ok(said.hookSpecificOutput.decision.message);
  }
});

test("a matcher means what it means to the client", () => {
  for (const matcher of [undefined, null, "", "*", "Write", "Write|Edit", "Edit, Write", "W.*", "^Wr", "rit[e]"])
    assert.ok(matches(matcher, "Write"), matcher);
  for (const matcher of ["write", "Writ", "Edit", "Write2", "Wr[", "(?i)write", "^rite"])
    assert.ok(!matches(matcher, "Write"), matcher);
});

const MONITOR = { tool_name: "Monitor", tool_input: { command: "ls", description: "d", timeout_ms: 1 } };

test("a matcher means a tool by its other names too", () => {
  const event = (tool_name, tool_input = {}) => ({ ...WRITE, tool_name, tool_input });
  for (const [matcher, tool, input] of [
    ["Task", "Agent"],
    ["^Task$", "Agent"],
    ["KillShell", "TaskStop"],
    ["Artifact", "ArtifactData"],
    ["ArtifactData", "Artifact", { action: "read_db" }],
  ])
    assert.equal(shown(matcher, event(tool, input))?.tool_name, tool, matcher);
  for (const [matcher, tool, input] of [
    ["Task", "TaskCreate"],
    ["ArtifactData", "Artifact", { action: "reply" }],
    ["Bash", "PowerShell", { command: "ls" }],
    ["Bash", "Monitor", { command: "" }],
    ["^(?!Monitor)", "Monitor", { command: "ls" }],
    ["Task", "constructor"],
  ])
    assert.equal(shown(matcher, event(tool, input)), undefined, matcher);
  assert.equal(shown("Bash", { ...WRITE, ...MONITOR, hook_event_name: "PostToolUse" }), undefined);
});

test("who is asked about Bash is shown a Monitor as one, and what it rewrites goes back", async (t) => {
  const seen = [];
  const theirs = (updatedInput) => ({
    matcher: "Bash",
    hooks: [(event) => (seen.push([event.tool_name, event.tool_input]), pre({ updatedInput }))],
  });
  const event = { ...WRITE, ...MONITOR };
  const { said } = await folded(t, [theirs({ command: "true" })], () => ({}), event);
  assert.deepEqual(seen, [["Bash", { command: "ls", description: "d" }]]);
  assert.deepEqual(said.hookSpecificOutput.updatedInput, { ...MONITOR.tool_input, command: "true" });
  for (const wrong of [{}, { command: 1 }]) {
    const denied = (await folded(t, [theirs(wrong)], () => ({}), event)).said;
    assert.equal(denied.hookSpecificOutput.permissionDecision, "deny");
  }
});
