"""The four things a writer can say. Everything a replica knows is a fold over them.

| record | what it says | how it folds |
| --- | --- | --- |
| `Commit` | this state follows from those | set union by id |
| `Assign` | this register has this value now, and those assignments are superseded | multi-value register |
| `Count` | add this vector to the counters of a commit | sums of integers |
| `Discard` | this commit and what follows from it is thrown away | grow-only set |

Records are named tuples: a search makes thousands of commits a second, and a frozen dataclass costs six calls to
`object.__setattr__` each.

Canonical bytes of a commit: the array [1, parents, author, time, message, changes, origin], `changes` an array of
[path, value] in ascending order of the path's UTF-8 bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crdtgraph.canonical import (
    EMPTY_ARRAY,
    INT64_MAX,
    INT64_MIN,
    NULL,
    RemoteEncodingError,
    blob,
    decode,
    head,
    integer,
    repeated_text,
    text,
)
from crdtgraph.errors import LocalError
from crdtgraph.ids import COMMIT_ID_BYTES, CommitId, Dot

COMMIT_VERSION = 1
PARENTS_MAX = 1_000
"""An octopus has arms, not a coat; git's own largest known merge has 66 parents."""
PATH_BYTES_MAX = 4_096
"""PATH_MAX of Linux."""
RECORD_BYTES_MAX = 4 << 20
"""The largest record. One that is larger than a segment travels alone (see segment.py)."""
VECTOR_LENGTH_MAX = 64
"""Counters of one commit; a search needs four."""
NAME_BYTES_MAX = 1_024
"""Names of refs, metadata keys and namespaces."""

ONE_PARENT = b"\x87\x01\x81\x58\x20"
"""How the canonical bytes of a commit with one parent begin; the parent's id follows."""

CONTROL_CHARACTER = re.compile("[\x00-\x1f\x7f]")
"""No name holds one: names are shown on terminals and stand one on a line."""

_ID_HEAD = b"\x58\x20"
_PARENTS_HEADS = [b"\x87\x01" + head(4, count) + _ID_HEAD for count in range(24)]

OBJECT_SCHEME = "object"
"""Of a `Reference` to a large value that is kept beside the commits (objects/)."""

REF_NAMESPACE = "ref"
META_NAMESPACE = "meta"


@dataclass(frozen=True, slots=True)
class Reference:
    """A value kept elsewhere: `scheme` says where ("object", "git-blob"), `digest` what, `size` how many bytes."""

    scheme: str
    digest: bytes
    size: int


Value = bytes | Reference | None
"""What a path changes to; None removes it."""


class Commit(NamedTuple):
    """One immutable commit. The first parent is the one whose state `changes` are applied to.

    A parent may stand twice, as it does in some histories that were converted to git; the index has one edge for it.

    `time` is microseconds since the Unix epoch (negative before 1970). `origin` is empty or says where an imported
    commit came from, as in "git:<oid>". `changes` is sorted by the path's UTF-8 bytes, each path once.
    """

    parents: tuple[CommitId, ...]
    author: str
    time: int
    message: str
    changes: tuple[tuple[str, Value], ...] = ()
    origin: str = ""

    @property
    def id(self) -> CommitId:
        """The SHA-256 of the canonical bytes; computed anew at each call, O(size of the commit)."""
        return CommitId(hashlib.sha256(self.canonical()).digest())

    def canonical(self) -> bytes:
        """The bytes that the id is the hash of."""
        return commit_bytes(*self)

    @classmethod
    def from_canonical(cls, data: bytes) -> Commit:
        """The commit with these canonical bytes; raises RemoteEncodingError for anything else."""
        fields = decode(data)
        if type(fields) is not list or len(fields) != 7 or type(fields[1]) is not list:
            raise RemoteEncodingError(f"{len(data)} bytes are not a commit")
        if type(fields[0]) is not int or fields[0] != COMMIT_VERSION:  # True and 1.0 equal 1, too
            raise RemoteEncodingError(f"a commit of version {fields[0]!r:.80} is not one of {COMMIT_VERSION}")
        commit = cls(tuple(fields[1]), fields[2], fields[3], fields[4], changes_from_wire(fields[5]), fields[6])
        check_wire_commit(commit)
        return commit


class Assign(NamedTuple):
    """Set the register `namespace`/`key` to `value` (None removes it), superseding the assignments named.

    In namespace "ref" the value is a commit id. `stamp` is the writer's hybrid clock.
    """

    namespace: str
    key: str
    value: bytes | None
    dot: Dot
    supersedes: tuple[Dot, ...]
    stamp: int


class Count(NamedTuple):
    """Add `vector`, signed 64-bit integers, to the counters of a commit."""

    commit: CommitId
    vector: tuple[int, ...]
    stamp: int


class Discard(NamedTuple):
    """Throw a commit and all its descendants away, in the plane that this is said in."""

    commit: CommitId
    stamp: int


def commit_bytes(
    parents: tuple[CommitId, ...],
    author: str,
    time: int,
    message: str,
    changes: tuple[tuple[str, Value], ...],
    origin: str,
) -> bytes:
    """The canonical bytes of a commit with these fields, about 0.7 us for a small one."""
    return b"".join(
        (
            ONE_PARENT + parents[0] if len(parents) == 1 else parents_bytes(parents),
            repeated_text(author),
            integer(time),
            text(message),
            changes_bytes(changes) if changes else EMPTY_ARRAY,
            text(origin),
        )
    )


def parents_bytes(parents: tuple[CommitId, ...]) -> bytes:
    """The canonical bytes of a commit up to and including its parents."""
    count = len(parents)
    if 0 < count < 24:
        return _PARENTS_HEADS[count] + _ID_HEAD.join(parents)
    return b"\x87\x01" + head(4, count) + b"".join([_ID_HEAD + parent for parent in parents])


def changes_bytes(changes: tuple[tuple[str, Value], ...]) -> bytes:
    """The canonical bytes of a sequence of changes that is already in order."""
    parts = [head(4, len(changes))]
    for path, value in changes:
        parts.append(b"\x82" + text(path))
        if value is None:
            parts.append(NULL)
        elif isinstance(value, bytes):
            parts.append(blob(value))
        else:
            parts.append(b"\x83" + text(value.scheme) + blob(value.digest) + integer(value.size))
    return b"".join(parts)


def ordered_changes(changes: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    """A caller's changes, checked and in canonical order; raises LocalError naming the path that is wrong."""
    if not hasattr(changes, "items"):
        raise LocalError(f"changes are {changes!r:.80}", hint="pass a mapping from path to value")
    for path, value in changes.items():
        check_path(path)
        if value is not None and type(value) is not bytes and not isinstance(value, Reference):
            raise LocalError(
                f"the value of path {path!r} is {type(value).__name__}",
                hint="pass bytes (text: value.encode()), a Reference, or None to remove the path",
            )
        if isinstance(value, Reference):
            _check_reference(path, value)
    if len(changes) < 2:
        return tuple(changes.items())
    return tuple(sorted(changes.items(), key=lambda change: change[0].encode()))


def _check_reference(path: str, value: Reference) -> None:
    # What `value_from_wire` refuses must never get into a segment: nobody could read it again.
    if type(value.scheme) is not str or type(value.digest) is not bytes or type(value.size) is not int:
        raise LocalError(f"the reference at path {path!r} is not a text, bytes and a size: {value!r:.80}")
    try:
        value.scheme.encode()
    except UnicodeEncodeError:
        raise LocalError(f"scheme {value.scheme!r:.80} at path {path!r} cannot be written as UTF-8") from None
    if not 0 <= value.size <= INT64_MAX:
        raise LocalError(f"the reference at path {path!r} has a size that is no number from 0 to 2**63-1")


def check_path(path: object) -> None:
    """Raise LocalError unless `path` is a text of 1 to 4,096 UTF-8 bytes."""
    if type(path) is not str or not path:
        raise LocalError(f"{path!r} is not a path", hint="a path is a text of at least one character")
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise LocalError(f"path {path!r} cannot be written as UTF-8", hint="escape the bytes of the name") from None
    if size > PATH_BYTES_MAX:
        raise LocalError(f"path {path[:40]!r}... has {size} bytes", hint=f"at most {PATH_BYTES_MAX} are possible")


def changes_from_wire(changes: object) -> tuple[tuple[str, Value], ...]:
    """Changes from an array of [path, value]; raises RemoteEncodingError for a wrong shape, type or order."""
    if type(changes) is not list:
        raise RemoteEncodingError(f"changes are a {type(changes).__name__}, not an array")
    found: list[tuple[str, Value]] = []
    before = b""
    for change in changes:
        if type(change) is not list or len(change) != 2 or type(change[0]) is not str:
            raise RemoteEncodingError("a change is not an array of path and value")
        path, value = change
        before = check_wire_path(path, before)
        found.append((path, value_from_wire(value)))
    return tuple(found)


def check_wire_path(path: str, before: bytes) -> bytes:
    """The UTF-8 bytes of a path that may follow the one before it; RemoteEncodingError when it may not."""
    name = path.encode()
    if name <= before or len(name) > PATH_BYTES_MAX:
        raise RemoteEncodingError(f"path {path[:80]!r} is empty, too long, repeated or out of order")
    return name


def value_to_wire(value: Value) -> object:
    """A value as `canonical.encode` takes it."""
    return [value.scheme, value.digest, value.size] if isinstance(value, Reference) else value


def value_from_wire(value: object) -> Value:
    """The inverse of `value_to_wire`; raises RemoteEncodingError for anything that is no value."""
    if value is None or type(value) is bytes:
        return value
    if type(value) is list and len(value) == 3:
        scheme, digest, size = value
        if type(scheme) is str and type(digest) is bytes and type(size) is int and 0 <= size <= INT64_MAX:
            return Reference(scheme, digest, size)
    raise RemoteEncodingError(f"a changed path has a value of type {type(value).__name__}")


def check_commit(commit: Commit) -> None:
    """Raise LocalError naming the first field of a caller's commit that cannot be encoded."""
    for name in ("author", "message", "origin"):
        value = getattr(commit, name)
        if not isinstance(value, str):
            raise LocalError(f"the {name} of a commit is {value!r:.80}", hint="pass a text")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise LocalError(f"the {name} {value!r:.80} cannot be written as UTF-8") from None
    if type(commit.time) is not int or not INT64_MIN <= commit.time <= INT64_MAX:
        raise LocalError(f"time {commit.time!r:.80} is not a whole number of microseconds in 64 bits")
    if not all(_is_id(parent) for parent in commit.parents):
        hint = "an id is 32 bytes; graph.resolve() turns text into one"
        raise LocalError(f"parents {commit.parents!r:.80} are not ids", hint=hint)
    if len(commit.parents) > PARENTS_MAX:
        raise LocalError(f"a commit has {len(commit.parents)} parents", hint=f"at most {PARENTS_MAX} are possible")
    try:
        changes = ordered_changes(dict(commit.changes))
    except (TypeError, ValueError):
        raise LocalError(f"the changes of a commit are {commit.changes!r:.80}, not pairs of path and value") from None
    if commit.changes != changes:
        raise LocalError("the changes of a commit are not in order of their paths", hint="use records.ordered_changes")


def check_wire_commit(commit: Commit) -> None:
    """Raise RemoteEncodingError unless every field of a commit read from bytes has its type and range."""
    if len(commit.parents) > PARENTS_MAX or not all(_is_id(parent) for parent in commit.parents):
        raise RemoteEncodingError(f"a commit has {len(commit.parents)} parents or one that is no id")
    if not all(type(field) is str for field in (commit.author, commit.message, commit.origin)):
        raise RemoteEncodingError("author, message and origin of a commit are texts")
    if type(commit.time) is not int or not INT64_MIN <= commit.time <= INT64_MAX:
        raise RemoteEncodingError("the time of a commit is a signed 64-bit integer")


def _is_id(value: object) -> bool:
    return type(value) is bytes and len(value) == COMMIT_ID_BYTES


def _beginning(value: object) -> str:
    """A value for a message, which need not be long or even printable: Python prints no number of 5,000 digits."""
    if isinstance(value, Sequence) and len(value) > VECTOR_LENGTH_MAX:
        return f"a sequence of {len(value)}"
    try:
        return f"{value!r:.80}"
    except ValueError:
        return f"a {type(value).__name__}"


def check_vector(vector: Iterable[int]) -> tuple[int, ...]:
    """A caller's counter vector, checked: 1 to 64 signed 64-bit integers; raises LocalError."""
    given: object = vector
    numbers = tuple(vector) if isinstance(given, Iterable) else ()
    if not 1 <= len(numbers) <= VECTOR_LENGTH_MAX or not set(map(type, numbers)) <= {int}:
        raise LocalError(
            f"{_beginning(given)} is not a vector of 1 to {VECTOR_LENGTH_MAX} integers",
            hint="counters are integers; keep fractions in fixed point, such as millionths",
        )
    if not INT64_MIN <= min(numbers) <= max(numbers) <= INT64_MAX:
        bits = 1 + max(number.bit_length() for number in numbers)
        raise LocalError(
            f"a vector holds a number of {bits} bits, and 64 are possible",
            hint="count in a coarser unit, or in several numbers",
        )
    return numbers


def check_name(name: object, what: str, bytes_max: int = NAME_BYTES_MAX) -> str:
    """A caller's name of a ref, key or namespace: 1 to 1,024 UTF-8 bytes (or `bytes_max`), no control characters."""
    if type(name) is not str or not name or CONTROL_CHARACTER.search(name):
        raise LocalError(f"{name!r} is not a {what} name", hint="use a text without control characters")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise LocalError(f"{what} name {name!r} cannot be written as UTF-8") from None
    if size > bytes_max:
        raise LocalError(
            f"{what} name {name[:40]!r}... has {size:,} bytes; at most {bytes_max:,} are possible",
            hint="take a shorter name",
        )
    return name


def encode_commit(commit: Commit) -> bytes:
    """The canonical bytes of a caller's commit; LocalError says which field is wrong or that it is too large."""
    if not isinstance(commit, Commit):
        raise LocalError(
            f"{commit!r:.80} is no Commit", hint="make one: crdtgraph.Commit(parents, author, time, message)"
        )
    try:
        data = commit_bytes(*commit)
    except (AttributeError, TypeError, ValueError, OverflowError):
        check_commit(commit)
        raise
    if len(data) > RECORD_BYTES_MAX:
        raise LocalError(
            f"the commit has {len(data)} bytes; at most {RECORD_BYTES_MAX} are possible",
            hint="split its changes over several commits, or keep large values elsewhere and refer to them",
        )
    if len(commit.parents) > 1 or commit.time < 0 or commit.time >> 62:
        check_commit(commit)
    return data
