# Paths as text: nothing is looked up on a disk. `import data.kit.path`, then `path.normal(file)`.
package kit.path

# The absolute path `file` without `.`, `..` and doubled slashes. Undefined for a path that is not absolute.
normal(file) := concat("", ["/", concat("/", kept)]) if {
	startswith(file, "/")
	parts := [part | some part in split(file, "/"); not part in {"", "."}]
	weights := [weight | some part in parts; weight := weight_of(part)]
	kept := [part | some at, part in parts; part != ".."; not climbed_out_of(at, weights)]
}

# Whether `file` is `folder`, or below it, by whole names. Both are taken as they are: make them `normal` first.
below(file, folder) if file == folder

below(file, folder) if startswith(file, concat("", [trim_suffix(folder, "/"), "/"]))

weight_of(part) := 1 if part == ".."

else := -1

# A name is gone if there are more `..` than names between it and some place behind it.
climbed_out_of(at, weights) if {
	some end in numbers.range(at + 2, count(weights))
	sum(array.slice(weights, at + 1, end)) > 0
}
