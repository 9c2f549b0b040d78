// Moves the paths that tools write to into one folder: path-redirect, which is explained where it is written in Rust,
// on the kit for Go.
package main

import (
	"slices"
	"strings"

	"wasmguard"
)

const (
	absolute = "give an absolute path, it is moved into "
	longest  = 4096 // bytes: PATH_MAX, and the most that the host accepts in a rewrite
)

var pathFields = []string{"file_path", "notebook_path", "path", "scriptPath"}

type settings struct {
	root          string
	tools, exempt []string
}

func init() { wasmguard.Policy(judge) }

func main() {}

func judge(r *wasmguard.Request) wasmguard.Answer {
	set := settings{
		root:   r.SettingText("root", "/sandbox"),
		tools:  r.SettingTexts("tools", "Write", "Edit", "NotebookEdit"),
		exempt: r.SettingTexts("exempt"),
	}
	if r.EventName() != "PreToolUse" || !slices.Contains(set.tools, r.ToolName()) {
		return wasmguard.Pass()
	}
	if !strings.HasPrefix(set.root, "/") {
		return wasmguard.Deny("the setting `root` is no absolute path: the owner must set one")
	}
	set.root = normal(set.root)
	answer := wasmguard.Pass()
	moved := false
	for _, field := range pathFields {
		given, found := r.InputText(field)
		if !found {
			continue
		}
		to, wrong, instead := destination(given, r.Cwd(), set)
		if wrong != "" {
			return wasmguard.Deny(field + " " + wrong + ": " + instead + shown(set.root))
		}
		if to != "" && to != given {
			answer, moved = answer.Rewrite(field, to), true
		}
	}
	if moved {
		return answer.Because("moved into " + shown(set.root))
	}
	return answer
}

// destination is where a path moves to, empty if it stays; or what is wrong with it, and what to do.
func destination(given, cwd string, set settings) (to, wrong, instead string) {
	switch {
	case given == "":
		return "", "is empty", absolute
	case given[0] == '~':
		return "", "starts with ~", absolute
	case len(given) > longest:
		return "", "is longer than 4096 bytes", "give a shorter path, it is moved into "
	case given[0] == '/':
		cwd = ""
	case !strings.HasPrefix(cwd, "/") || len(cwd) > longest:
		return "", "starts at an unknown folder", absolute
	}
	from := normal(cwd + "/" + given)
	fits := func(pattern string) bool { return wasmguard.Fits(pattern, from) }
	switch {
	case slices.ContainsFunc(set.exempt, fits):
		return "", "", ""
	case strings.HasPrefix(from, set.root+"/"):
		if climbs(given) { // behind a link `..` leads elsewhere, and the host checks only what is rewritten
			return from, "", ""
		}
		return "", "", ""
	case from == "" || from == set.root:
		return "", "would be the folder itself", "name a file in "
	}
	return set.root + from, "", ""
}

// normal is an absolute path with `.`, `..` and doubled slashes resolved; the top is empty.
func normal(given string) string {
	return strings.TrimSuffix(wasmguard.Normal(given), "/")
}

func climbs(given string) bool {
	return slices.Contains(strings.Split(given, "/"), "..")
}

func shown(root string) string {
	if root == "" {
		return "/"
	}
	return root
}
