# branch-guard: keeps force pushes, and pushes to protected branches, from running.
#
# 1. It reads commands as far as words go: separators split a line, quotes are taken off. It keeps an agent from
#    mistakes; it is no wall against a script or an alias that pushes.
# 2. A push that cannot be read (variables, patterns, backslashes in it) is stopped, and so is one that does not name
#    its branch: what is not known may be protected.
# 3. Where output goes is no branch: `git push origin >log` names none.
package wasmguard

default answer := {"effect": "pass"}

answer := {"effect": effect, "reason": concat("; ", sort(reasons))} if {
	input.event.hook_event_name == "PreToolUse"
	count(reasons) > 0
}

default effect := "deny"

effect := "ask" if input.settings.effect == "ask"

reasons contains "a push is written with variables, patterns or escapes: write it out" if {
	some push in pushes
	some word in push
	regex.match("[$`\\\\\"'*?[]", word)
}

reasons contains concat("", ["`", word, "` forces or deletes: push without it"]) if {
	some push in pushes
	some word in push
	forces(word)
}

reasons contains concat("", ["`", branch, "` is protected: push another branch and ask for a review"]) if {
	some push in pushes
	some branch in targets(push)
	some pattern in input.settings.protected
	glob.match(pattern, ["/"], branch)
}

reasons contains "the push does not name its branch: write `git push REMOTE BRANCH`" if {
	some push in pushes
	some target in unnamed(push)
}

# --- what is pushed

# The words behind `git push` of every command of the line that is one.
pushes contains array.slice(words, at + 1, count(words)) if {
	some words in commands
	some at in subcommands(words)
	words[at] == "push"
}

# What may stand before the name of a program.
starts_another(word) if option(word)

starts_another(word) if contains(word, "=")

starts_another(word) if word in {"sudo", "env", "time", "nohup", "command", "exec", "bash", "sh", "xargs", "eval"}

starts_another(word) if word in {"nice", "timeout"}

starts_another(word) if regex.match("^[0-9.]+[smhd]?$", word) # how long, after `timeout`

starts_another(word) if word in {"if", "then", "else", "elif", "while", "until", "do", "!"}

# Where the subcommands of git are: behind its own options and their values.
subcommands(words) := {min(places) |
	some git, word in words
	regex.match("(^|[/\\\\])git([.]exe)?$", word)
	every before in array.slice(words, 0, git) { starts_another(before) }
	places := {at | some at, other in words; at > git; not option(other); not at in values(words)}
	count(places) > 0
}

targets(push) := {branch |
	some at, word in positional(push)
	at > 0 # the first one is the remote
	parts := split(trim_prefix(word, "+"), ":")
	branch := trim_prefix(trim_prefix(parts[count(parts) - 1], "refs/"), "heads/")
}

# Everything by which git chooses the branches itself.
unnamed(push) := ({target | some target in targets(push); target in {"HEAD", "@", "", "*"}} | {word |
	some word in push
	word in {"--all", "--branches", "--mirror"}
}) | {"" | count(positional(push)) < 2; not tags_only(push)}

tags_only(push) if "--tags" in push

positional(push) := [word |
	some at, word in push
	not option(word)
	not at in values(push)
]

# Places of words that belong to the option before them.
values(push) := {place | some at, word in push; takes_value(word); place := at + 1}

option(word) if startswith(word, "-")

takes_value(word) if word in {"-C", "-c", "--git-dir", "--work-tree", "--namespace", "-o", "--push-option"}

takes_value(word) if word in {"--exec", "--receive-pack", "--repo"}

forces(word) if regex.match("^(--force|--delete$|--mirror$|--prune$|\\+|:.)", word)

forces(word) if regex.match("^-[a-zA-Z]*[fd]", word)

# --- how a line is read

commands contains words if {
	some line in split(strings.replace_n(separators, redirected), "\n")
	words := [bare | some word in split(replace(line, "\t", " "), " "); bare := trim(word, "\"'"); bare != ""]
	count(words) > 0
}

# Numbers of descriptors are no words, and after `&` no command begins.
redirected := replace(replace(replace(input.event.tool_input.command, "2>&1", " "), "1>&2", " "), "2>", ">")

separators[mark] := "\n" if some mark in {";", "&", "|", "(", ")", "{", "}", "<", ">", "`", "\r"}
