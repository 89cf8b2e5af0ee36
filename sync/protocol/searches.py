"""What a node does about the searches of its cluster: it takes in those that peers tell of, and closes what expired.

A search is known by the summaries of whoever has it. It is kept by everyone who hears of it, until the ledger says that
it is over. A program that dies with a search open leaves it behind; so does one that forgets to close it. The *janitor*
closes it some days after the last write that is known. Every node has one, and they need not agree: closing twice is
the same as closing once. One in which nothing was said, as far as is known here, is forgotten as long after it became
known, here alone and without a word: others may have what was said in it.

Sans-IO: times come in, nothing but the graph is called.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from crdtgraph.planes import LEDGER
from crdtgraph.searches.searching import Hearing
from sync.protocol.limits import PLANES_MAX, Settings
from sync.protocol.replica import LocalReplica, Replica


class Hearsay:
    """Which planes of peers are kept here, and which are not."""

    def __init__(self, replica: Replica) -> None:
        self.ignored = 0
        """How often a peer told of a plane that is not kept here, but for searches that are over."""
        self.refused: dict[str, None] = {}
        """Planes of searches that peers have and for which there is no room here, as far as they fit a summary."""
        self._replica = replica

    def hear_of(self, plane: str) -> bool:
        """Whether a plane that a peer has is kept here, perhaps from now on."""
        if plane == LEDGER:
            return True
        hearing = self._replica.hear_of(plane)
        if hearing is Hearing.FULL and len(self.refused) < PLANES_MAX:
            self.refused[plane] = None
        elif hearing is not Hearing.FULL:
            self.refused.pop(plane, None)
        self.ignored += hearing in (Hearing.FULL, Hearing.UNKNOWN)
        return hearing is Hearing.OPEN


class Janitor:
    """Closes the searches of one node that have expired; a machine of its timekeeper.

    Args:
        graph: the graph.
        settings: how long a search lives, how often to look, and how many to close at a time.
        now_us: the wall clock, which stamps are compared with.
        closed: given the names of those that were closed.
    """

    def __init__(
        self,
        graph: LocalReplica,
        settings: Settings,
        now_us: Callable[[], int],
        closed: Callable[[list[str]], object] = lambda _: None,
    ) -> None:
        self.closed = 0
        """How many were closed so far."""
        self._graph = graph
        self._settings = settings
        self._now_us = now_us
        self._report = closed
        self._look_at = -math.inf
        self._seen: dict[str, tuple[int, int]] = {}

    @property
    def deadline(self) -> float:
        """When `tick` has to be called next."""
        return self._look_at

    def expires_us(self, name: str) -> int:
        """When an open search expires if nothing more is written, as far as is known."""
        written = self._graph.search_written_us(name)
        if written is None:
            written = self._graph.search_known_us(name)
        # A stamp of a clock that ran ahead counts from when it was first seen.
        seen = self._seen.get(name)
        if seen is None or seen[0] != written:
            seen = self._seen[name] = written, self._now_us()
        return min(seen) + round(self._settings.search_expiry_s * 1e6)

    def tick(self, now: float) -> None:
        """Look for what has expired, if it is time to, and close as many as may be closed at once."""
        if now < self._look_at:
            return
        self._look_at = now + self._settings.search_janitor_s
        now_us, names = self._now_us(), self._graph.searches()
        self._seen = {name: seen for name, seen in self._seen.items() if name in names}
        ends = sorted((self.expires_us(name), name) for name in names)
        due = [name for at, name in ends if at <= now_us]
        expired = due[: self._settings.search_janitor_batch]
        for name in expired:
            if not self._graph.forget_search(name):
                self._graph.close_search(name)
        self.closed += len(expired)
        if expired:
            self._report(expired)
