// Paths to look out for, in what a tool was given.
//
// 1. The fields `file_path`, `notebook_path` and `path` are paths, and so is each word of `command` that begins with
//    `/`, `~`, `$` or `..`. Words end at blanks, quotes and what the shell puts between commands. Of a long command
//    only the beginning is read.
// 2. A relative path starts at `cwd`; `.`, `..` and doubled slashes are resolved in the text.
// 3. A path is one to look out for if it is an entry of the list or lies below one.
// 4. An entry that begins with `~` is meant below every home folder: `~`, `$HOME`, `/root`, `/home/*`, `/Users/*`.

import { Buffer, Text, textOf, Value } from "../../sdk/assemblyscript/wasmguard";

const MOST = 8; // alerts about one event
const MOST_READ = 1 << 16; // bytes of a command
const LONGEST = 200; // bytes of a path that is shown

/** The paths in `input` that are in the list, as they lie below it, each once. */
export function alerts(input: Value, cwd: Text, list: Text[]): Text[] {
  const found: Text[] = [];
  const given = input.fields(["file_path", "notebook_path", "path", "command"]);
  for (let i = 0; i < 3; i++) look(textOf(given[i]), cwd, list, found);
  const command = textOf(given[3]).slice(0, MOST_READ);
  for (let end = 0, start = 0; start < command.size; start = end + 1) {
    end = endOfWord(command, start);
    const word = command.slice(start, end);
    if (begins(word)) look(word, cwd, list, found);
  }
  return found;
}

function look(path: Text, cwd: Text, list: Text[], found: Text[]): void {
  if (!path.size || found.length >= MOST) return;
  const full = resolved(path, cwd);
  for (let i = 0; i < found.length; i++) if (found[i].equals(full.cut(LONGEST))) return;
  for (let i = 0; i < list.length; i++) {
    if (!isListed(full, list[i])) continue;
    found.push(full.cut(LONGEST));
    return;
  }
}

function endOfWord(command: Text, start: i32): i32 {
  let end = start;
  while (end < command.size && !endsWord(command.at(end))) end++;
  return end;
}

function endsWord(byte: u8): bool {
  if (byte >= 0x61 && byte <= 0x7a) return false; // most are letters
  switch (byte) {
    case 0x20: case 0x09: case 0x0a: case 0x0d: // blanks
    case 0x22: case 0x27: case 0x60: // quotes
    case 0x3b: case 0x26: case 0x7c: case 0x28: case 0x29: // ; & | ( )
    case 0x3c: case 0x3e: case 0x3d: case 0x2c: case 0x3a: // < > = , :
      return true;
  }
  return false;
}

/** Whether a word can be a path that leads out of the folder of the session. */
function begins(word: Text): bool {
  if (!word.size) return false;
  return isAbsolute(word) || word.begins("..");
}

/** Whether a path starts at the top or at somebody's home. */
function isAbsolute(path: Text): bool {
  const first = path.at(0);
  return first == 0x2f || first == 0x7e || first == 0x24; // / ~ $
}

/** The path without `.`, `..` and doubled slashes, starting at `cwd` if it is relative. */
function resolved(path: Text, cwd: Text): Text {
  const made = new Buffer();
  if (!isAbsolute(path)) append(made, cwd);
  append(made, path);
  return made.text;
}

function append(normal: Buffer, path: Text): void {
  for (let start = 0, end = 0; start < path.size; start = end + 1) {
    end = start;
    while (end < path.size && path.at(end) != 0x2f) end++;
    const part = path.slice(start, end);
    if (part.is("..")) normal.size = parent(normal.text);
    else if (part.size && !part.is(".")) add(normal, part, start == 0);
  }
}

function add(normal: Buffer, part: Text, isFirst: bool): void {
  const isHome = isFirst && (part.at(0) == 0x7e || part.at(0) == 0x24);
  if (!isHome || normal.size) normal.byte(0x2f);
  normal.add(part);
}

/** How much of a path is left without its last part. */
function parent(path: Text): i32 {
  let end = path.size;
  while (end > 0 && path.at(--end) != 0x2f) {}
  return end;
}

function isListed(path: Text, entry: Text): bool {
  if (!entry.begins("~")) return isBelow(path, entry);
  const rest = entry.slice(1);
  const home = sizeOfHome(path);
  return home > 0 && isBelow(path.slice(home), rest);
}

/** Whether a path is `folder` or lies in it, whether or not that ends in a slash. */
function isBelow(path: Text, folder: Text): bool {
  const size = folder.size && folder.at(folder.size - 1) == 0x2f ? folder.size - 1 : folder.size;
  return path.startsWith(folder.slice(0, size)) && (path.size == size || path.at(size) == 0x2f);
}

/** How many bytes of a path name a home folder: 0 if none do. */
function sizeOfHome(path: Text): i32 {
  if (path.begins("/home/")) return endOfPart(path, 6);
  if (path.begins("/Users/")) return endOfPart(path, 7);
  const size = endOfPart(path, 1);
  const first = path.slice(0, size);
  const isHome = first.begins("~") || first.is("$HOME") || first.is("${HOME}") || first.is("/root");
  return isHome ? size : 0;
}

function endOfPart(path: Text, start: i32): i32 {
  let end = start;
  while (end < path.size && path.at(end) != 0x2f) end++;
  return end;
}
