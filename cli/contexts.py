"""Names for stores and nodes, in one file of the user's: `contexts.toml` in the configuration folder.

    current = "lab"

    [contexts.lab]
    node = "/srv/lab/control"

CRDTGRAPH_CONFIG names another folder. The file is replaced as a whole under a lock, so that of two commands that change
it at once neither loses what the other did. One that cannot be read is an error, and is never written over.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from crdtgraph.errors import LocalError, NotFoundError

CONFIG_VARIABLE = "CRDTGRAPH_CONFIG"
FILE_NAME = "contexts.toml"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)
"""No slash and no colon: a name never looks like a path with folders, or a store's URL."""
_KINDS = ("store", "node")
_MORE = ("backup", "previous")


class ContextError(LocalError):
    """A context cannot be had as asked for, or the file of contexts is damaged."""


class UnknownContextError(NotFoundError):
    """There is no context of this name."""


@dataclass(frozen=True, slots=True)
class Context:
    """A named graph: a store's path or URL, or a node's control socket.

    `backup` is where its exports go, `previous` the store from which it was migrated.
    """

    kind: str
    place: str
    backup: str = ""
    previous: str = ""


@dataclass(slots=True)
class Contexts:
    """All of them, by name, and the one that commands use when nothing else is said ("" for none)."""

    current: str = ""
    named: dict[str, Context] = field(default_factory=dict)

    def get(self, name: str) -> Context:
        """The context of a name; raises UnknownContextError."""
        if name not in self.named:
            known = ", ".join(sorted(self.named)) or "none"
            raise UnknownContextError(f"no context {name!r}", hint=f"there are: {known}; see crdtgraph context ls")
        return self.named[name]


def path() -> Path:
    """Where the file is, whether it exists or not."""
    folder = os.environ.get(CONFIG_VARIABLE)
    if not folder:
        from platformdirs import user_config_dir

        folder = user_config_dir("crdtgraph", appauthor=False)
    return Path(folder) / FILE_NAME


def load() -> Contexts:
    """What the file says; nothing if there is none. Raises ContextError for a damaged one, with the line."""
    import tomllib

    file = path()
    try:
        table = tomllib.loads(file.read_bytes().decode())
    except FileNotFoundError:
        return Contexts()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _damaged(file, str(error)) from error
    current, named = table.get("current", ""), table.get("contexts", {})
    if not isinstance(current, str) or not isinstance(named, dict):
        raise _damaged(file, "`current` has to be a name and `contexts` a table")
    return Contexts(current, {name: _read(file, name, each) for name, each in named.items()})


@contextmanager
def changing() -> Iterator[Contexts]:
    """The contexts, to be changed; written when the block ends without an error."""
    import fcntl

    file = path()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (file.parent / (FILE_NAME + ".lock")).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        contexts = load()
        yield contexts
        _write(file, contexts)


def checked_name(name: str) -> str:
    """The name, if a context may have it; else ContextError."""
    if not NAME.fullmatch(name):
        raise ContextError(
            f"{name!r} is no name for a context",
            hint="letters, digits, '-', '_' and '.', at most 64, no '-' or '.' first",
        )
    return name


def lookup(place: str) -> Context | None:
    """The context that a place names; None if it can only be a path, or if there is none of that name.

    What exists as a path is that path, as files are there for everyone and names for one user alone.
    """
    if not NAME.fullmatch(place) or os.path.exists(place):
        return None
    return load().named.get(place)


def _read(file: Path, name: str, value: object) -> Context:
    if isinstance(value, dict):
        found = [kind for kind in _KINDS if isinstance(value.get(kind), str) and value[kind]]
        more = {key: value.get(key, "") for key in _MORE}
        if NAME.fullmatch(name) and len(found) == 1 and all(isinstance(each, str) for each in more.values()):
            return Context(found[0], value[found[0]], **more)
    raise _damaged(file, f"context {name!r} has to have either a store or a node")


def _write(file: Path, contexts: Contexts) -> None:
    import tomli_w

    table = {
        "current": contexts.current,
        "contexts": {
            name: {each.kind: each.place, **{key: getattr(each, key) for key in _MORE if getattr(each, key)}}
            for name, each in sorted(contexts.named.items())
        },
    }
    # The lock is ours, so nobody else writes under this name.
    new = file.with_name(FILE_NAME + ".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(tomli_w.dumps(table).encode())
        out.flush()
        os.fsync(out.fileno())
    os.replace(new, file)


def _damaged(file: Path, what: str) -> ContextError:
    return ContextError(f"{file} is damaged: {what}", hint="mend it by hand, or move it away; nothing was changed")
