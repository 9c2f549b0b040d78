// Patterns for paths: `?` is one character and `*` any number of them, but no `/`; `**` is anything, and `/**/` is
// anything between two `/`, or a single `/`. Every other character is itself.
#pragma once
#include <cstddef>
#include <optional>
#include <string_view>

namespace glob {

// Where to go on when something does not fit: the pattern behind a star, and how far that star has taken the path.
struct retry {
  std::size_t p, taken;
};

// How many bytes of `path` one character of a pattern covers; 0 if it does not.
inline std::size_t covered(char wanted, std::string_view path) {
  if (wanted != '?') return wanted == path.front();
  if (path.front() == '/') return 0;
  std::size_t size = 1;
  while (size < path.size() && (path[size] & 0xc0) == 0x80) size++; // the rest of UTF-8
  return size;
}

// Where the pattern goes on behind the stars at `p`; if they are a whole component, their `/` belongs to them.
inline std::size_t behind_stars(std::string_view pattern, std::size_t p) {
  auto end = p;
  while (end < pattern.size() && pattern[end] == '*') end++;
  return end + (p && pattern[p - 1] == '/' && end < pattern.size() && pattern[end] == '/');
}

// The star takes one byte more, if there is one and it is no `/`.
inline bool takes_more(std::optional<retry>& star, std::string_view path) {
  if (!star || star->taken == path.size() || path[star->taken] == '/') return false;
  star->taken++;
  return true;
}

// The double star takes one byte more; if it is a whole component, everything up to the next `/`.
inline bool takes_much_more(std::optional<retry>& stars, std::string_view pattern, std::string_view path) {
  if (!stars || stars->taken == path.size()) return false;
  auto last = pattern[stars->p - 1] == '/' ? path.find('/', stars->taken) : stars->taken;
  if (last == path.npos) return false;
  stars->taken = last + 1;
  return true;
}

// Whether all of `path` fits `pattern`.
//
// When something does not fit, the last star takes one character more; when that would be a `/`, the last double star
// does. Stars before those never need to change: whatever else they could take, the later one can take too.
inline bool fits(std::string_view pattern, std::string_view path) {
  std::size_t p = 0, t = 0, size;
  std::optional<retry> star, stars;
  for (;;) {
    auto rest = pattern.substr(p), left = path.substr(t);
    if (rest.starts_with("**")) {
      p = behind_stars(pattern, p);
      star.reset();
      stars = {p, t};
    } else if (rest.starts_with('*')) {
      star = {++p, t};
    } else if (!rest.empty() && !left.empty() && (size = covered(rest.front(), left))) {
      p++, t += size;
    } else if (rest.empty() && left.empty()) {
      return true;
    } else if (takes_more(star, path)) {
      p = star->p, t = star->taken;
    } else if (takes_much_more(stars, pattern, path)) {
      p = stars->p, t = stars->taken;
      star.reset();
    } else {
      return false;
    }
  }
}

} // namespace glob
