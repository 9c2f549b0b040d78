// One question, one answer, over HTTP to the daemon on this machine.
//
// 1. Whatever is not a whole answer of a wasmguard is an error: no connection, another status than 200, a redirect,
//    half a body, an empty one, no JSON, no object, another server, an end of patience. Errors say which, in one line.
// 2. Nothing is asked twice, but for two cases in which nobody can have heard it: a kept connection that was closed
//    before a byte of an answer came, and a token that was renewed.
// 3. `node:http`, not `fetch`: that follows redirects, and says `Sec-Fetch-Mode` as browsers do, whom nobody answers.

import { Agent, request } from "node:http";
import { readToken } from "./places.js";
import { strangers } from "./port.js";

const LARGEST = 72 * 2 ** 20; // bytes of an answer: the largest event that a daemon takes, rewritten
const KEPT = 50_000; // milliseconds; the daemon says 60 s
const MOST = 64; // connections

export class Daemon {
  #agent = new Agent({ keepAlive: true, maxSockets: MOST, timeout: KEPT });
  #address;
  #token;
  #tokenFile;
  #user;

  /** The daemon at *address* (`addressOf`), which runs as *user*. Without a *token* it is read from *tokenFile*. */
  constructor({ address, token, tokenFile, user }) {
    this.#address = address;
    this.#token = token;
    this.#tokenFile = tokenFile;
    this.#user = user;
  }

  /** The JSON object that the daemon answers within *timeoutMs*. Rejects if there is none. */
  async ask(method, path, { question, context = {}, signal, timeoutMs }) {
    const body = question === undefined ? undefined : Buffer.from(JSON.stringify(question), "utf8");
    const until = AbortSignal.timeout(timeoutMs);
    const asked = { method, path, body, context, signal: signal ? AbortSignal.any([signal, until]) : until };
    try {
      return await this.#asked(asked);
    } catch (error) {
      if (until.aborted) throw new Error(`no answer within ${timeoutMs} ms`);
      if (signal?.aborted) throw new Error("the question was cancelled");
      throw error;
    }
  }

  /** Let go of kept connections. */
  close() {
    this.#agent.destroy();
  }

  async #asked(asked) {
    const token = this.#shown();
    const answer = await this.#exchanged(asked, token);
    if (answer.status !== 401 || !this.#tokenFile) return read(answer);
    this.#token = undefined; // it may have been renewed
    const renewed = this.#shown();
    return read(renewed === token ? answer : await this.#exchanged(asked, renewed));
  }

  #shown() {
    this.#token ??= readToken(this.#tokenFile);
    return this.#token;
  }

  async #exchanged(asked, token) {
    try {
      return await this.#sent(asked, token);
    } catch (error) {
      if (!error.unheard) throw error;
      return this.#sent(asked, token); // rule 2
    }
  }

  #sent({ method, path, body, context, signal }, token) {
    const headers = { Host: this.#address.name, Authorization: `Bearer ${token}`, ...context };
    if (body) Object.assign(headers, { "Content-Type": "application/json", "Content-Length": body.length });
    const { host, port } = this.#address;
    return new Promise((resolve, reject) => {
      const sent = request({ host, port, method, path, headers, signal, agent: this.#agent });
      let heard = false;
      const failed = (error) => {
        const unheard = !heard && sent.reusedSocket && ["ECONNRESET", "EPIPE"].includes(error.code);
        reject(Object.assign(new Error(`the daemon at ${this.#address.name}: ${said(error)}`), { unheard }));
      };
      sent.on("socket", () => {
        if (!sent.reusedSocket) this.#known(sent);
      });
      sent.on("error", failed);
      sent.on("response", (received) => {
        heard = true;
        collected(received).then(
          (data) => resolve({ status: received.statusCode, headers: received.headers, data }),
          failed,
        );
      });
      sent.end(body);
    });
  }

  /** End *sent* before a byte of it is on its way, if somebody else listens there. */
  #known(sent) {
    const [stranger] = this.#user === undefined ? [] : strangers(this.#address.port, this.#user);
    if (stranger !== undefined) sent.destroy(new Error(`the port belongs to user ${stranger}: nothing was sent`));
  }
}

/** All bytes of *received*. Rejects if it ends too early, or does not end. */
function collected(received) {
  return new Promise((resolve, reject) => {
    const parts = [];
    let length = 0;
    received.on("data", (part) => {
      parts.push(part);
      length += part.length;
      if (length > LARGEST) received.destroy(new Error(`an answer of more than ${LARGEST} bytes`));
    });
    received.on("error", reject);
    received.on("close", () =>
      received.complete ? resolve(Buffer.concat(parts)) : reject(new Error("half an answer")),
    );
  });
}

/** The object in an answer. Throws if that is none (rule 1). */
function read({ status, headers, data }) {
  if (headers.server !== "wasmguard") throw new Error("who answers there is no wasmguard");
  if (status !== 200) throw new Error(`HTTP ${status}: ${complaint(data)}`);
  if (headers["content-type"] !== "application/json") throw new Error(`the answer is \`${headers["content-type"]}\``);
  if (headers["content-length"] !== String(data.length)) throw new Error("half an answer");
  let answer;
  try {
    answer = JSON.parse(data.toString("utf8"));
  } catch {
    throw new Error("the answer is no JSON");
  }
  if (!isObject(answer)) throw new Error("the answer is no object");
  return answer;
}

/** Whether *value* is what JSON calls an object. */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function complaint(data) {
  try {
    return String(JSON.parse(data.toString("utf8")).error).slice(0, 200);
  } catch {
    return "no answer";
  }
}

/** What an *error* says in one line. */
export function said(error) {
  const text = String(error?.message || error?.code || error)
    .replace(/\s+/g, " ")
    .trim();
  return text.slice(0, 300) || "unknown";
}
