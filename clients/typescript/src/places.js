// Where the owner's token and the daemon's address are: `wasmguard/places.py` and `wasmguard/bearer.py` in JavaScript.
//
// 1. A file counts only if it is this user's alone: a regular file, no link, mode 0600 or less.
// 2. A token is 43 letters, digits, `-` and `_`. Anything else is no token, whatever it looks like.
// 3. The address is on this machine. A token is never sent anywhere else.

import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

const LARGEST = 2 ** 20; // bytes of a file of ours
const TOKEN = /^[A-Za-z0-9_-]{43}$/;
const HERE = new Set(["127.0.0.1", "localhost", "[::1]"]);

/** The folder where wasmguard keeps its token and what was installed. */
export function stateFolder(environ = process.env, platform = process.platform) {
  const home = environ.HOME && isAbsolute(environ.HOME) ? environ.HOME : homedir();
  if (platform === "darwin") return join(home, "Library/Application Support/wasmguard/state");
  const given = environ.XDG_STATE_HOME;
  return join(given && isAbsolute(given) ? given : join(home, ".local/state"), "wasmguard");
}

/** The token in the file at *path*. Throws if there is none, or somebody else may have read or written it. */
export function readToken(path) {
  const text = ownFile(path).replace(/\n$/, "");
  if (!TOKEN.test(text)) throw new Error(`\`${path}\` is damaged: it holds no token: delete it and install again`);
  return text;
}

/** *token*, if it is one. Throws else. */
export function checkedToken(token) {
  if (typeof token !== "string" || !TOKEN.test(token)) {
    throw new TypeError("`token` is none: give the 43 characters of the token file, or leave it out");
  }
  return token;
}

/** The address of the daemon at *url*: a host and a port of this machine. Throws if it is none (rule 3). */
export function addressOf(url) {
  let parsed;
  try {
    parsed = new URL(url);
  } catch {
    throw new TypeError(`\`url\` is \`${url}\`: write it like \`http://127.0.0.1:8123\``);
  }
  const plain = parsed.pathname === "/" && !parsed.search && !parsed.hash && !parsed.username && !parsed.password;
  if (parsed.protocol !== "http:" || !HERE.has(parsed.hostname) || !plain) {
    throw new TypeError(`\`url\` is \`${url}\`: the daemon is on this machine: \`http://127.0.0.1:PORT\``);
  }
  const port = Number(parsed.port || 80);
  return { host: parsed.hostname.replace(/^\[|\]$/g, ""), port, name: `${parsed.hostname}:${port}` };
}

/** Where `wasmguard install --transport http` told the daemon to listen. Throws if it did not, or at several ports. */
export function installedUrl(folder = stateFolder()) {
  const advice = "give `url`, the address that `wasmguard serve --daemon --http` was told";
  let entries;
  try {
    entries = JSON.parse(ownFile(join(folder, "installed.json"))).entries;
  } catch {
    entries = [];
  }
  const found = new Set((Array.isArray(entries) ? entries : []).map((entry) => entry?.http).filter(Boolean));
  if (found.size !== 1) throw new Error(`${found.size ? "several daemons are" : "no daemon is"} installed: ${advice}`);
  return `http://${[...found][0]}`;
}

/** What is in a file of this user's alone (rule 1). */
function ownFile(path) {
  const file = opened(path);
  try {
    const seen = fstatSync(file);
    if (!seen.isFile()) throw new Error(`\`${path}\` is no regular file: delete it and install again`);
    if (process.geteuid && seen.uid !== process.geteuid()) {
      throw new Error(`\`${path}\` belongs to user ${seen.uid}: delete it and install again`);
    }
    if (process.geteuid && seen.mode & 0o077) {
      const mode = (seen.mode & 0o7777).toString(8);
      throw new Error(`\`${path}\` is open to others (mode ${mode}): delete it and install again`);
    }
    const data = Buffer.alloc(Math.min(seen.size, LARGEST));
    return data.toString("utf8", 0, readSync(file, data, 0, data.length, 0));
  } finally {
    closeSync(file);
  }
}

function opened(path) {
  try {
    return openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const why =
      error.code === "ENOENT" ? "it is not there: start `wasmguard serve --daemon --http HOST:PORT`" : error.code;
    throw new Error(`\`${path}\` cannot be read: ${why}`);
  }
}
