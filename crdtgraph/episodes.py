"""Episodes: the times during which a replica and others wrote without hearing of each other, as the store keeps them.

A record is written by the node (see `sync.protocol.episodes`, which decides what one is) and belongs to this store
alone: it is in no segment and no digest. It is canonical CBOR, an array that begins with a version, under `episode` and
a number in `Keyspace.META`. Older code ignores such keys, so the format of a store is the same with and without them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from crdtgraph.canonical import RemoteEncodingError, decode, encode
from crdtgraph.errors import CorruptError
from crdtgraph.ids import REPLICA_ID_BYTES, ReplicaId
from crdtgraph.store import Batch, Keyspace, Store

EPISODES_MAX = 1_000
"""Records in a store, about 200 bytes each; older ones make room. A link that flaps for ever must not fill a disk."""
BASE_MAX = 10_000
"""Writers of which a record says how far they were; the counts of more are estimates."""
CONFLICTS_MAX = 100
"""Names of refs in a record; of more than these only the number is kept."""
MEMBERS_MAX = 64
"""Replicas named on one side."""
VERSION = 1

_PREFIX = b"episode\0"
_FIELDS = 14


@dataclass(frozen=True, slots=True)
class Side:
    """A replica on one side, with the name that it gave itself."""

    replica: ReplicaId
    name: str


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode. Times are microseconds since the Unix epoch by this replica's clock; None is not yet.

    `from_us` is when a first peer was lost, `returned_us` when something of the other side came again, and `to_us` when
    both sides had it all. `commits_ours` is what the others lacked then, `commits_theirs` what was new here; `exact`
    says that neither had to be estimated. `conflicts` names refs that came into conflict by healing, `conflicts_total`
    counts them. While it goes on `ended` is empty and `base` is the state vector of the ledger at the beginning.
    """

    from_us: int
    cause: str
    ours: tuple[Side, ...]
    theirs: tuple[Side, ...]
    returned_us: int | None = None
    to_us: int | None = None
    commits_ours: int = 0
    commits_theirs: int = 0
    exact: bool = True
    conflicts: tuple[str, ...] = ()
    conflicts_total: int = 0
    ended: str = ""
    base: tuple[tuple[int, int], ...] = ()

    @property
    def kind(self) -> str:
        """`split` when both sides wrote what the other lacked, `one-sided` when one did, else `quiet`; or `open`.

        In a quiet one no commits were made, but other records: refs, metadata, counters, discards.
        """
        if not self.ended:
            return "open"
        if self.commits_ours and self.commits_theirs:
            return "split"
        return "one-sided" if self.commits_ours or self.commits_theirs else "quiet"

    def to_bytes(self) -> bytes:
        """The canonical bytes of the record."""
        sides = [[[bytes(each.replica), each.name] for each in side[:MEMBERS_MAX]] for side in (self.ours, self.theirs)]
        return encode(
            [VERSION, self.from_us, self.cause, *sides, self.returned_us, self.to_us, self.commits_ours,
             self.commits_theirs, int(self.exact), list(self.conflicts[:CONFLICTS_MAX]), self.conflicts_total,
             self.ended, [list(each) for each in self.base[:BASE_MAX]]]
        )  # fmt: skip

    @classmethod
    def from_bytes(cls, data: bytes) -> Episode:
        """Read a record; CorruptError when it is damaged or from a newer version."""
        try:
            row = decode(data)
        except RemoteEncodingError as failure:
            raise _unreadable(str(failure)) from None
        if not isinstance(row, list) or not row or type(row[0]) is not int:
            raise _unreadable("it is no record")
        if row[0] > VERSION:
            raise _unreadable(f"it has version {row[0]}, this program reads up to {VERSION}")
        if len(row) != _FIELDS or not _is_well_formed(row):
            raise _unreadable("its fields are wrong")
        _, from_us, cause, ours, theirs, returned_us, to_us, mine, others, exact, conflicts, total, ended, base = row
        vector = tuple((writer, clock) for writer, clock in cast("list[tuple[int, int]]", base))
        names = tuple(cast("list[str]", conflicts))
        return cls(
            cast(int, from_us), cast(str, cause), _sides(ours), _sides(theirs), cast("int | None", returned_us),
            cast("int | None", to_us), cast(int, mine), cast(int, others), bool(exact), names, cast(int, total),
            cast(str, ended), vector,
        )  # fmt: skip


def read_episodes(store: Store) -> Iterator[tuple[int, Episode]]:
    """Number and record of every episode, oldest first; CorruptError at one that cannot be read."""
    for number, data in stored(store):
        yield number, Episode.from_bytes(data)


def stored(store: Store) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of every episode, oldest first."""
    for key, data in store.scan(Keyspace.META, _PREFIX):
        yield int.from_bytes(key[len(_PREFIX) :], "big"), data


def read_open(store: Store) -> tuple[list[tuple[int, Episode]], int]:
    """Number and record of every episode that goes on, oldest first, and the number of the next one.

    What cannot be read is left as it is: whoever lists the episodes is told.
    """
    found, following = [], 0
    for number, data in stored(store):
        following = number + 1
        with suppress(CorruptError):
            episode = Episode.from_bytes(data)
            if not episode.ended:
                found.append((number, episode))
    return found, following


def write_episode(store: Store, number: int, episode: Episode | None) -> None:
    """Keep a record under a number, or drop it. Of more than `EPISODES_MAX` the oldest that are over make room.

    Not synchronous: it survives the death of the process, and that of the machine from the next sync on. Raises
    StoreError when the disk refuses.
    """
    batch = Batch()
    if episode is None:
        batch.delete(Keyspace.META, _key(number))
    else:
        batch.put(Keyspace.META, _key(number), episode.to_bytes())
        others = [each for each in stored(store) if each[0] != number]
        excess = len(others) + 1 - EPISODES_MAX
        if excess > 0:
            over = [other for other, data in others if not _goes_on(data)]
            for other in over[:excess]:
                batch.delete(Keyspace.META, _key(other))
    store.write(batch, sync=False)


def _goes_on(data: bytes) -> bool:
    try:
        return not Episode.from_bytes(data).ended
    except CorruptError:
        return False


def _key(number: int) -> bytes:
    return _PREFIX + number.to_bytes(8, "big")


def _unreadable(why: str) -> CorruptError:
    return CorruptError(
        f"a record of an episode cannot be read: {why}",
        hint="the graph itself is not touched by it; check that: crdtgraph fsck",
    )


def _is_well_formed(row: list[object]) -> bool:
    _, from_us, cause, ours, theirs, returned_us, to_us, mine, others, exact, conflicts, total, ended, base = row
    return (
        all(type(each) is int for each in (from_us, mine, others, exact, total))
        and all(each is None or type(each) is int for each in (returned_us, to_us))
        and all(isinstance(each, str) for each in (cause, ended))
        and _is_side(ours)
        and _is_side(theirs)
        and isinstance(conflicts, list)
        and all(isinstance(each, str) for each in conflicts)
        and isinstance(base, list)
        and all(isinstance(each, list) and len(each) == 2 and all(type(n) is int for n in each) for each in base)
    )


def _is_side(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, list)
        and len(each) == 2
        and isinstance(each[0], bytes)
        and len(each[0]) == REPLICA_ID_BYTES
        and isinstance(each[1], str)
        for each in value
    )


def _sides(value: object) -> tuple[Side, ...]:
    return tuple(Side(ReplicaId(replica), name) for replica, name in cast("list[tuple[bytes, str]]", value))
