"""A replica moves from one store to another, and back.

It stays the same replica: its key goes along, so only one of the two stores may be used from then on, and which one
that is says whoever names stores. The old one is held locked until the block that does this is over, so nobody writes
to it between the copy and the switch; it stays as it was, for the way back.

The copy is verified twice: read back, its bytes have the sum of those that were copied; and the graph that opens from
it has the digest that the old one's has.

A migration may be stopped between the copy and the switch. The next one finds a copy that is equal, to the byte, and
uses it. On the way back the old store is replaced only by one of the same replica that has all that it has: what was
said there meanwhile, against the rule, is never thrown away.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from crdtgraph.backup import replica_of
from crdtgraph.errors import CorruptError, LocalError, NotAStoreError, StoreError, StoreLockedError
from crdtgraph.opening import open as open_graph
from crdtgraph.planes import LEDGER
from crdtgraph.store import Store, open_store
from crdtgraph.store.copying import Progress, Sum, Summing, building, entries, fill, require_vacant, sum_of, verify
from crdtgraph.store.naming import absolute_url, path_of


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved: both URLs in full, its sum, the graph's digest, and whether anything had to be copied."""

    source: str
    target: str
    sum: Sum
    digest: bytes
    copied: bool


@contextmanager
def migrated(source: str, target: str, progress: Progress | None = None) -> Iterator[Moved]:
    """Copy a store to where none is, and hold the old one until the block ends; `progress` gets twice its bytes.

    An equal copy that is there already is taken as it is. Raises LocalError when something else is at the target,
    StoreLockedError when a process has the source open, StoreError, CorruptError when the copy is not what was copied.
    Then nothing is at the target that was not there before.
    """
    with _held(source) as store:
        equal = _copied_before(store, target, progress)
        if equal is None:
            require_vacant(target)
            yield _copy(store, target, progress, replacing=False)
        else:
            yield Moved(store.url, absolute_url(target), equal, digest_of(target), copied=False)


@contextmanager
def taken_back(source: str, target: str, progress: Progress | None = None) -> Iterator[Moved]:
    """Go back from `target` to `source`, which was migrated there; both are held until the block ends.

    What was written to the target since is copied back, all of it: the source becomes what the target is. Raises as
    `migrated` does, and LocalError when the source has what the target lacks; the source is as it was then.
    """
    with _held(target) as store:
        after = sum_of(store, progress)
        try:
            with _held(source) as old:
                equal = sum_of(old, progress) == after
                if not equal:
                    _require_covered(old.url, store.url)
        except NotAStoreError:
            equal = False  # An earlier try was stopped just where the source was about to be replaced.
        if equal:
            yield Moved(absolute_url(target), absolute_url(source), after, digest_of(source), copied=False)
        else:
            yield _copy(store, source, progress, replacing=True)


def require_store(url: str) -> None:
    """Raise as `migrated` does unless there is a store that no process has open."""
    with _held(url):
        pass


def digest_of(url: str) -> bytes:
    """The digest of the graph in a store, which may be open elsewhere. About 5 us a commit."""
    with open_graph(url, create=False, read_only=True) as graph:
        return graph.digest()


def _copied_before(store: Store, target: str, progress: Progress | None) -> Sum | None:
    """The sum of a store, if the target has it, too: an earlier migration was stopped before the switch."""
    if path_of(target) is None or not os.path.exists(path_of(target) or ""):
        return None
    try:
        with _held(target) as found:
            if replica_of(found) == replica_of(store) and (equal := sum_of(store, progress)) == sum_of(found):
                return equal
    except (StoreError, CorruptError):
        return None  # What is there is something else, or in use.
    return None


def _require_covered(old: str, new: str) -> None:
    """Raise LocalError unless the graph in `new` is of the same replica as that in `old`, and has all that it has."""
    with (
        open_graph(old, create=False, read_only=True) as before,
        open_graph(new, create=False, read_only=True) as after,
    ):
        if before.replica_id != after.replica_id:
            raise LocalError(
                f"{old} is of the replica {before.replica_id.hex()}, {new} of {after.replica_id.hex()}",
                hint="a rollback goes back to the store that was migrated; name that one",
            )
        known = after.state_vector(LEDGER)
        if any(known.get(writer, 0) < clock for writer, clock in before.state_vector(LEDGER).items()):
            raise LocalError(
                f"{old} has what {new} lacks: it was written to after the migration",
                hint=f"carry that over first: crdtgraph converge {old} {new}",
            )


def _copy(store: Store, target: str, progress: Progress | None, *, replacing: bool) -> Moved:
    source = store.url
    digest = digest_of(source)
    with building(target, replacing=replacing) as copy:
        summing = Summing(entries(store), progress)
        fill(copy, summing)
        done = summing.sum()
        verify(copy, done, None if progress is None else lambda more: progress(done.size + more))
        found = digest_of(copy.url)
        if found != digest:
            raise CorruptError(
                f"the copy has the digest {found.hex()}, not {digest.hex()}",
                hint="nothing was changed; check the source: crdtgraph fsck",
            )
    return Moved(source, absolute_url(target), done, digest, copied=True)


@contextmanager
def _held(url: str) -> Iterator[Store]:
    try:
        store = open_store(url, create=False)
    except StoreLockedError as error:
        raise StoreLockedError(error.message, hint="stop that process first; nothing was changed") from error
    try:
        yield store
    finally:
        store.close()
