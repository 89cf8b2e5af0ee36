"""What a client without a replica asks of a node: requests made of what a program has, and answers read back into it.

Sans-IO, so that the blocking client and that for trio (`remote.py`, `asyncremote.py`) are two thin shells around it. An
answer that is not of the expected shape raises `RemoteMessageError`: the node is of another version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar, cast

from crdtgraph.bulk import Draft, fields_of
from crdtgraph.durability import Durability
from crdtgraph.errors import LocalError, NotFoundError
from crdtgraph.ids import COMMIT_ID_BYTES, CommitId
from crdtgraph.records import Commit, Reference, Value
from sync.callers import WORKERS_VERSION
from sync.plain import value_from_plain, value_to_plain
from sync.protocol.calls import Plain
from sync.protocol.packing import RemoteMessageError

_Result = TypeVar("_Result")


class Ask(NamedTuple, Generic[_Result]):
    """A request, and how its answer is read."""

    method: str
    params: dict[str, Plain]
    read: Callable[[Plain], _Result]


class Greeting(NamedTuple):
    """What a node says of itself."""

    replica: bytes
    cluster: str
    author: str


def hello(name: str) -> Ask[Greeting]:
    """Say which version this worker speaks; the node answers with what it is."""
    return Ask("hello", {"version": WORKERS_VERSION, "name": name}, _greeting)


def not_greeted(error: NotFoundError, name: str) -> LocalError:
    """What a worker says when the node has never heard of workers."""
    return LocalError(
        f"worker {name!r} speaks version {WORKERS_VERSION}, and the node knows of no workers: {error.message:.60}",
        hint="upgrade the node: pip install --upgrade crdtgraph, and start it again",
    )


def not_hosted(error: NotFoundError) -> LocalError:
    """What a worker says whose tree is not there, or whose node cannot hold one yet."""
    if "no method" in error.message:
        return LocalError(
            "the node is older than this worker, and holds no trees",
            hint="upgrade the node: pip install --upgrade crdtgraph",
        )
    return error


def open_search(name: str) -> Ask[str]:
    """Open or join a search; its plane."""
    return Ask("search_open", {"name": name}, _text)


def close_search(name: str) -> Ask[None]:
    """End a search for everybody; one that is over already is no error."""
    return Ask("search_close", {"name": name}, _nothing)


def commit_many(plane: str, drafts: Iterable[Draft], durability: Durability | None) -> Ask[list[CommitId]]:
    """Make a batch of commits; their ids."""
    rows: list[Plain] = []
    for place, draft in enumerate(drafts):
        try:
            parents, message, changes, author, time = fields_of(draft)
            rows.append([list(parents), message, None if changes is None else _changes(changes), author, time])
        except LocalError as error:
            raise LocalError(f"item {place}: {error.message}", error.hint) from None
    params: dict[str, Plain] = {"plane": plane, "commits": rows}
    if durability is not None:
        params["durability"] = durability.value
    return Ask("commit_batch", params, read_ids)


def count_many(plane: str, counts: Iterable[tuple[CommitId, Sequence[int]]]) -> Ask[None]:
    """Add vectors to the counters of commits."""
    pairs = list(counts)
    vectors: list[Plain] = [list(vector) for _, vector in pairs]
    return Ask(
        "count_batch", {"plane": plane, "commits": _joined(pair[0] for pair in pairs), "vectors": vectors}, _nothing
    )


def discard_many(plane: str, commits: Iterable[CommitId]) -> Ask[None]:
    """Throw commits and what follows from them away."""
    return Ask("discard_batch", {"plane": plane, "commits": _joined(commits)}, _nothing)


def promote(plane: str, commit: CommitId, ref: str | None) -> Ask[list[CommitId]]:
    """Copy a commit and its ancestors that the ledger lacks to the ledger; what was copied."""
    return Ask("search_promote", {"plane": plane, "commit": commit, "ref": ref}, read_ids)


def get_many(plane: str, commits: Iterable[CommitId]) -> Ask[list[Commit]]:
    """The contents of commits."""
    return Ask("get_batch", {"plane": plane, "commits": _joined(commits)}, _each(_commit))


def children_many(plane: str, commits: Iterable[CommitId]) -> Ask[list[tuple[CommitId, ...]]]:
    """The children of each of some commits."""
    return Ask(
        "children_batch", {"plane": plane, "commits": _joined(commits)}, _each(lambda each: tuple(read_ids(each)))
    )


def counters_many(plane: str, commits: Iterable[CommitId]) -> Ask[list[tuple[int, ...]]]:
    """The totals of each of some commits."""
    return Ask("counters_batch", {"plane": plane, "commits": _joined(commits)}, _each(_integers))


def are_live(plane: str, commits: Iterable[CommitId]) -> Ask[list[bool]]:
    """Whether each of some commits is live."""
    return Ask("live_batch", {"plane": plane, "commits": _joined(commits)}, _each(bool))


def state_many(plane: str, commits: Iterable[CommitId]) -> Ask[list[dict[str, Value]]]:
    """The states at some commits."""
    return Ask("state_batch", {"plane": plane, "commits": _joined(commits)}, _each(_state))


def assign(plane: str, key: str, value: bytes | None) -> Ask[None]:
    """Set a register of a search."""
    return Ask("search_assign", {"plane": plane, "key": key, "value": value}, _nothing)


def values(plane: str, key: str) -> Ask[tuple[bytes, ...]]:
    """All values that a register of a search has."""
    return Ask("search_values", {"plane": plane, "key": key}, lambda data: tuple(cast("list[bytes]", _list(data))))


def read_ids(data: Plain) -> list[CommitId]:
    """Ids that came as one byte string."""
    if type(data) is not bytes or len(data) % COMMIT_ID_BYTES:
        raise _unreadable(data, "ids")
    return [CommitId(data[start : start + COMMIT_ID_BYTES]) for start in range(0, len(data), COMMIT_ID_BYTES)]


def _joined(commits: Iterable[CommitId]) -> bytes:
    found = list(commits)
    for place, commit in enumerate(found):
        given: object = commit
        if not isinstance(given, bytes) or len(given) != COMMIT_ID_BYTES:
            raise LocalError(f"item {place}: {commit!r:.80} is no id", hint=f"an id is {COMMIT_ID_BYTES} bytes")
    return b"".join(found)


def _changes(changes: Mapping[str, Value]) -> Plain:
    if not isinstance(changes, Mapping):
        raise LocalError(f"changes are {changes!r:.80}", hint="pass a mapping from path to value")
    for path, value in changes.items():
        if value is not None and not isinstance(value, bytes | Reference):
            raise LocalError(
                f"the value of path {path!r:.80} is {type(value).__name__}",
                hint="pass bytes (text: value.encode()), a Reference, or None to remove the path",
            )
    return {path: value if type(value) is bytes else value_to_plain(value) for path, value in changes.items()}


def _each(read: Callable[[Plain], _Result]) -> Callable[[Plain], list[_Result]]:
    return lambda data: [read(each) for each in _list(data)]


def _list(data: Plain) -> list[Plain]:
    if not isinstance(data, list):
        raise _unreadable(data, "a list")
    return data


def _integers(data: Plain) -> tuple[int, ...]:
    return tuple(cast("list[int]", _list(data)))


def _state(data: Plain) -> dict[str, Value]:
    if not isinstance(data, dict):
        raise _unreadable(data, "a state")
    return {path: value_from_plain(value) for path, value in data.items()}


def _commit(data: Plain) -> Commit:
    match data:
        case {
            "parents": list() as parents,
            "author": str() as author,
            "time": int() as time,
            "message": str() as message,
            "changes": list() as changes,
            "origin": str() as origin,
        }:
            pairs = cast("list[tuple[str, Plain]]", changes)
            found = tuple([(path, value_from_plain(value)) for path, value in pairs])
            return Commit(tuple(cast("list[CommitId]", parents)), author, time, message, found, origin)
    raise _unreadable(data, "a commit")


def _greeting(data: Plain) -> Greeting:
    match data:
        case {"version": int(), "replica": bytes() as replica, "cluster": str() as cluster, "author": str() as author}:
            return Greeting(replica, cluster, author)
    raise _unreadable(data, "a greeting")


def _text(data: Plain) -> str:
    if not isinstance(data, str):
        raise _unreadable(data, "a text")
    return data


def _nothing(_data: Plain) -> None:
    return None


def _unreadable(data: Plain, what: str) -> RemoteMessageError:
    return RemoteMessageError(
        f"the node answered {data!r:.60} where {what} was expected", hint="are worker and node of the same version?"
    )
