// Moves the paths that tools write to into one folder. The rules are those of ../../path-redirect/src/redirect.rs.

import { type Answer, deny, normal, pass, policy, type Request } from "../kit/wasmguard.js";
import { fits } from "./patterns.js";

const FIELDS = ["file_path", "notebook_path", "path", "scriptPath"];
const TOOLS = ["Write", "Edit", "NotebookEdit"];
const LONGEST = 4096; // bytes: PATH_MAX, and the most that the host accepts in a rewrite
const ABSOLUTE = "give an absolute path, it is moved into ";

/** Why a path is denied: what is wrong with it, and what to do. The root follows. */
class Refused {
  constructor(
    readonly wrong: string,
    readonly instead: string,
  ) {}
}

policy((request) => {
  if (request.eventName !== "PreToolUse") return pass();
  const given = FIELDS.map((field) => ({ field, path: request.inputText(field) }));
  const tools = request.settingTexts("tools") ?? TOOLS;
  if (request.toolName === undefined || !tools.includes(request.toolName)) return pass();
  const root = rootOf(request);
  if (root === undefined) return deny("the setting `root` is no absolute path: the owner must set one");
  return moved(given, root, request);
});

function moved(given: { field: string; path: string | undefined }[], root: string, request: Request): Answer {
  const answer = pass();
  let moves = false;
  for (const { field, path } of given) {
    const to = path === undefined ? undefined : destination(path, root, request);
    if (to instanceof Refused) return deny(`${field} ${to.wrong}: ${to.instead}${root || "/"}`);
    if (to === undefined) continue;
    answer.rewrite(field, to);
    moves = true;
  }
  return moves ? answer.because(`moved into ${root || "/"}`) : answer;
}

/** The setting as a normal path, if it is absolute; `/` is empty. */
function rootOf(request: Request): string | undefined {
  const given = request.settingText("root") ?? "/sandbox";
  return given.startsWith("/") ? plain(given) : undefined;
}

/** Where a path moves to, or undefined if it stays. */
function destination(given: string, root: string, request: Request): string | undefined | Refused {
  const start = startOf(given, request.cwd);
  if (start instanceof Refused) return start;
  const path = plain(start + given);
  if (request.settingTexts("exempt")?.some((pattern) => fits(pattern, path))) return undefined;
  if (path.startsWith(`${root}/`)) return given.split("/").includes("..") ? path : undefined;
  if (path === "" || path === root) return new Refused("would be the folder itself", "name a file in ");
  return root + path;
}

/** What stands before a path: nothing before an absolute one. */
function startOf(given: string, cwd: string | undefined): string | Refused {
  if (given === "") return new Refused("is empty", ABSOLUTE);
  if (given.startsWith("~")) return new Refused("starts with ~", ABSOLUTE);
  if (size(given) > LONGEST) {
    return new Refused("is longer than 4096 bytes", "give a shorter path, it is moved into ");
  }
  if (given.startsWith("/")) return "";
  if (cwd === undefined || !cwd.startsWith("/") || size(cwd) > LONGEST) {
    return new Refused("starts at an unknown folder", ABSOLUTE);
  }
  return `${cwd}/`;
}

/** A normal path; the top is empty. */
function plain(path: string): string {
  const made = normal(path);
  return made === "/" ? "" : made;
}

/** Bytes of a text in UTF-8. */
function size(text: string): number {
  return text.length * 3 <= LONGEST ? text.length : encodeURIComponent(text).replace(/%../g, "x").length;
}
