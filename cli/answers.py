"""Answers as they come from a graph, read into types: the edge behind which commands see no raw tables.

The types of the graph are imported by the functions that read them: many answers are numbers and texts alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from crdtgraph.errors import RemoteError

if TYPE_CHECKING:
    from crdtgraph.ids import CommitId
    from crdtgraph.records import Commit, Value
    from crdtgraph.state import PathChange
    from sync.protocol.calls import Plain

_Kind = TypeVar("_Kind", bool, int, float, str, bytes)


class RemoteAnswerError(RemoteError):
    """A node answered with something else than this version expects."""


@dataclass(frozen=True, slots=True)
class KnownCommit:
    """A commit and its id."""

    id: CommitId
    commit: Commit


@dataclass(frozen=True, slots=True)
class KnownRef:
    """A ref with its targets, the winner first."""

    name: str
    targets: tuple[CommitId, ...]

    @property
    def conflicted(self) -> bool:
        """Whether it has more than one target."""
        return len(self.targets) > 1


@dataclass(frozen=True, slots=True)
class Conflict:
    """A path that two heads changed differently; `ours` is the value that stands."""

    path: str
    base: Value
    ours: Value
    theirs: Value


@dataclass(frozen=True, slots=True)
class Settled:
    """A path that two heads changed differently, the policy that decided, and the value that stands."""

    path: str
    policy: str
    value: Value


def of(kind: type[_Kind], value: Plain) -> _Kind:
    """The value, which must be of this type."""
    if not isinstance(value, kind):
        raise RemoteAnswerError(
            f"an answer holds {value!r:.60} where {kind.__name__} belongs",
            hint="the node may run another version of crdtgraph",
        )
    return value


def list_of(value: Plain) -> list[Plain]:
    """The value, which must be a list."""
    if not isinstance(value, list):
        raise RemoteAnswerError(f"an answer holds {value!r:.60} where a list belongs")
    return value


def table_of(value: Plain) -> dict[str, Plain]:
    """The value, which must be a table."""
    if not isinstance(value, dict):
        raise RemoteAnswerError(f"an answer holds {value!r:.60} where a table belongs")
    return value


def ids_of(value: Plain) -> tuple[CommitId, ...]:
    """A list of commit ids."""
    from crdtgraph.ids import CommitId

    return tuple(CommitId(of(bytes, each)) for each in list_of(value))


def commits_of(value: Plain) -> list[KnownCommit]:
    """A list of commits."""
    return [_commit_of(table_of(each)) for each in list_of(value)]


def refs_of(value: Plain) -> list[KnownRef]:
    """The refs, by name."""
    tables = [table_of(each) for each in list_of(value)]
    return [KnownRef(of(str, each["name"]), ids_of(each["targets"])) for each in tables]


def changes_of(value: Plain) -> list[tuple[str, Value]]:
    """A list of [path, value]."""
    from sync.plain import value_from_plain

    pairs = [list_of(each) for each in list_of(value)]
    return [(of(str, path), value_from_plain(each)) for path, each in pairs]


def path_changes_of(value: Plain) -> list[PathChange]:
    """A list of [path, value before, value after]."""
    from crdtgraph.state import PathChange
    from sync.plain import value_from_plain

    triples = [list_of(each) for each in list_of(value)]
    return [PathChange(of(str, path), value_from_plain(old), value_from_plain(new)) for path, old, new in triples]


def conflicts_of(value: Plain) -> list[Conflict]:
    """The conflicts of a merge."""
    from sync.plain import value_from_plain

    tables = [table_of(each) for each in list_of(value)]
    return [
        Conflict(
            of(str, each["path"]),
            value_from_plain(each["base"]),
            value_from_plain(each["ours"]),
            value_from_plain(each["theirs"]),
        )
        for each in tables
    ]


def settled_of(value: Plain) -> list[Settled]:
    """What policies decided in a merge."""
    from sync.plain import value_from_plain

    tables = [table_of(each) for each in list_of(value)]
    return [Settled(of(str, each["path"]), of(str, each["policy"]), value_from_plain(each["value"])) for each in tables]


def _commit_of(table: dict[str, Plain]) -> KnownCommit:
    from crdtgraph.ids import CommitId
    from crdtgraph.records import Commit

    commit = Commit(
        parents=ids_of(table["parents"]),
        author=of(str, table["author"]),
        time=of(int, table["time"]),
        message=of(str, table["message"]),
        changes=tuple(changes_of(table["changes"])),
        origin=of(str, table["origin"]),
    )
    return KnownCommit(CommitId(of(bytes, table["id"])), commit)
