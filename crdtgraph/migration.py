"""A replica moves from one store to another, and back.

It stays the same replica: its key goes along, so only one of the two stores may be used from then on, and which one
that is says whoever names stores. The old one is held locked until the block that does this is over, so nobody writes
to it between the copy and the switch; it stays as it was, for the way back.

The copy is verified twice: read back, its bytes have the sum of those that were copied; and the graph that opens from
it has the digest that the old one's has.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from crdtgraph.errors import CorruptError, NotAStoreError, StoreLockedError
from crdtgraph.opening import open as open_graph
from crdtgraph.store import Store, open_store
from crdtgraph.store.copying import Progress, Sum, Summing, building, entries, fill, require_vacant, sum_of, verify
from crdtgraph.store.naming import absolute_url


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

    Raises LocalError when the target is not empty, StoreLockedError when a process has the source open, StoreError,
    CorruptError when the copy is not what was copied. Then nothing is at the target.
    """
    require_vacant(target)
    with _held(source) as store:
        yield _copy(store, target, progress, replacing=False)


@contextmanager
def taken_back(source: str, target: str, progress: Progress | None = None) -> Iterator[Moved]:
    """Go back from `target` to `source`, which was migrated there; both are held until the block ends.

    What was written to the target since is copied back, all of it: the source becomes what the target is. Raises as
    `migrated` does; the source is as it was then.
    """
    with _held(target) as store:
        after = sum_of(store, progress)
        try:
            with _held(source) as old:
                equal = sum_of(old, progress) == after
        except NotAStoreError:
            equal = False  # An earlier try was stopped just where the source was about to be replaced.
        if equal:
            yield Moved(absolute_url(target), absolute_url(source), after, digest_of(source), copied=False)
        else:
            yield _copy(store, source, progress, replacing=True)


def digest_of(url: str) -> bytes:
    """The digest of the graph in a store, which may be open elsewhere. About 5 us a commit."""
    with open_graph(url, create=False, read_only=True) as graph:
        return graph.digest()


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
