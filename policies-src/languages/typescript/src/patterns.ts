// Patterns for paths: `?` is one character and `*` any number of them, but no `/`; `**` is anything, and `/**/` is
// anything between two `/`, or a single `/`. Every other character is itself.
//
// When something does not fit, the last star takes one character more; when that would be a `/`, the last double star
// does. Stars before those never need to change: whatever else they could take, the later one can take too.

/** The pattern behind a star, and how far that star has taken the path. */
type Retry = { p: number; taken: number };

/** Whether all of `path` fits `pattern`. */
export function fits(pattern: string, path: string): boolean {
  let [p, t] = [0, 0];
  let star: Retry | undefined;
  let stars: Retry | undefined;
  for (;;) {
    const size = step(pattern[p], path, t);
    if (pattern.startsWith("**", p)) {
      p = behindStars(pattern, p);
      [star, stars] = [undefined, { p, taken: t }];
    } else if (pattern[p] === "*") {
      p += 1;
      star = { p, taken: t };
    } else if (size > 0) {
      [p, t] = [p + 1, t + size];
    } else if (p === pattern.length && t === path.length) {
      return true;
    } else if (star && star.taken < path.length && path[star.taken] !== "/") {
      star = { p: star.p, taken: star.taken + 1 };
      [p, t] = [star.p, star.taken];
    } else if (stars && more(stars, pattern, path) > 0) {
      stars = { p: stars.p, taken: more(stars, pattern, path) };
      [star, p, t] = [undefined, stars.p, stars.taken];
    } else {
      return false;
    }
  }
}

/** How many units of `path` one character of a pattern covers; 0 if it does not. */
function step(wanted: string | undefined, path: string, t: number): number {
  if (wanted === undefined || t === path.length) return 0;
  if (wanted !== "?") return wanted === path[t] ? 1 : 0;
  if (path[t] === "/") return 0;
  return (path.codePointAt(t) ?? 0) > 0xffff ? 2 : 1;
}

/** How far the double star takes the path next: one character, or up to a `/` if it is a whole component. 0: not. */
function more({ p, taken }: Retry, pattern: string, path: string): number {
  if (taken === path.length) return 0;
  return pattern[p - 1] === "/" ? path.indexOf("/", taken) + 1 : taken + 1;
}

/** Where the pattern goes on behind the stars at `p`; if they are a whole component, their `/` belongs to them. */
function behindStars(pattern: string, p: number): number {
  let end = p;
  while (pattern[end] === "*") end += 1;
  return p > 0 && pattern[p - 1] === "/" && pattern[end] === "/" ? end + 1 : end;
}
