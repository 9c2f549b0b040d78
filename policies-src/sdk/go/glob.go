package wasmguard

import "strings"

// unset is no place in a pattern.
const unset = -1

// retry is where to go on when something does not fit: the pattern behind a star, and how far that star has taken the
// path.
type retry struct{ pattern, path int }

// Fits says whether all of a path fits a pattern. `?` is one character and `*` any number of them, but no `/`; `**` is
// anything, and `/**/` is anything between two `/`, or a single `/`. Every other character is itself.
//
// When something does not fit, the last star takes one byte more; when that would be a `/`, the last double star does.
// Stars before those never need to change: whatever else they could take, the later one can take too.
func Fits(pattern, path string) bool {
	p, t := 0, 0
	star, stars := retry{unset, 0}, retry{unset, 0}
	for {
		if strings.HasPrefix(pattern[p:], "**") {
			p = behindStars(pattern, p)
			star, stars = retry{unset, 0}, retry{p, t}
		} else if p < len(pattern) && pattern[p] == '*' {
			p++
			star = retry{p, t}
		} else if size := step(pattern[p:], path[t:]); size > 0 {
			p, t = p+1, t+size
		} else if p == len(pattern) && t == len(path) {
			return true
		} else if star.pattern != unset && star.path < len(path) && path[star.path] != '/' {
			star.path++
			p, t = star.pattern, star.path
		} else if taken := much(stars, pattern, path); taken != unset {
			stars.path = taken
			p, t = stars.pattern, taken
			star = retry{unset, 0}
		} else {
			return false
		}
	}
}

// step is how many bytes of path the first character of a pattern covers: 0 if it does not fit.
func step(pattern, path string) int {
	switch {
	case pattern == "" || path == "":
		return 0
	case pattern[0] != '?':
		if pattern[0] == path[0] {
			return 1
		}
		return 0
	case path[0] == '/':
		return 0
	}
	size := 1
	for size < len(path) && path[size]&0xc0 == 0x80 { // the rest of UTF-8
		size++
	}
	return size
}

// much is how far the double star takes the path next: one byte, or if it is a whole component, to the next `/`.
func much(stars retry, pattern, path string) int {
	if stars.pattern == unset || stars.path >= len(path) {
		return unset
	}
	size := 0
	if pattern[stars.pattern-1] == '/' {
		if size = strings.IndexByte(path[stars.path:], '/'); size < 0 {
			return unset
		}
	}
	return stars.path + size + 1
}

// behindStars is where the pattern goes on; if the stars are a whole component, their `/` belongs to them.
func behindStars(pattern string, p int) int {
	end := p
	for end < len(pattern) && pattern[end] == '*' {
		end++
	}
	if p > 0 && pattern[p-1] == '/' && end < len(pattern) && pattern[end] == '/' {
		end++
	}
	return end
}
