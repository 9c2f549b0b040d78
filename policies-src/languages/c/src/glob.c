#include "glob.h"

// Where to go on when something does not fit: the pattern behind a star, and how far that star has taken the path.
struct retry {
  bool set;
  size_t p, taken;
};

// How many bytes of `path` one character of a pattern covers; 0 if it does not.
static size_t covered(char wanted, struct text path) {
  if (wanted != '?') return wanted == *path.at;
  if (*path.at == '/') return 0;
  size_t size = 1;
  while (size < path.size && ((uint8_t)path.at[size] & 0xc0) == 0x80) size++; // the rest of UTF-8
  return size;
}

// Where the pattern goes on behind the stars at `p`; if they are a whole component, their `/` belongs to them.
static size_t behind_stars(struct text pattern, size_t p) {
  size_t end = p;
  while (end < pattern.size && pattern.at[end] == '*') end++;
  bool whole = p && pattern.at[p - 1] == '/' && end < pattern.size && pattern.at[end] == '/';
  return end + whole;
}

// The star takes one byte more, if there is one and it is no `/`.
static bool takes_more(struct retry *star, struct text path) {
  if (!star->set || star->taken == path.size || path.at[star->taken] == '/') return false;
  star->taken++;
  return true;
}

// The double star takes one byte more; if it is a whole component, everything up to the next `/`.
static bool takes_much_more(struct retry *stars, struct text pattern, struct text path) {
  if (!stars->set || stars->taken == path.size) return false;
  size_t to = stars->taken;
  if (pattern.at[stars->p - 1] == '/')
    while (to < path.size && path.at[to] != '/') to++;
  if (to == path.size) return false;
  stars->taken = to + 1;
  return true;
}

// When something does not fit, the last star takes one character more; when that would be a `/`, the last double star
// does. Stars before those never need to change: whatever else they could take, the later one can take too.
bool fits(struct text pattern, struct text path) {
  size_t p = 0, t = 0, size;
  struct retry star = {0}, stars = {0};
  for (;;) {
    struct text rest = {pattern.at + p, pattern.size - p}, left = {path.at + t, path.size - t};
    if (begins(rest, TEXT("**"))) {
      p = behind_stars(pattern, p);
      star.set = false;
      stars = (struct retry){true, p, t};
    } else if (begins(rest, TEXT("*"))) {
      star = (struct retry){true, ++p, t};
    } else if (rest.size && left.size && (size = covered(*rest.at, left))) {
      p++, t += size;
    } else if (!rest.size && !left.size) {
      return true;
    } else if (takes_more(&star, path)) {
      p = star.p, t = star.taken;
    } else if (takes_much_more(&stars, pattern, path)) {
      p = stars.p, t = stars.taken;
      star.set = false;
    } else {
      return false;
    }
  }
}
