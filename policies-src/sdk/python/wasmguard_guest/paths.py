"""Paths as text: there is no file system in a policy, so links are not followed."""


def normal(path: str) -> str:
    """The absolute *path* without `.`, `..` and doubled slashes; one that is not absolute stays as it is.

    `..` takes a component away, and above `/` there is only `/`.
    """
    if not path.startswith("/"):
        return path
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    return "/" + "/".join(kept)


def within(path: str, folder: str) -> bool:
    """Whether *path* is *folder* or below it: `/etcetera` is not within `/etc`. Both should be `normal`."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
