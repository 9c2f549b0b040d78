package wasmguard

import (
	"path"
	"strings"
)

// Normal is an absolute path with `.`, `..` and doubled slashes resolved as text: links are not followed, because a
// policy sees no files. A path that is not absolute is taken as one from the top; put Cwd and a slash before it if the
// event has one.
func Normal(absolute string) string { return path.Clean("/" + absolute) }

// IsInside says whether a path is the folder or below it: with its separator, so "/etcetera" is not in "/etc". Both are
// absolute and compared as texts, so make the path Normal first.
func IsInside(path, folder string) bool {
	rest, found := strings.CutPrefix(path, strings.TrimRight(folder, "/"))
	return found && (rest == "" || rest[0] == '/')
}
