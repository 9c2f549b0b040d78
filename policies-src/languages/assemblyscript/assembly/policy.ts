// Moves the paths that tools write to into one folder.
//
// 1. Only `PreToolUse` is judged, and only the tools in `tools`; everything else passes.
// 2. Every field of `PATH_FIELDS` that is a text is a path. If one is denied, the call is; if some move, they move in
//    one answer.
// 3. While `root` is no absolute path, everything is denied.
// 4. A path that is empty, longer than a system takes or starts with `~` is denied.
// 5. A relative path starts at `cwd`; it is denied if that is unknown.
// 6. `.`, `..` and doubled slashes are resolved in the text. What follows is about the result.
// 7. A path that fits a pattern of `exempt` stays as it is.
// 8. A path inside the root stays as it is. If it contains `..` it is written out without: behind a link, `..` leads
//    elsewhere than the text says, and the host checks only what is rewritten.
// 9. The root itself is denied, and so is the path that would become it.
// 10. Every other path moves: root + path. Asked about that, the policy says 8.

import { Answer, deny, glob, pass, path, Request } from "../kit";

const PATH_FIELDS: StaticArray<string> = ["file_path", "notebook_path", "path", "scriptPath"];
const LONGEST = 4096; // bytes: PATH_MAX, and the most that the host accepts in a rewrite

class Settings {
  readonly root: string;
  readonly tools: string[];
  readonly exempt: string[];

  constructor(request: Request) {
    this.root = request.settingText("root", "/sandbox");
    this.tools = request.settingTexts("tools", ["Write", "Edit", "NotebookEdit"]);
    this.exempt = request.settingTexts("exempt");
  }
}

/** What happens to one path: it is denied, it moves, or it stays. */
class Fate {
  constructor(
    /** What is wrong with it, and what to do. The root follows. */
    readonly wrong: string | null,
    readonly moved: string | null = null,
  ) {}
}

export function policy(request: Request): Answer {
  const settings = new Settings(request);
  if (!request.isPreToolUse) return pass();
  const given = request.inputTexts(PATH_FIELDS);
  if (!settings.tools.includes(request.toolName)) return pass();
  if (!settings.root.startsWith("/")) return deny("the setting `root` is no absolute path: the owner must set one");
  const root = path.append("", settings.root);
  const shown = root.length ? root : "/";
  const answer = pass();
  let moves = false;
  for (let i = 0; i < given.length; i++) {
    const text = given[i];
    if (text === null) continue;
    const fate = fateOf(text, root, request.cwd, settings.exempt);
    const wrong = fate.wrong;
    if (wrong !== null) return deny(PATH_FIELDS[i] + wrong + shown);
    const moved = fate.moved;
    if (moved === null) continue;
    answer.rewrite(PATH_FIELDS[i], moved);
    moves = true;
  }
  return moves ? answer.because("moved into " + shown) : answer;
}

function fateOf(given: string, root: string, cwd: string, exempt: string[]): Fate {
  if (!given.length) return new Fate(" is empty: give an absolute path, it is moved into ");
  if (given.startsWith("~")) return new Fate(" starts with ~: give an absolute path, it is moved into ");
  if (isLong(given)) return new Fate(" is longer than 4096 bytes: give a shorter path, it is moved into ");
  const isAbsolute = given.startsWith("/");
  if (!isAbsolute && (!cwd.startsWith("/") || isLong(cwd)))
    return new Fate(" starts at an unknown folder: give an absolute path, it is moved into ");
  const normal = path.append(isAbsolute ? "" : path.append("", cwd), given);
  for (let i = 0; i < exempt.length; i++) if (glob.fits(exempt[i], normal)) return new Fate(null);
  if (!normal.length || normal == root) return new Fate(" would be the folder itself: name a file in ");
  if (!path.isInside(normal, root)) return new Fate(null, root + normal);
  return new Fate(null, path.climbs(given) ? normal : null);
}

function isLong(text: string): bool {
  return text.length > LONGEST || String.UTF8.byteLength(text) > LONGEST;
}
