# NAME: denies writes into one folder.
package wasmguard

import data.kit.path

# What is answered where nothing below applies: no opinion. Without a default that would be a fault, which denies.
default answer := {"effect": "pass"}

answer := {"effect": "deny", "reason": concat("", ["NAME: ", file, " is in ", folder])} if {
	input.event.hook_event_name == "PreToolUse"
	path.below(target, folder)
}

file := input.event.tool_input.file_path

folder := input.settings.folder

# A path that climbs gets past this: `/tmp/../etc/x` is below `/tmp` as a text. Write `path.normal(file)` here, and the
# last case of cases/first.toml is green.
target := file
