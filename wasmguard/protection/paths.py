"""What belongs to the guard and what steers its agent: paths that the agent may not write.

1. The guard's: the configuration file, its folders for configuration, cache, state and sockets, the module and the
   manifest of each policy, and the installed package with its command (not a checkout, which its author works in).
2. The agent's settings that can switch hooks off or steer them: `.claude/settings.json`, `.claude/settings.local.json`
   in any folder, those of `$CLAUDE_CONFIG_DIR`, `~/.claude.json`, installed plugins, and what the machine's
   administrator set.
3. A path is one of these if it is so as written (`~`, `..` and the current folder resolved), or if the file that it
   leads to is: through symbolic links, or as another hard link to the same file.
4. Letter case does not matter: there are file systems where it does not.
5. A wildcard is one of these if it could stand for one of these. It never stands for a dot at the start of a name.

What this cannot see: a file behind a mount that was made elsewhere, and what changes between the look and the act.
"""

from __future__ import annotations

import os
from stat import S_ISLNK, S_ISREG

from wasmguard import link, places
from wasmguard.protection.marks import ANY, WILD, could_be, plain
from wasmguard.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from wasmguard.plan import Plan

GUARD = "which belongs to the guard"
AGENT = "which can switch the agent's hooks off"

SETTINGS = ("settings.json", "settings.local.json")
MANAGED = ("/etc/claude-code", "/Library/Application Support/ClaudeCode", "C:/Program Files/ClaudeCode")
_OPEN_ONLY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC if hasattr(os, "O_PATH") else 0
MOST_FILES = 20_000  # files of the guard that a hard link is compared with: a hundred are many


def refusal_to(act: str, path: str, why: str) -> str:
    """The sentence that tells why the agent may not *act* on *path*, and what the owner can do."""
    shown = one_line(plain(path), 200)
    return f"the agent may not {act} `{shown}`, {why}: do it yourself, or run `wasmguard off --for 10m` in a terminal"


class Protected:
    """The protected paths of one user and plan."""

    def __init__(
        self, files: Iterable[str], folders: Iterable[str], environ: Mapping[str, str] = os.environ, agent: str = ""
    ) -> None:
        """Protect *files* and *folders* of the guard, and the settings of the agent in the folder *agent* and wherever
        *environ* places them."""
        self.home = home_of(environ)
        self.environ = environ
        given = environ.get("CLAUDE_CONFIG_DIR", "")
        homes = sorted({self.home, places.expanded("~/").rstrip("/"), places.home_in_database() or self.home})
        named = (absolute(at, "/", self.home) for at in (given, agent) if at)
        agents = sorted({*(f"{home}/.claude" for home in homes), *named})  # every process names the same one
        settings = [f"{folder}/{name}" for folder in agents for name in (*SETTINGS, ".claude.json")]
        listed = [(path, GUARD, False) for path in files] + [(path, GUARD, True) for path in folders]
        listed += [(path, AGENT, False) for path in (*settings, *(f"{home}/.claude.json" for home in homes))]
        listed += [(path, AGENT, True) for path in (*MANAGED, *(f"{folder}/plugins" for folder in agents))]
        real: dict[str, str] = {}
        self.known: dict[str, tuple[str, bool]] = {}
        """Path, as it was named and as it really is; why it is protected, and whether it is a folder."""
        for path, why, folder in listed:
            normal = os.path.normpath(absolute(path, "/", self.home))
            self.known[normal] = self.known[_known_real(normal, real)] = why, folder
        self._files = {path.casefold() for path, (_, folder) in self.known.items() if not folder}
        self._folders = tuple(path.casefold() + "/" for path, (_, folder) in self.known.items() if folder)
        self._above: dict[str, str] = {}

    @classmethod
    def of(cls, plan: Plan, environ: Mapping[str, str] = os.environ, agent: str = "") -> Protected:
        """What is protected under *plan*; the rest as above."""
        files = [plan.config]
        if password := plan.state.get("password_file"):
            files.append(password)
        for policy in plan.policies:
            files += [policy.path, os.path.join(os.path.dirname(policy.path), "manifest.toml")]
        kinds = places.config_dir, places.cache_dir, places.state_dir, places.runtime_dir
        folders = sorted({folder(variables) for variables in (environ, os.environ) for folder in kinds})
        folders.append(os.path.dirname(link.socket_of(plan.config)))
        package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        if "/site-packages/" in package or "/dist-packages/" in package:
            folders.append(package)
            files.append(os.path.join(package.rsplit("/lib", 1)[0], "bin", places.OURS))
        return cls(files, folders, environ, agent)

    def found(self, path: str, cwd: str, *, look: bool = True) -> str:
        """Which protected path *path* is or lies in; empty if none. Without *look*, the disk is not asked (rule 3)."""
        path = absolute(path, cwd, self.home)
        if not WILD.isdisjoint(path):
            return self._found_wild(path, look)
        normal = os.path.normpath(path)
        if found := self._listed(normal):
            return found
        if not look:
            return ""
        real, has_names = _followed(path if "/.." in path else normal)
        if real != normal and (found := self._listed(real)):
            return found
        return self._linked(real, cwd) if has_names else ""

    def above(self, path: str, cwd: str) -> str:
        """Which protected path lies below *path*; empty if none does."""
        path = absolute(path, cwd, self.home)
        if not WILD.isdisjoint(path):
            return self._above_wild(path, cwd)
        if not self._above:
            self._above = {above: known for known in self.known for above in _ancestors(known.casefold())}
        for place in self._forms(path):
            folded = place.casefold()
            if folded in self._above:
                return self._above[folded]
            for settings in self.projects(cwd, place):
                if settings.casefold().startswith(folded.rstrip("/") + "/"):
                    return settings
        return ""

    def projects(self, cwd: str, *others: str) -> Iterator[str]:
        """The agent's settings that exist in its project, in *cwd*, and in those of *others* that are `.claude`."""
        roots = [cwd, self.environ.get("CLAUDE_PROJECT_DIR", "")]
        folders = [f"{form}/.claude" for root in roots if root for form in self._forms(root)]
        folders += [other for other in others if other.casefold().endswith("/.claude")]
        for folder in dict.fromkeys(folders):
            yield from (f"{folder}/{name}" for name in SETTINGS if os.path.lexists(f"{folder}/{name}"))

    def below(self, path: str, cwd: str) -> Iterator[str]:
        """What of the known protected paths lies below *path*, from there on."""
        places = (*self.known, *(f"{cwd}/.claude/{name}" for name in SETTINGS))
        for form in self._forms(absolute(path, cwd, self.home)):
            root = form.casefold().rstrip("/") + "/"
            yield from (place[len(root) :] for place in places if place.casefold().startswith(root))

    def mentioned(self, text: str) -> str:
        """The first protected path that *text* spells out: whole, or from `~`, `$HOME` or the home folder on."""
        text = text.casefold()
        for path in self.known:
            folded, home = path.casefold(), self.home.casefold() + "/"
            if folded in text:
                return path
            if not folded.startswith(home):
                continue
            tail = folded[len(home) :]
            plainly = "/" in tail or tail[0] == "."
            if any(form + tail in text for form in ([""] if plainly else ["~/", "$home/", "${home}/"])):
                return path
        return next((f".claude/{name}" for name in SETTINGS if f".claude/{name}" in text), "")

    def why(self, path: str) -> str:
        """Why *path*, which was found, is protected."""
        folded = path.casefold()
        agents = [known.casefold() for known, (why, _) in self.known.items() if why == AGENT]
        return AGENT if _is_settings(folded) or (folded + "/").startswith(tuple(a + "/" for a in agents)) else GUARD

    def absolute(self, path: str, cwd: str) -> str:
        """*path* from the root on, as this user's programs see it from the folder *cwd*."""
        return absolute(path, cwd, self.home)

    def _forms(self, path: str) -> tuple[str, ...]:
        """*path* as it is written and as it really is."""
        normal, real = os.path.normpath(path), os.path.realpath(_encodable(path))
        return (normal,) if normal == real else (normal, real)

    def _listed(self, path: str) -> str:
        """*path* if its text is that of a protected one."""
        folded = path.casefold()
        if folded in self._files or (folded + "/").startswith(self._folders):
            return path
        # a sentence may end with such a path: one with a blank counts only if its folder exists
        return path if _is_settings(folded) and (" " not in path or os.path.isdir(os.path.dirname(path))) else ""

    def _linked(self, path: str, cwd: str) -> str:
        """The protected file that *path*, which has several names, is one name of."""
        try:
            seen = os.stat(_encodable(path))
        except OSError:
            return ""
        for count, other in enumerate(self._linkable(cwd)):
            if count > MOST_FILES:
                return path  # nobody can tell any more
            try:
                if os.path.samestat(seen, os.stat(other)):
                    return other
            except OSError:
                continue
        return ""

    def _linkable(self, cwd: str) -> Iterator[str]:
        """The protected files that exist, as far as one can list them."""
        yield from self.projects(cwd)
        for path, (why, folder) in self.known.items():
            yield path
            for place, _, names in os.walk(path) if folder and why == GUARD else ():
                yield from (f"{place}/{name}" for name in names)

    def _found_wild(self, path: str, look: bool) -> str:
        pattern = self._pattern(path) if look else path.casefold().split("/")[1:]
        if len(pattern) > 1 and could_be(pattern[-2], ".claude"):
            for name in SETTINGS:
                if could_be(pattern[-1], name):
                    return plain(path)
        for place, (_, folder) in self.known.items() if look else ():
            names = place.casefold().split("/")[1:]
            positions = {0}
            for component in pattern:
                positions = _stepped(component, names, positions)
                if folder and len(names) in positions:
                    return place
            if len(names) in positions:
                return place
        return ""

    def _above_wild(self, path: str, cwd: str) -> str:
        pattern = self._pattern(path)
        for place in (*self.known, *self.projects(cwd)):
            names = place.casefold().split("/")[1:]
            positions = {0}
            for component in pattern:
                positions = _stepped(component, names, positions)
            if any(position < len(names) for position in positions):
                return place
        return ""

    def _pattern(self, path: str) -> list[str]:
        """The components of *path*, those before the first wildcard as they really are."""
        components = os.path.normpath(path).split("/")[1:]
        wild = next((n for n, component in enumerate(components) if not WILD.isdisjoint(component)), len(components))
        base = _followed("/" + "/".join(components[:wild]))[0] if wild else ""
        return [component.casefold() for component in (*base.split("/")[1:], *components[wild:])]


def home_of(environ: Mapping[str, str]) -> str:
    """The user's home folder, without a slash at the end."""
    home = environ.get("HOME", "") or environ.get("USERPROFILE", "")
    return (home if os.path.isabs(home) else os.path.expanduser("~")).rstrip("/")


def absolute(path: str, cwd: str, home: str) -> str:
    """*path* from the root on, not normalised. Text behind a NUL is none: that is where the system stops reading."""
    path = path.partition("\0")[0]
    if path[:7].lower() == "file://":
        path = _unquoted(path[7:])
    if os.name == "nt":
        path = path.replace("\\", "/")
    if path[:1] == "~":
        user, _, rest = path.partition("/")
        path = f"{home if user == '~' else os.path.expanduser(_encodable(user))}/{rest}"
    path = path if path[:1] == "/" else f"{cwd}/{path}"
    return path if path[:2] != "//" else "/" + path.lstrip("/")  # `normpath` would leave two


def _stepped(component: str, names: list[str], positions: set[int]) -> set[int]:
    """Where in *names* one may be after *component*, from any of *positions*."""
    if component == ANY + ANY:
        stops = {p: next((n for n in range(p, len(names)) if names[n][0] == "."), len(names)) for p in positions}
        return {reached for start, stop in stops.items() for reached in range(start, stop + 1)}
    return {p + 1 for p in positions if p < len(names) and could_be(component, names[p])}


def _is_settings(folded: str) -> bool:
    folder, _, name = folded.rpartition("/")
    return name.rstrip(". ") in SETTINGS and folder.endswith("/.claude")


def _ancestors(path: str) -> Iterator[str]:
    end = len(path)
    while (end := path.rfind("/", 0, end)) >= 0:
        yield path[:end] or "/"


def _known_real(path: str, real: dict[str, str]) -> str:
    """`realpath` for many paths with the same beginnings, which *real* remembers."""
    if path == "/" or path in real:
        return real.get(path, path)
    folder, _, name = path.rpartition("/")
    there = f"{_known_real(folder, real) if folder else ''}/{name}"
    real[path] = os.path.realpath(there) if os.path.islink(there) else there
    return real[path]


def _followed(path: str) -> tuple[str, bool]:
    """Where *path* really is, and whether that is a file with several names.

    As `realpath`, but cheaper. Linux tells where an open folder is; elsewhere, and where the folder does not exist, one
    `lstat` for each folder finds out that there is no link on the way.
    """
    end, path = 0, _encodable(path)
    if "/.." in path:
        return _slowly(path)
    if _OPEN_ONLY and (found := _followed_at_once(path)):
        return found
    try:
        while end >= 0:
            end = path.find("/", end + 1)
            seen = os.lstat(path if end < 0 else path[:end])
            if S_ISLNK(seen.st_mode):
                return _slowly(path)
    except (OSError, ValueError):  # there is nothing, or nothing that we may see
        return path, False
    return path, seen.st_nlink > 1 and S_ISREG(seen.st_mode)


def _followed_at_once(path: str) -> tuple[str, bool] | None:
    """`_followed` by asking where the folder of *path* is; None where that does not tell."""
    folder, _, name = path.rpartition("/")
    try:
        opened = os.open(folder or "/", _OPEN_ONLY)
        try:
            real = f"{os.readlink(f'/proc/self/fd/{opened}').rstrip('/')}/{name}"
        finally:
            os.close(opened)
    except (OSError, ValueError):
        return None
    try:
        seen = os.lstat(real)
    except (OSError, ValueError):  # there is nothing yet
        return real, False
    return None if S_ISLNK(seen.st_mode) else (real, seen.st_nlink > 1 and S_ISREG(seen.st_mode))


def _slowly(path: str) -> tuple[str, bool]:
    real = os.path.realpath(path)
    try:
        seen = os.lstat(real)
    except OSError:
        return real, False
    return real, seen.st_nlink > 1 and S_ISREG(seen.st_mode)


def _encodable(path: str) -> str:
    """*path* with what no file name can hold replaced: lone surrogates, which the agent writes as U+FFFD."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return path.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return path


def _unquoted(text: str) -> str:
    """*text* of a `file:` address without its host and its percent signs."""
    path = text[text.find("/") :] if "/" in text else text
    parts = path.encode("utf-8", "replace").split(b"%")
    out = parts[0]
    for part in parts[1:]:
        try:
            out += bytes([int(part[:2], 16)]) + part[2:]
        except ValueError:
            out += b"%" + part
    return out.decode("utf-8", "replace")
