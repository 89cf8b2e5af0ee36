"""`Graph`: the commit graph as a program uses it: opening, flushing, looking after it, closing.

Reading is in `reader.py`, what peers ask for in `replica.py`, what is written in `writer.py`, `assigning.py` and
`branches/`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from crdtgraph.branches.branching import Brancher
from crdtgraph.cache import LearnedPolicy
from crdtgraph.cache import Policy as CachePolicy
from crdtgraph.checkpoints.checkpointing import CLOSING_WEIGHT_MIN, checkpoint_steps, weight
from crdtgraph.checkpoints.recovery import last_stop, load, mark_clean, mark_dirty
from crdtgraph.clock import HybridClock
from crdtgraph.durability import STANDARD_POLICY, Policy
from crdtgraph.errors import StoreError
from crdtgraph.host import Host
from crdtgraph.ids import INCARNATION_BYTES, CommitId, SegmentKey
from crdtgraph.limits import CACHE_BYTES_MAX, CHECKPOINT_WEIGHT_MIN
from crdtgraph.objects.store import ObjectStore
from crdtgraph.planes import LEDGER, Plane
from crdtgraph.searches.searching import Searching
from crdtgraph.signing import Identity
from crdtgraph.steps import Stepwise, run
from crdtgraph.store import Store

if TYPE_CHECKING:
    from crdtgraph.fsck import Finding

STATES_AT_ONCE = 64
"""Commits that are worth a look by whoever stores states in the background."""

Written = Mapping[str, list[SegmentKey]]
"""Segments by plane that were written and may not be on disk yet."""


class Graph(Brancher, Searching):
    """One open replica. Made by `crdtgraph.open`; a context manager that flushes and closes at the end.

    One thread at a time uses a graph; `store.sync` alone may run beside.
    """

    def __init__(
        self,
        store: Store,
        *,
        seed: bytes,
        cluster: str,
        author: str | None,
        host: Host,
        policy: Policy = STANDARD_POLICY,
    ) -> None:
        super().__init__()
        self._policy = policy
        self.store = store
        self.host = host
        self._clock = HybridClock(host.now_us)
        self.cluster = cluster
        self._identity = Identity(seed, host.random_bytes(INCARNATION_BYTES))
        self.replica_id = self._identity.replica_id
        self.writer = self._identity.writer
        self.author = author if author is not None else self.replica_id.hex()[:8]
        self._dots = 0
        self._read_only = store.read_only
        ledger = Plane(LEDGER, store, self._identity)
        self.recovery = load(ledger, last_stop(store))
        self._clock.restore(ledger.own_stamp_max)
        self._clock.witness(ledger.stamp_max)
        ledger.outgoing.on_durable = lambda durable: self._announce(ledger, durable)
        ledger.outgoing.on_later = self._announce_later
        ledger.on_buffered = self._note_buffered
        ledger.on_foreign = self._watch_ledger()
        self.objects = ObjectStore(store)
        self._planes[LEDGER] = ledger
        ledger.on_pause = self._advance_checkpoint_quietly
        self._checkpointing: Stepwise[bool] | None = None
        self._has_checkpoint = False
        if not store.read_only:
            # With an fsync: what a killed process left in the log may not have had one, and it is served to peers now.
            mark_dirty(store, host.now_us())

    # Life

    def __enter__(self) -> Graph:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Make everything durable and close the store. Closing twice is fine."""
        if not self._planes:
            return
        try:
            if not self.read_only:
                self.flush()
                # Nothing is lost without either: opening takes longer, and says that the last stop was not clean.
                with suppress(StoreError):
                    ledger = self._planes[LEDGER]
                    if self._checkpointing or ledger.checkpoints.is_due(weight(ledger), CLOSING_WEIGHT_MIN):
                        self.checkpoint()
                    mark_clean(self.store)
        finally:
            self._drop_searches()
            self._planes.clear()
            self.store.close()

    @property
    def url(self) -> str:
        """What opens this graph again."""
        return self.store.url

    @property
    def read_only(self) -> bool:
        """Whether it was opened to read only."""
        return self.store.read_only

    def now_us(self) -> int:
        """The host's wall time in microseconds since the Unix epoch."""
        return self.host.now_us()

    def flush(self) -> None:
        """Return when everything written so far is on disk, and what searches say is ready for peers.

        Raises StoreError when the disk refuses.
        """
        # Peers then hear of a search before they hear of what was promoted from it.
        self.flush_searches()
        for plane in self._planes.values():
            plane.flush(sync=True)
        self.objects.sync()

    def write_behind(self) -> Written:
        """Write what is buffered without waiting for the disk.

        `store.sync`, the slow half of `flush`, can run in another thread then; after it, `settle` what this returns.
        """
        for plane in self._planes.values():
            plane.flush(sync=False)
        return {name: plane.unsettled() for name, plane in self._planes.items()}

    def settle(self, written: Written) -> None:
        """A `store.sync` that began after `write_behind` returned `written` is over: its segments may go to peers."""
        for name, keys in written.items():
            self._plane(name).settle(keys)

    def durable_up_to(self) -> int:
        """The stamp up to which everything that this process wrote to the ledger is on disk.

        Stamps are microseconds of the hybrid clock, which never runs backwards; what is written after a call has a
        greater one than the call returned. `is_durable` asks about one commit.
        """
        since = self._planes[LEDGER].waiting_since() if self._planes else None
        return self._clock.last if since is None else since - 1

    def is_durable(self, commit: CommitId) -> bool:
        """Whether a commit of the ledger is on disk. False for one that is in a search only.

        It is of commits that this process made: those of peers are written when they come, and synced with the next of
        ours.
        """
        home = self._planes.get(LEDGER)
        if home is None or commit not in home.projection.nodes:
            self._unpromoted(commit)
            return False
        return home.is_durable(commit)

    def flush_due(self) -> float | None:
        """Seconds until buffered or written records have waited 100 ms, None when nothing waits."""
        now = self.host.now_us()
        waits = [plane.flush_due_us(now) for plane in self._planes.values()]
        due = [wait for wait in waits if wait is not None]
        return max(0, min(due)) / 1e6 if due else None

    def compact(self) -> bool:
        """Join small segments of this incarnation; True if there were any. Changes no digest."""
        steps = self.compact_steps()
        while True:
            try:
                next(steps)
            except StopIteration as done:
                return bool(done.value)

    def compact_steps(self) -> Generator[None, None, bool]:
        """`compact` in steps of about 20 ms; the generator returns what it returns."""
        joined = False
        for plane in [*self._planes.values(), *self._searches.values()]:
            if not plane.is_dropped:
                joined |= yield from plane.compact_steps()
        return joined

    def needs_compaction(self) -> bool:
        """Whether enough small segments lie about for `compact` to be worth its while."""
        return any(plane.needs_compaction() for plane in [*self._planes.values(), *self._searches.values()])

    def checkpoint(self) -> bool:
        """Write down what the ledger is, so that the next opening need not fold it; True if that was possible.

        Closing does it when it is worth it, a node in the background, and so do commits, a step now and then. It costs
        what is new since the last one. Raises StoreError when the disk refuses; nothing is lost then.
        """
        return run(self.checkpoint_steps())

    def checkpoint_steps(self) -> Stepwise[bool]:
        """`checkpoint` in steps of about 2 ms, between which anything may happen; one that is under way is dropped."""
        self._start_checkpoint()
        while self.advance_checkpoint():
            yield
        return self._has_checkpoint

    def advance_checkpoint(self, weight_min: int = CHECKPOINT_WEIGHT_MIN) -> bool:
        """Take a step of about 2 ms of the checkpoint that is under way, or of one that is due; whether to go on.

        One is due when what is new since the last weighs `weight_min`, in commits without much in them, and a tenth of
        all. Raises StoreError when the disk refuses; nothing is lost, and it is tried again when more has come.
        """
        ledger = self._plane(LEDGER)
        if self._checkpointing is None:
            if self._read_only or not ledger.checkpoints.is_due(weight(ledger), weight_min):
                return False
            self._start_checkpoint()
        steps, self._checkpointing = self._checkpointing, None
        assert steps is not None
        try:
            next(steps)
        except StopIteration as done:
            self._has_checkpoint = bool(done.value)
            return False
        self._checkpointing = steps
        return True

    # States

    def checkpoint_states(self) -> int:
        """Store the states that are not stored yet, so that any can be read at once; returns of how many commits.

        A running node does it in the background, and a read that had to walk far leaves some behind. About 20 us a
        commit and what its changes take; nothing depends on it.
        """
        return run(self.checkpoint_states_steps())

    def checkpoint_states_steps(self) -> Stepwise[int]:
        """`checkpoint_states` in steps of about 2 ms."""
        return self._states().make_steps()

    def cache_states(self, *, bytes_max: int = CACHE_BYTES_MAX, policy: CachePolicy[CommitId] | None = None) -> None:
        """Keep the states that were read lately in so many bytes, and by this policy; forgets those that are kept now.

        The default policy learns what is read again. A search gives it what it knows of its tree:
        `cache_states(policy=LearnedPolicy(CountedHints(graph, plane=search.plane)))`, see `crdtgraph.cache`.
        """
        self._states().use_cache(bytes_max, policy if policy is not None else LearnedPolicy())

    def prefetch_states(self, commit: CommitId, *, plane: str = LEDGER) -> int:
        """Make the states that are likely to be read next, now that of `commit` was: of its parent and its best child.

        For when there is time; with a policy that has hints. Returns how many were made.
        """
        home = self._plane(plane)
        return self._states().prefetch(home, self._node(home, commit))

    def needs_state_checkpoints(self) -> bool:
        """Whether enough commits have come whose states are not stored."""
        return self._states().needs_rows() >= STATES_AT_ONCE

    # Looking after it

    def fsck(self) -> Iterator[Finding]:
        """Check everything; yields progress and findings, see `crdtgraph.fsck`. Writes the buffer first."""
        from crdtgraph.fsck import check_all

        if not self.read_only:
            self.flush()
        yield from check_all(self._planes.values(), self.store, self.objects)

    # Inside

    def _state_store(self) -> Store | None:
        return self.store

    def _start_checkpoint(self) -> None:
        ledger = self._writable(LEDGER)
        if self._checkpointing is not None:
            self._checkpointing.close()
        self._checkpointing = checkpoint_steps(ledger, lambda: self._clock.last)

    def _advance_checkpoint_quietly(self) -> None:
        # The commit in whose course this happens does not depend on it.
        with suppress(StoreError):
            self.advance_checkpoint()
