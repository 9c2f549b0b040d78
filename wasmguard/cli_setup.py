"""Commands that set wasmguard up, and take it away again."""

from __future__ import annotations

import click

from wasmguard import places
from wasmguard.cli_desk import answer, config_option, tell
from wasmguard.cli_manual import command
from wasmguard.cli_usage import OneOf, Place
from wasmguard.errors import UsageError

AGENTS = ("claude-code",)
SCOPES = ("user", "project", "local", "managed")
TRANSPORTS = ("command", "http")
SHELLS = ("bash", "zsh", "fish")

agent = click.argument("agent", type=OneOf(AGENTS), metavar="AGENT")
dry_run = click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")


@command
@config_option
def init(config: str | None) -> None:
    """Write a first configuration, with every part explained.

    The file is yours to change. As it comes, it denies commands that destroy
    things, such as `rm -rf`, `dd` and `git push --force`; it keeps the files
    that your shell obeys from being written; and what the agent writes outside
    of your home folder lands in ~/wasmguard-sandbox instead. If you call it in
    a project that lies elsewhere, that project is left alone, too.

    A file that exists is never overwritten. Nothing is in force before you
    have told an agent to ask, with `wasmguard install`.

    Examples:
      wasmguard init
      wasmguard init --config ./wasmguard.toml    # to look at it first

    Exit codes:
      0  the file is written
      1  it exists already, or cannot be written
      2  wrong usage

    Files:
      ~/.config/wasmguard/wasmguard.toml   what is written (0600)
      ~/wasmguard-sandbox                  where stray writes land (0700)
    """
    from wasmguard.workshop.starter import lines, write

    for line in lines(write(places.config_file(config)), option=config):
        click.echo(line)


@command
@agent
@click.option(
    "--scope", type=OneOf(SCOPES), metavar="SCOPE", default="user", help="Whose settings get the hooks; see below."
)
@click.option(
    "--transport", type=OneOf(TRANSPORTS), metavar="WAY", default="command", help="How the agent asks; see below."
)
@dry_run
@click.option(
    "--as-plugin", type=Place("dir"), metavar="DIR", help="Write a plugin and its marketplace into DIR instead."
)
@config_option
def install(  # noqa: PLR0913, PLR0917  # one for each option
    agent: str, scope: str, transport: str, dry_run: bool, as_plugin: str | None, config: str | None
) -> None:
    """Make an agent ask wasmguard before it uses a tool.

    Locks the configuration, shows how the agent's settings change, keeps a copy
    of them, and adds hooks for the events that your policies judge and for
    changes of the settings themselves. Whatever else is in there stays as it
    is. To repeat it changes nothing. An agent that is too old to block a call
    when a hook fails is refused.

    Agents:
      claude-code  Claude Code, in a terminal, in an editor, with `claude -p`

    Scopes:
      user     ~/.claude/settings.json: you, in all projects
      project  .claude/settings.json in this folder: all who work on it
      local    .claude/settings.local.json in this folder: you, here
      managed  the machine's own, which no project can switch off (needs root)

    Ways to ask:
      command  the agent starts a small program for each event, which asks the
               daemon, or decides by itself where there is none
      http     the agent calls a URL on this machine: no program, but without a
               daemon every call is blocked, so have one started with
               `wasmguard serve --daemon --http HOST:PORT`

    Examples:
      wasmguard install claude-code --dry-run      # look first
      wasmguard install claude-code                # you, in all projects
      wasmguard install claude-code --scope local  # this project alone
      wasmguard install claude-code --as-plugin ./guard

    Exit codes:
      0  installed, now or before
      1  it cannot be, or something keeps the agent from asking; it says what
      2  wrong usage

    If a broken installation keeps the agent from everything, call
    `wasmguard uninstall claude-code` in a terminal.
    """
    if as_plugin is None:
        from wasmguard.workshop.install import install as installed

        outcome = installed(agent, scope=scope, transport=transport, config=config, dry_run=dry_run)
    else:
        from wasmguard.workshop.as_plugin import as_plugin as written

        if scope != "user":
            raise UsageError(f"`--scope {scope}` says nothing about a plugin: leave it out, or `--as-plugin`")
        outcome = written(agent, as_plugin, transport=transport, config=config, dry_run=dry_run)
    tell(outcome.lines)
    answer(yes=outcome.works)


@command
@agent
@click.option(
    "--scope", type=OneOf(SCOPES), metavar="SCOPE", help="Only these settings. [default: wherever it is installed]"
)
@dry_run
def uninstall(agent: str, scope: str | None, dry_run: bool) -> None:
    """Take wasmguard out of an agent's settings.

    Removes the hooks that `wasmguard install` added, and nothing else. Settings
    that nobody changed since are what they were before, byte by byte. It works
    without a configuration, a daemon or a policy.

    Examples:
      wasmguard uninstall claude-code --dry-run    # look first
      wasmguard uninstall claude-code              # from all settings
      wasmguard uninstall claude-code --scope project

    Exit codes:
      0  removed, or there was nothing
      1  it cannot be: the settings cannot be read or written; it says how
      2  wrong usage
    """
    from wasmguard.workshop.uninstall import uninstall as removed

    outcome = removed(agent, scope=scope, dry_run=dry_run)
    tell(outcome.lines)
    answer(yes=outcome.works)


@command
@click.argument("shell", type=OneOf(SHELLS), metavar="SHELL")
def completion(shell: str) -> None:
    """Print what makes your shell complete wasmguard's commands.

    The tab key then completes commands, options, agents, scopes and paths.
    SHELL is bash (4.4 or later), zsh or fish. Put what is printed where your
    shell looks for such files, then open a new one.

    Where to put it:
      bash  ~/.local/share/bash-completion/completions/wasmguard
      zsh   a file _wasmguard in a folder of $fpath, such as ~/.zfunc; and
            fpath+=~/.zfunc before compinit in ~/.zshrc
      fish  ~/.config/fish/completions/wasmguard.fish

    Examples:
      wasmguard completion bash
      eval "$(wasmguard completion bash)"    # for this shell alone
      wasmguard completion zsh > ~/.zfunc/_wasmguard
      wasmguard completion fish > ~/.config/fish/completions/wasmguard.fish

    Exit codes:
      0  printed
      2  wrong usage
    """
    from click import shell_completion

    made = shell_completion.get_completion_class(shell)
    if made is None:
        raise UsageError(f"`{shell}` is a shell that this version of click does not complete: update click")
    root = click.get_current_context().find_root()
    variable = f"_{root.info_name}_complete".upper()
    script = made(root.command, {}, str(root.info_name), variable)
    click.echo(made.source_template % script.source_vars(), nl=False)
