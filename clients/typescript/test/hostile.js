// A server that answers as it is told, for tests, and a folder with a token.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const TOKEN = "t".repeat(43);

/** A whole answer, as the daemon would say it; *headers* replace its own, null leaves one out. */
export function answer(body, { status = "200 OK", headers = {} } = {}) {
  const data = Buffer.from(typeof body === "string" ? body : `${JSON.stringify(body)}\n`);
  const all = { Server: "wasmguard", "Content-Type": "application/json", "Content-Length": data.length, ...headers };
  const lines = Object.entries(all)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}: ${value}`);
  return Buffer.concat([Buffer.from([`HTTP/1.1 ${status}`, ...lines, "", ""].join("\r\n")), data]);
}

/**
 * A server on the loopback. *replies* says for each question, `{head, question, count}`, what is sent: bytes, `null`
 * for nothing, ever, or `false` to hang up. It has `url`, `asked`, `connections` and `close`.
 */
export async function server(replies) {
  const asked = [];
  const open = new Set();
  let connections = 0;
  const listening = createServer((socket) => {
    connections += 1;
    open.add(socket);
    let heard = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("close", () => open.delete(socket));
    socket.on("data", async (part) => {
      heard = Buffer.concat([heard, part]);
      const end = heard.indexOf("\r\n\r\n");
      if (end < 0) return;
      const head = heard.toString("latin1", 0, end);
      const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
      if (heard.length < end + 4 + length) return;
      const body = heard.toString("utf8", end + 4, end + 4 + length);
      heard = heard.subarray(end + 4 + length);
      asked.push({ head, path: head.split(" ")[1], question: body ? JSON.parse(body) : undefined });
      const reply = await replies({ ...asked.at(-1), count: asked.length });
      if (reply === false) socket.destroy();
      else if (reply !== null) socket.write(reply);
    });
  });
  await new Promise((resolve) => listening.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${listening.address().port}`,
    asked,
    count: () => connections,
    hangUp: () => open.forEach((socket) => socket.destroy()),
    close: () => {
      open.forEach((socket) => socket.destroy());
      return new Promise((resolve) => listening.close(resolve));
    },
  };
}

/** A file with *text*, closed to others; it goes with the test. */
export function file(test, text, mode = 0o600) {
  const folder = mkdtempSync(join(tmpdir(), "wasmguard-"));
  test.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "token");
  writeFileSync(path, text, { mode });
  chmodSync(path, mode);
  return path;
}
