// Absolute paths, worked on as text: there is no file system in a policy, so links are not followed.

/**
 * `path` with `.`, `..` and doubled slashes resolved, and no slash at its end: `/etc/x` for `/tmp/..//etc/./x/`. Above
 * `/` there is only `/`. One that is not absolute stays as it is: nobody knows where it starts.
 */
export function normal(path: string): string {
  if (!path.startsWith("/")) return path;
  const made = append("", path);
  return made.length ? made : "/";
}

/** Whether `path` is `folder` or below it. `path` must be as `normal` makes it: as text, `/etc/../x` is in `/etc`. */
export function isInside(path: string, folder: string): bool {
  let size = folder.length;
  while (size > 0 && folder.charCodeAt(size - 1) == SLASH) size--;
  const root = folder.substring(0, size);
  if (path.length <= size) return path.length > 0 && path == root;
  return path.charCodeAt(size) == SLASH && path.startsWith(root);
}

/** Whether a part of `path` is `..`. What such a path means depends on links. */
export function climbs(path: string): bool {
  for (let start = 0, end = 0; start <= path.length; start = end + 1) {
    end = endOfPart(path, start);
    if (isDots(path, start, end, 2)) return true;
  }
  return false;
}

/**
 * The parts of `path` behind `base`, which is a path without `.`, `..` and doubled slashes, or empty. `..` takes a part
 * away, and nothing where there is none.
 */
export function append(base: string, path: string): string {
  let made = base;
  let from = 0; // what is behind it and needs no change waits to be added at once
  for (let start = 0, end = 0; start <= path.length; start = end + 1) {
    end = endOfPart(path, start);
    const climbs = isDots(path, start, end, 2);
    if (start < end && !climbs && !isDots(path, start, end, 1)) continue;
    made = joined(made, path, from, start - 1);
    if (climbs) made = made.substring(0, max(made.lastIndexOf("/"), 0));
    from = end + 1;
  }
  return joined(made, path, from, path.length);
}

const SLASH = 0x2f;
const DOT = 0x2e;

function joined(made: string, path: string, from: i32, to: i32): string {
  return from < to ? made + "/" + path.substring(from, to) : made;
}

function endOfPart(path: string, start: i32): i32 {
  let end = start;
  while (end < path.length && path.charCodeAt(end) != SLASH) end++;
  return end;
}

/** Whether the part consists of so many dots. */
function isDots(path: string, start: i32, end: i32, dots: i32): bool {
  if (end - start != dots) return false;
  for (let i = start; i < end; i++) if (path.charCodeAt(i) != DOT) return false;
  return true;
}
