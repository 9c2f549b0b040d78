// Whatever is not a whole answer of a wasmguard is a no.

import assert from "node:assert/strict";
import { renameSync, symlinkSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { EVENTS, connect } from "../src/index.js";
import { strangers } from "../src/port.js";
import { TOKEN, answer, file, server } from "./hostile.js";

const ALLOW = { version: 1, behavior: "allow" };
const WRITE = {
  hook_event_name: "PreToolUse",
  tool_name: "Write",
  tool_input: { a: 1 },
  tool_use_id: "t1",
  session_id: "s",
};
const OPEN = { unasked: "pass" };

const HOSTILE = {
  "an empty body": answer(""),
  "no JSON": answer("yes"),
  "half of JSON": answer('{"version":1,"behavior":"allow"'),
  "two documents": answer('{"version":1,"behavior":"allow"}{}'),
  null: answer("null"),
  "a list": answer([ALLOW]),
  "half a body": answer(ALLOW, { headers: { "Content-Length": 99 } }),
  "a body without its length": answer(ALLOW, { headers: { "Content-Length": null, Connection: "close" } }),
  chunks: Buffer.from(
    "HTTP/1.1 200 OK\r\nServer: wasmguard\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" +
      '20\r\n{"version":1,"behavior":"allow"}\r\n0\r\n\r\n',
  ),
  "another server": answer(ALLOW, { headers: { Server: "nginx" } }),
  "no server": answer(ALLOW, { headers: { Server: null } }),
  text: answer(ALLOW, { headers: { "Content-Type": "text/plain" } }),
  201: answer(ALLOW, { status: "201 Created" }),
  204: Buffer.from("HTTP/1.1 204 No Content\r\nServer: wasmguard\r\n\r\n"),
  "a redirect": answer(ALLOW, { status: "302 Found", headers: { Location: "http://127.0.0.1:1/" } }),
  400: answer({ error: "no event" }, { status: "400 Bad Request" }),
  401: answer({ error: "show the token" }, { status: "401 Unauthorized" }),
  500: answer(ALLOW, { status: "500 Internal Server Error" }),
  "no HTTP": Buffer.from("SSH-2.0-OpenSSH\r\n\r\n"),
  "a head without an end": Buffer.from("HTTP/1.1 200 OK\r\nServer: wasmguard\r\n"),
  "hanging up": false,
  silence: null,
};
const NO_PERMISSION = {
  "no version": { behavior: "allow" },
  "another version": { version: 2, behavior: "allow" },
  "no behavior": { version: 1 },
  "an unknown behavior": { version: 1, behavior: "yes" },
  "an inherited behavior": { version: 1, behavior: "constructor" },
  "an unknown key": { ...ALLOW, x: 1 },
  "an input that is none": { ...ALLOW, updatedInput: [] },
  "updates that are none": { ...ALLOW, updatedPermissions: {} },
  "a deny without a message": { version: 1, behavior: "deny" },
  "an ask that nobody wanted": { version: 1, behavior: "ask" },
  "an answer to a hook": {},
};
const NO_OPINION = {
  "an unknown key": { ok: true },
  "a permission": ALLOW,
  "an approval": { decision: "approve" },
  "going on": { continue: true },
  "another event": { hookSpecificOutput: { hookEventName: "Stop", additionalContext: "x" } },
  "no event": { hookSpecificOutput: { permissionDecision: "allow" } },
  "an unknown effect": { hookSpecificOutput: { hookEventName: "PreToolUse", permissionDecision: "Deny" } },
  "an input that is none": { hookSpecificOutput: { hookEventName: "PreToolUse", updatedInput: "x" } },
  "an unknown word": { hookSpecificOutput: { hookEventName: "PreToolUse", modifiedInput: {} } },
  async: { async: true },
  "a voice": { systemMessage: "all is well" },
};

async function against(t, reply, options = {}) {
  const there = await server(() => reply);
  const guard = connect({ url: there.url, token: TOKEN, timeoutMs: 300, ...options });
  t.after(() => (guard.close(), there.close()));
  return { guard, there };
}

function denies(permission) {
  assert.equal(permission.behavior, "deny");
  assert.match(permission.message, /^wasmguard: ./);
}

function blocks(said) {
  assert.equal(said.hookSpecificOutput.permissionDecision, "deny");
  assert.match(said.hookSpecificOutput.permissionDecisionReason, /^wasmguard: ./);
}

for (const [what, reply] of Object.entries(HOSTILE)) {
  test(`${what} denies, in every form`, async (t) => {
    const { guard } = await against(t, reply);
    denies(await guard.canUseTool(null, OPEN)("Write", { a: 1 }, {}));
    denies(await guard.canUseTool(() => ({ behavior: "allow" }), OPEN)({ toolName: "Write", input: {} }));
    blocks(await guard.decide(WRITE));
    await assert.rejects(guard.status());
  });
}

for (const [what, said] of Object.entries(NO_PERMISSION)) {
  test(`${what} is no permission`, async (t) => {
    const { guard } = await against(t, answer(said));
    denies(await guard.canUseTool(null, OPEN)("Write", {}, {}));
    if (said.behavior !== "ask") denies(await guard.canUseTool(() => ({ behavior: "allow" }), OPEN)("Write", {}, {}));
  });
}

for (const [what, said] of Object.entries(NO_OPINION)) {
  test(`${what} is no opinion`, async (t) => {
    const { guard } = await against(t, answer(said));
    blocks(await guard.decide(WRITE));
  });
}

test("where nobody listens, nothing runs", async (t) => {
  const { guard, there } = await against(t, null);
  await there.close();
  denies(await guard.canUseTool(null, OPEN)("Write", {}, {}));
  blocks(await guard.hooks().PreToolUse[0].hooks[0](WRITE, "t1", {}));
});

test("each event is refused in its own form, and Stop goes on", async (t) => {
  const { guard } = await against(t, false);
  const said = {};
  for (const name of EVENTS)
    said[name] = await guard.decide({ hook_event_name: name, tool_name: "Bash", tool_input: {} });
  for (const name of ["Stop", "SubagentStop", "TaskCompleted", "TeammateIdle", "SessionStart", "PostToolUseFailure"]) {
    assert.deepEqual(said[name], {});
  }
  for (const name of ["UserPromptSubmit", "PreCompact", "ConfigChange", "TaskCreated"]) {
    assert.equal(said[name].decision, "block");
    assert.match(said[name].reason, /^wasmguard: /);
  }
  assert.equal(said.PermissionRequest.hookSpecificOutput.decision.behavior, "deny");
  blocks(said.PreModelSwitch);
});

test("an output that nobody could look at is withheld in its own shape", async (t) => {
  const { guard } = await against(t, false);
  const output = {
    type: "text",
    stdout: "secret",
    mode: "content",
    nested: [{ type: "a 1st secret", text: "secret", n: 1 }],
    interrupted: false,
    gone: null,
  };
  const said = await guard.decide({
    hook_event_name: "PostToolUse",
    tool_name: "Bash",
    tool_input: {},
    tool_response: output,
  });
  const { updatedToolOutput } = said.hookSpecificOutput;
  assert.equal(said.decision, "block");
  assert.ok(!JSON.stringify(said).includes("secret"));
  assert.deepEqual(Object.keys(updatedToolOutput), Object.keys(output));
  assert.deepEqual([updatedToolOutput.type, updatedToolOutput.mode], ["text", "content"]); // else the client drops it
  assert.deepEqual(
    [updatedToolOutput.interrupted, updatedToolOutput.gone, updatedToolOutput.nested[0].n],
    [false, null, 1],
  );
});

for (const bad of [null, undefined, "x", 7, {}, { hook_event_name: 7 }, { hook_event_name: "New" }, { a: 1n }]) {
  test(`an event like ${typeof bad} ${Object.keys(bad ?? {})} is refused`, async (t) => {
    const { guard } = await against(t, answer({ async: true }));
    blocks(await guard.decide(bad));
  });
}

for (const bad of [[], [null], ["Write"], ["Write", "x"], ["Write", { a: 1n }], [7, {}], [{ toolName: "Write" }]]) {
  test(`a call like ${bad.map((item) => typeof item)} does not throw`, async (t) => {
    const { guard } = await against(t, answer({ version: 1, behavior: "deny", message: "wasmguard: no question" }));
    denies(await guard.canUseTool()(...bad));
  });
}

test("a call that is cancelled is denied at once", async (t) => {
  const { guard, there } = await against(t, null, { timeoutMs: 60_000 });
  const stop = new AbortController();
  const asked = guard.canUseTool(null, OPEN)("Write", {}, { signal: stop.signal });
  const hooked = guard.hooks().PreToolUse[0].hooks[0](WRITE, "t1", { signal: stop.signal });
  while (there.asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  stop.abort();
  assert.match((await asked).message, /cancelled/);
  assert.match((await hooked).hookSpecificOutput.permissionDecisionReason, /cancelled/);
  denies(await guard.canUseTool(null, OPEN)("Write", {}, { signal: AbortSignal.abort() }));
  assert.equal(there.asked.length, 2);
});

test("a human who is still asked when the call is cancelled denies", async (t) => {
  const { guard } = await against(t, answer({ version: 1, behavior: "ask" }));
  const stop = new AbortController();
  const human = () => (stop.abort(), new Promise(() => {}));
  denies(await guard.canUseTool(human)("Write", {}, { signal: stop.signal }));
});

// The token and the address

test("the token and an address elsewhere never meet", () => {
  for (const url of [
    ...[
      "https://127.0.0.1:1",
      "http://10.0.0.1:1",
      "http://evil.example:1",
      "http://127.0.0.1.evil.example:1",
      "x",
      "",
    ],
    ...["http://127.0.0.1:1/path", "http://user@127.0.0.1:1", "http://127.0.0.1:1/?x", "http://0.0.0.0:1", "file:///x"],
  ]) {
    assert.throws(() => connect({ url, token: TOKEN }), /url/);
  }
  for (const token of ["", "x", `${TOKEN}x`, `${TOKEN}\n`, null, 7]) {
    assert.throws(() => connect({ url: "http://127.0.0.1:1", token }), /token/);
  }
  for (const timeoutMs of [0, -1, NaN, Infinity, "x"]) {
    assert.throws(() => connect({ url: "http://127.0.0.1:1", token: TOKEN, timeoutMs }), /timeoutMs/);
  }
});

test("a token file that others can read, a link, or no token is not used", (t) => {
  const right = file(t, `${TOKEN}\n`);
  connect({ url: "http://127.0.0.1:1", tokenFile: right });
  const link = file(t, "") + ".link";
  symlinkSync(right, link);
  for (const path of [
    file(t, TOKEN, 0o640),
    file(t, TOKEN, 0o604),
    file(t, "x"),
    file(t, `${TOKEN}x`),
    link,
    "/",
    `${right}.none`,
  ]) {
    assert.throws(() => connect({ url: "http://127.0.0.1:1", tokenFile: path }), /`/);
  }
});

test("a token that was renewed is read again, once", async (t) => {
  const tokenFile = file(t, TOKEN);
  const renewed = "u".repeat(43);
  const there = await server(({ head }) =>
    head.includes(renewed)
      ? answer(ALLOW)
      : answer({ error: "show the token" }, { status: "401 Unauthorized", headers: { Connection: "close" } }),
  );
  const guard = connect({ url: there.url, tokenFile });
  t.after(() => (guard.close(), there.close()));
  denies(await guard.canUseTool()("Write", {}, {}));
  assert.equal(there.asked.length, 1);
  writeFileSync(`${tokenFile}.new`, renewed, { mode: 0o600 });
  renameSync(`${tokenFile}.new`, tokenFile);
  assert.equal((await guard.canUseTool()("Write", {}, {})).behavior, "allow");
  assert.equal(there.asked.length, 3);
});

test("a kept connection that was closed in between is opened again", async (t) => {
  const there = await server(({ count }) => (count === 2 ? false : answer(ALLOW)));
  const guard = connect({ url: there.url, token: TOKEN });
  t.after(() => (guard.close(), there.close()));
  for (let at = 0; at < 3; at += 1) assert.equal((await guard.canUseTool()("Write", {}, {})).behavior, "allow");
  assert.equal(there.count(), 2);
});

test("what may have been heard is not asked twice", async (t) => {
  for (const [first, others] of [
    [answer(ALLOW), Buffer.from("HTTP/1.1 200 OK\r\nServer: wasmguard\r\nContent-Length: 99\r\n\r\n{")],
    [false, answer(ALLOW)], // a new connection: who closed it may have heard
  ]) {
    const there = await server(({ count }) => (count === 1 ? first : others));
    const guard = connect({ url: there.url, token: TOKEN, timeoutMs: 5_000 });
    t.after(() => (guard.close(), there.close()));
    const one = guard.canUseTool()("Write", {}, {});
    if (first) {
      assert.equal((await one).behavior, "allow");
      const two = guard.canUseTool()("Write", {}, {});
      while (there.asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
      setTimeout(there.hangUp, 50);
      denies(await two);
    } else {
      denies(await one);
    }
    assert.equal(there.asked.length, first ? 2 : 1);
  }
});

test(
  "another user who listens on the port is sent nothing",
  { skip: process.platform !== "linux" && "Linux says who listens" },
  async (t) => {
    const { guard, there } = await against(t, answer(ALLOW), { daemonUser: 54_321 });
    if (process.geteuid() === 0) return; // root may listen for anybody
    denies(await guard.canUseTool(null, OPEN)("Write", {}, {}));
    assert.equal(there.asked.length, 0);
  },
);

test("who listens on a port is read from the kernel's tables", (t) => {
  const row = (address, port, state, user) => `   0: ${address}:${port} 00000000:0000 ${state} 0:0 0:0 0 ${user} 0 1`;
  const rows = [
    row("0100007F", "1FBB", "0A", 1001),
    row("0100007F", "1FBB", "01", 1002),
    row("0200007F", "1FBB", "0A", 1003),
  ];
  const table = file(
    t,
    ["  sl", ...rows, row("00000000", "1FBC", "0A", 1004), row("00000000", "1FBB", "0A", 0), ""].join("\n"),
  );
  assert.deepEqual(strangers(0x1fbb, 1000, [table, "/nothing"]), [1001]);
  assert.deepEqual(strangers(0x1fbb, 1001, [table]), []);
  assert.deepEqual(strangers(1, 1000, [table]), []);
});
