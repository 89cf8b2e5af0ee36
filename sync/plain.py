"""Plain values: how commits, errors and status records look in requests to a control socket and in their answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from crdtgraph import errors
from crdtgraph.errors import CrdtGraphError, LocalError

if TYPE_CHECKING:
    from crdtgraph.ids import CommitId
    from crdtgraph.records import Commit, Value
    from crdtgraph.state import MergeResult
    from sync.protocol.calls import Plain


def error_to_plain(error: CrdtGraphError) -> Plain:
    """[class name, message, hint]; a class that clients do not know travels as the nearest one that they do."""
    for kind in type(error).__mro__:
        if kind.__name__ in _ERRORS:
            return [kind.__name__, error.message, error.hint]
    return [CrdtGraphError.__name__, error.message, error.hint]


def error_from_plain(data: Plain) -> CrdtGraphError:
    """The same error again, of the same class."""
    match data:
        case [str() as kind, str() as message, str() as hint]:
            return _ERRORS.get(kind, CrdtGraphError)(message, hint)
    return CrdtGraphError(f"the node reports an error that cannot be read: {data!r:.100}")


_ERRORS: dict[str, type[CrdtGraphError]] = {
    each.__name__: each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, CrdtGraphError)
}


def commit_to_plain(commit_id: CommitId, commit: Commit) -> dict[str, Plain]:
    """A commit as a table; `changes` is a list of [path, value]."""
    return {
        "id": commit_id,
        "parents": list(commit.parents),
        "author": commit.author,
        "time": commit.time,
        "message": commit.message,
        "changes": [[path, value_to_plain(value)] for path, value in commit.changes],
        "origin": commit.origin,
    }


def value_to_plain(value: Value) -> Plain:
    """Bytes, None, or [scheme, digest, size] for a reference."""
    return value if value is None or isinstance(value, bytes) else [value.scheme, value.digest, value.size]


def value_from_plain(value: Plain) -> Value:
    """The inverse of `value_to_plain`; raises LocalError."""
    match value:
        case None | bytes():
            return value
        case [str() as scheme, bytes() as digest, int() as size]:
            from crdtgraph.records import Reference

            return Reference(scheme, digest, size)
    raise LocalError(f"{value!r:.60} is no value of a path", hint="bytes, nothing, or [scheme, digest, size]")


def merge_to_plain(result: MergeResult) -> dict[str, Plain]:
    """What a merge came to, as a table."""
    return {
        "commit": result.commit,
        "parents": list(result.parents),
        "merged": result.merged,
        "conflicts": [
            {
                "path": each.path,
                "base": value_to_plain(each.base),
                "ours": value_to_plain(each.ours),
                "theirs": value_to_plain(each.theirs),
            }
            for each in result.conflicts
        ],
        "settled": [
            {"path": each.path, "policy": each.policy, "value": value_to_plain(each.value)} for each in result.settled
        ],
    }


def vector_to_plain(vector: Mapping[int, int]) -> list[Plain]:
    """A state vector as [writer, clock, writer, clock, ...], writers ascending."""
    return [number for writer in sorted(vector) for number in (writer, vector[writer])]


def vector_from_plain(value: Plain) -> dict[int, int]:
    """The inverse of `vector_to_plain`; raises LocalError."""
    if isinstance(value, list) and len(value) % 2 == 0:
        numbers = [each for each in value if isinstance(each, int) and not isinstance(each, bool)]
        if len(numbers) == len(value):
            return dict(zip(numbers[::2], numbers[1::2], strict=True))
    raise LocalError(f"{value!r:.60} is no state vector", hint="a list [writer, clock, writer, clock, ...]")


def table(value: object) -> dict[str, Plain]:
    """A dataclass as a table; tuples become lists."""
    plain: dict[str, Plain] = {name: _plain(each) for name, each in asdict(value).items()}  # type: ignore[call-overload]
    return plain


def _plain(value: object) -> Plain:
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    raise TypeError(f"{type(value).__name__} is no plain value")
