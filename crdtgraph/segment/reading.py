"""A segment read and verified: the hot loop of receiving and of opening."""

from __future__ import annotations

import hashlib
from itertools import accumulate
from typing import TypeAlias, cast
from weakref import WeakValueDictionary

from crdtgraph.canonical import (
    EMPTY_ARRAY,
    INT64_MAX,
    INT64_MIN,
    RemoteEncodingError,
    decode,
    integers,
    read_integer_column,
    texts,
)
from crdtgraph.ids import (
    COMMIT_ID_BYTES,
    CommitId,
    Dot,
    ReplicaId,
    SegmentKey,
    replica_id,
)
from crdtgraph.records import (
    CONTROL_CHARACTER,
    NAME_BYTES_MAX,
    ONE_PARENT,
    PARENTS_MAX,
    VECTOR_LENGTH_MAX,
    Assign,
    Commit,
    Count,
    Discard,
    Reference,
    Value,
    changes_bytes,
    check_wire_path,
    parents_bytes,
    value_from_wire,
)
from crdtgraph.segment.format import (
    SEGMENT_BYTES_MAX,
    Header,
    RemoteSegmentError,
    decompress,
    read_header,
    signed_message,
)
from crdtgraph.segment.packing import Records
from crdtgraph.signing import SIGNATURE_BYTES, verify

_Hashed: TypeAlias = tuple[list[CommitId], list[tuple[CommitId, ...]]]
"""Ids, and the parents of each."""
_Unhashed: TypeAlias = tuple[list[int], list[int], list[CommitId], list[bytes], list[int]]
"""What they follow from, beside what the segment keeps: counts, links, external parents, authors, their numbers."""


class Segment:
    """An unpacked segment. Commits are built when asked for, times are there at once.

    Ids and parents are too, if the segment was verified; else they are worked out at the first look, which is most of
    the work, and whoever only wants messages or changes of a segment that was verified before does without.

    `digest` is the SHA-256 of the segment's bytes; `is_verified` says whether its signature was looked at. It is never
    changed once it is made, so whoever has the same bytes may share it.
    """

    __slots__ = (
        "__weakref__",
        "_authors",
        "_changes",
        "_hashed",
        "_messages",
        "_origins",
        "_unhashed",
        "assigns",
        "counts",
        "digest",
        "discards",
        "incarnation",
        "is_verified",
        "key",
        "part",
        "plane",
        "public_key",
        "stamps",
        "supersedes",
        "times",
    )

    def __init__(self, header: Header, payload: list[object], digest: bytes, *, is_verified: bool) -> None:
        self.digest = digest
        self.is_verified = is_verified
        self.plane = header.plane
        self.public_key = header.public_key
        self.incarnation = header.incarnation
        self.key = header.key
        self.part = header.part
        self.supersedes = tuple(SegmentKey(header.key.writer, seq) for seq in header.supersedes)
        self._hashed: _Hashed | None = None
        self._unhashed: _Unhashed | None = None
        commits, assigns, counts, discards = payload
        self._read_commits(commits)
        self.assigns = _read_assigns(assigns, header.key.writer)
        self.counts = _read_counts(counts)
        self.discards = _read_discards(discards)
        if is_verified:
            self._hash_commits()
        if len(self) != header.records:
            raise RemoteSegmentError(f"segment {self.key.text} holds {len(self)} records and claims {header.records}")

    def __len__(self) -> int:
        return len(self.times) + len(self.assigns) + len(self.counts) + len(self.discards)

    @property
    def ids(self) -> list[CommitId]:
        """The ids of its commits, in order."""
        return self._hash_commits()[0]

    @property
    def parents(self) -> list[tuple[CommitId, ...]]:
        """The parents of each of its commits."""
        return self._hash_commits()[1]

    @property
    def replica_id(self) -> ReplicaId:
        """Whose segment this is."""
        return replica_id(self.public_key)

    def commit(self, position: int) -> Commit:
        """The commit at a position in `ids`."""
        return Commit(
            self.parents[position],
            self._authors[position],
            self.times[position],
            self._messages[position],
            self._changes[position],
            self._origins[position],
        )

    def changes(self, position: int) -> tuple[tuple[str, Value], ...]:
        """The changes alone of the commit at a position."""
        return self._changes[position]

    def references(self, scheme: str) -> list[Reference]:
        """The references of one scheme in the changes of its commits."""
        values = [value for changes in self._changes if changes for _, value in changes]
        return [each for each in values if isinstance(each, Reference) and each.scheme == scheme]

    def origin(self, position: int) -> str:
        """The origin alone of the commit at a position."""
        return self._origins[position]

    def texts(self) -> tuple[list[str], list[str]]:
        """The authors and the messages of all commits, by position."""
        return self._authors, self._messages

    def records(self) -> Records:
        """Everything it holds, ready to be packed again."""
        commits = [self.commit(position) for position in range(len(self.times))]
        return Records(
            list(self.ids), commits, list(self.stamps), list(self.assigns), list(self.counts), list(self.discards)
        )

    def _read_commits(self, columns: object) -> None:
        if type(columns) is not list or len(columns) != 12:
            raise RemoteSegmentError("the commits of a segment are an array of twelve columns")
        counts, links, numbers, steps, change_counts, stamp_steps = [
            _integers(columns[place]) for place in (0, 1, 4, 5, 7, 11)
        ]
        externals, authors, messages, paths, values, origins = [columns[place] for place in (2, 3, 6, 8, 9, 10)]
        size = len(counts)
        if not len(numbers) == len(steps) == len(change_counts) == len(stamp_steps) == size:
            raise RemoteSegmentError("a column of commits has the wrong length")
        for column, kind, length in (
            (externals, bytes, None),
            (authors, str, None),
            (messages, str, size),
            (paths, str, None),
            (origins, str, size),
        ):
            if type(column) is not list or (length is not None and len(column) != length):
                raise RemoteSegmentError("a column of commits has the wrong length")
            if not set(map(type, column)) <= {kind}:
                raise RemoteSegmentError(f"a column of commits holds something else than {kind.__name__}")
        if any(len(external) != COMMIT_ID_BYTES for external in externals) or len(set(externals)) != len(externals):
            raise RemoteSegmentError("an external parent is no commit id or stands twice")
        if list(dict.fromkeys(numbers)) != list(range(len(authors))) or len(set(authors)) != len(authors):
            raise RemoteSegmentError("the authors are not listed once each, in the order of their first commits")
        if [-1 - link for link in dict.fromkeys(links) if link < 0] != list(range(len(externals))):
            raise RemoteSegmentError("the external parents are not listed in the order of their first children")
        if size and not 0 <= min(counts) <= max(counts) <= PARENTS_MAX:
            raise RemoteSegmentError(f"a commit has more than {PARENTS_MAX} parents")
        if sum(counts) != len(links):
            raise RemoteSegmentError(f"{sum(counts)} parents are counted and {len(links)} linked")
        if type(values) is not list or not len(values) == len(paths) == sum(change_counts):
            raise RemoteSegmentError("changes are counted and listed differently")
        self._authors: list[str] = [authors[number] for number in numbers]
        self._messages: list[str] = messages
        self._changes = _group_changes(change_counts, paths, values)
        self._origins: list[str] = origins
        self.times = _running(steps)
        self.stamps = _running(stamp_steps)
        if self.stamps and min(self.stamps) < 0:
            raise RemoteSegmentError("a stamp is below 0")
        self._unhashed = counts, links, externals, texts(authors), numbers

    def _hash_commits(self) -> _Hashed:
        """Ids and parents."""
        if self._hashed is None:
            assert self._unhashed is not None
            self._hashed = self._hash(*self._unhashed)
            self._unhashed = None
        return self._hashed

    def _hash(
        self, counts: list[int], links: list[int], externals: list[CommitId], authors: list[bytes], numbers: list[int]
    ) -> _Hashed:
        # The hot loop of receiving and of opening, about 1 us a commit. What does not hang on earlier commits is joined
        # outside of it, and `cast` spares a call of CommitId, which would be a tenth of the whole.
        sha256 = hashlib.sha256
        ids: list[CommitId] = []
        all_parents: list[tuple[CommitId, ...]] = []
        bodies = [changes_bytes(changes) if changes else EMPTY_ARRAY for changes in self._changes]
        columns = ([authors[number] for number in numbers], integers(self.times), texts(self._messages), bodies)
        rests = [b"".join(fields) for fields in zip(*columns, texts(self._origins), strict=True)]
        at = 0
        for place, (count, rest) in enumerate(zip(counts, rests, strict=True)):
            if count == 1:
                link = links[at]
                parent = ids[place - link] if 0 < link <= place else _parent(link, place, ids, externals)
                all_parents.append((parent,))
                digest = sha256(ONE_PARENT + parent + rest).digest()
            else:
                parents = tuple([_parent(link, place, ids, externals) for link in links[at : at + count]])
                all_parents.append(parents)
                digest = sha256(parents_bytes(parents) + rest).digest()
            at += count
            ids.append(cast("CommitId", digest))
        return ids, all_parents


_held: WeakValueDictionary[bytes, Segment] = WeakValueDictionary()
"""Every segment that somebody in this process holds, by digest. Replicas that share a process share what they read."""


def unpack(data: bytes, *, check_signature: bool = True) -> Segment:
    """Read and verify a segment; about 4 us a commit plus 0.2 ms, unless it is held already.

    Raises RemoteSegmentError (or RemoteEncodingError, its sibling below RemoteError) that says which rule is
    broken. `check_signature=False` is for bytes that this replica verified before it stored them.
    """
    if len(data) > SEGMENT_BYTES_MAX:
        raise RemoteSegmentError(f"a segment of {len(data)} bytes; at most {SEGMENT_BYTES_MAX} are allowed")
    digest = hashlib.sha256(data).digest()
    held = _held.get(digest)
    if held is not None and (held.is_verified or not check_signature):
        return held
    parts = decode(data)
    if type(parts) is not list or len(parts) != 3 or not all(type(part) is bytes for part in parts):
        raise RemoteSegmentError("a segment is an array of header, payload and signature")
    header_bytes, compressed, signature = parts
    header = read_header(header_bytes)
    if check_signature:
        message = signed_message(header_bytes, compressed)
        if len(signature) != SIGNATURE_BYTES or not verify(header.public_key, signature, message):
            raise RemoteSegmentError(f"the signature of segment {header.key.text} is wrong")
    payload = decode(decompress(compressed, header.payload_bytes))
    if type(payload) is not list or len(payload) != 4:
        raise RemoteSegmentError("the payload of a segment is an array of four kinds of records")
    try:
        segment = Segment(header, payload, digest, is_verified=check_signature)
    except RemoteEncodingError as failure:
        raise RemoteSegmentError(f"segment {header.key.text}: {failure}") from None
    _held[digest] = segment
    return segment


def _group_changes(counts: list[int], paths: list[str], values: list[object]) -> list[tuple[tuple[str, Value], ...]]:
    groups: list[tuple[tuple[str, Value], ...]] = []
    at = 0
    for count in counts:
        if count == 0:
            groups.append(())
            continue
        if count < 0:
            raise RemoteSegmentError(f"a commit has {count} changes")
        before = b""
        for path in paths[at : at + count]:
            before = check_wire_path(path, before)
        pairs = zip(paths[at : at + count], values[at : at + count], strict=True)
        groups.append(tuple([(path, value_from_wire(value)) for path, value in pairs]))
        at += count
    return groups


def _integers(column: object) -> list[int]:
    if type(column) is not bytes:
        raise RemoteSegmentError("a column of integers is a byte string")
    return read_integer_column(column)


def _running(steps: list[int]) -> list[int]:
    values = list(accumulate(steps))
    if values and not INT64_MIN <= min(values) <= max(values) <= INT64_MAX:
        return [(value - INT64_MIN) % (1 << 64) + INT64_MIN for value in values]
    return values


def _parent(link: int, place: int, ids: list[CommitId], externals: list[CommitId]) -> CommitId:
    if 0 < link <= place:
        return ids[place - link]
    if 0 < -link <= len(externals):
        return externals[-link - 1]
    raise RemoteSegmentError(f"parent link {link} of commit {place} points nowhere")


def _read_assigns(rows: object, writer: int) -> list[Assign]:
    found = []
    for namespace, key, value, counter, supersedes, stamp in _rows(rows, 6):
        if type(namespace) is not str or type(key) is not str or (value is not None and type(value) is not bytes):
            raise RemoteSegmentError("an assignment is a namespace, a key and a value of bytes or none")
        if max(len(namespace.encode()), len(key.encode())) > NAME_BYTES_MAX or not namespace or not key:
            raise RemoteSegmentError(f"the name {namespace[:40]!r}/{key[:40]!r} is empty or too long")
        if CONTROL_CHARACTER.search(namespace) or CONTROL_CHARACTER.search(key):
            raise RemoteSegmentError(f"the name {namespace[:40]!r}/{key[:40]!r} holds a control character")
        if namespace == "ref" and value is not None and len(value) != COMMIT_ID_BYTES:
            raise RemoteSegmentError(f"ref {key[:40]!r} points at {len(value)} bytes, not at a commit id")
        dots = tuple([Dot(*_naturals(row, 2)) for row in supersedes]) if type(supersedes) is list else None
        if dots is None or list(dots) != sorted(set(dots)):
            raise RemoteSegmentError("superseded dots are distinct and in ascending order")
        found.append(Assign(namespace, key, value, Dot(writer, _natural(counter)), dots, _natural(stamp)))
    return found


def _read_counts(rows: object) -> list[Count]:
    found = []
    for commit, vector, stamp in _rows(rows, 3):
        if type(vector) is not list or not 1 <= len(vector) <= VECTOR_LENGTH_MAX or set(map(type, vector)) != {int}:
            raise RemoteSegmentError(f"a counter vector is 1 to {VECTOR_LENGTH_MAX} integers")
        if not INT64_MIN <= min(vector) <= max(vector) <= INT64_MAX:
            raise RemoteSegmentError("a counter is beyond 64 bits")
        found.append(Count(_id(commit), tuple(vector), _natural(stamp)))
    return found


def _read_discards(rows: object) -> list[Discard]:
    return [Discard(_id(commit), _natural(stamp)) for commit, stamp in _rows(rows, 2)]


def _rows(rows: object, width: int) -> list[list[object]]:
    if type(rows) is not list or not all(type(row) is list and len(row) == width for row in rows):
        raise RemoteSegmentError(f"records of a segment are arrays of {width}")
    return rows


def _id(value: object) -> CommitId:
    if type(value) is not bytes or len(value) != COMMIT_ID_BYTES:
        raise RemoteSegmentError(f"a record names {value!r:.80}, which is no commit id")
    return CommitId(value)


def _natural(value: object) -> int:
    if type(value) is not int or not 0 <= value <= INT64_MAX:
        raise RemoteSegmentError(f"{value!r:.80} is not a number from 0 to 2**63-1")
    return value


def _naturals(row: object, width: int) -> list[int]:
    if type(row) is not list or len(row) != width:
        raise RemoteSegmentError(f"expected {width} numbers")
    return [_natural(value) for value in row]
