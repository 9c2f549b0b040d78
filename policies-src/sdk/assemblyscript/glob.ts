// Patterns for paths: `?` is one character and `*` any number of them, but no `/`; `**` is anything, and `/**/` is
// anything between two `/`, or a single `/`. Every other character is itself.

const SLASH = 0x2f;
const STAR = 0x2a;
const ONE = 0x3f;
const NO = -1;

/**
 * Whether all of `path` fits `pattern`.
 *
 * When something does not fit, the last star takes one unit more; when that would be a `/`, the last double star does.
 * Stars before those never need to change: whatever else they could take, the later one can take too.
 */
export function fits(pattern: string, path: string): bool {
  let p = 0;
  let t = 0;
  let star = NO; // what is behind the last star in the pattern, and how far it has taken the path
  let starred = 0;
  let stars = NO;
  let starsTook = 0;
  while (true) {
    if (unit(pattern, p) == STAR && unit(pattern, p + 1) == STAR) {
      p = behindStars(pattern, p);
      star = NO;
      stars = p;
      starsTook = t;
      continue;
    }
    if (unit(pattern, p) == STAR) {
      star = ++p;
      starred = t;
      continue;
    }
    const size = step(unit(pattern, p), path, t);
    if (size > 0) {
      p++;
      t += size;
      continue;
    }
    if (p == pattern.length && t == path.length) return true;
    if (star != NO && starred < path.length && unit(path, starred) != SLASH) {
      p = star;
      t = ++starred;
      continue;
    }
    const taken = stars == NO ? NO : takenMore(pattern, stars, path, starsTook);
    if (taken == NO) return false;
    star = NO;
    p = stars;
    t = starsTook = taken;
  }
}

/** The unit at `index`, or one that is in no text behind the end. */
function unit(text: string, index: i32): i32 {
  return index < text.length ? text.charCodeAt(index) : NO;
}

/** How many units of the path the wanted one covers. */
function step(wanted: i32, path: string, at: i32): i32 {
  const there = unit(path, at);
  if (wanted == NO || there == NO) return 0;
  if (wanted != ONE) return wanted == there ? 1 : 0;
  if (there == SLASH) return 0;
  return (there & 0xfc00) == 0xd800 ? 2 : 1; // a character in two units
}

/** How far a double star takes the path next: one unit, or if it is a whole part, everything up to the next `/`. */
function takenMore(pattern: string, stars: i32, path: string, taken: i32): i32 {
  if (taken >= path.length) return NO;
  if (unit(pattern, stars - 1) != SLASH) return taken + 1;
  const slash = path.indexOf("/", taken);
  return slash < 0 ? NO : slash + 1;
}

/** Where the pattern goes on behind the stars at `start`; if they are a whole part, their `/` belongs to them. */
function behindStars(pattern: string, start: i32): i32 {
  let end = start;
  while (unit(pattern, end) == STAR) end++;
  const isWhole = start > 0 && unit(pattern, start - 1) == SLASH && unit(pattern, end) == SLASH;
  return isWhole ? end + 1 : end;
}
