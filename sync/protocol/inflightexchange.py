"""Simulations in flight, told from node to node: what each writer of a search works on at this moment.

A search that many writers share has to know which simulations are under way and not yet counted, or all of them run
down the same line (Liu et al. 2020, "Watch the Unobserved", WU-UCT; virtual loss in Chaslot et al. 2008). Such counts
must not be counters of the search: those only grow, and the simulations of a worker that crashed would stay for ever.
So they are *state*: each writer says all that it has in flight, with a sequence number.

- The newest state of a writer replaces what was known of it. So order, repetition and loss do no harm.
- A state counts for `INFLIGHT_EXPIRY_S`, and for no longer than the connection over which it came. It travels with its
  age, to which each node adds how long it has kept it, so it is as old everywhere and cannot go round for ever. A
  writer repeats what it has in flight several times within that; whoever is silent has nothing.
- What is new to a node it passes on to all its peers but the one it came from and those that this one is connected to:
  it tells them itself. So a line a-b-c works, a ring comes to rest, and where everyone is connected to everyone nothing
  is told twice. `INFLIGHT_HOPS_MAX` bounds the way.
- One writer's states of one search are marked for sending at most once in `inflight_every_s`, and made when a peer's
  turn comes. So a slow peer gets the latest and nothing piles up for it.

Nothing of this is stored, and no digest covers it: two nodes may well know different things for a moment. It steers
where a search looks next, and never what it has found.

No input, output or clock: `now` is an argument in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import NamedTuple, TypeAlias

from crdtgraph.ids import CommitId
from sync.protocol.inflightcodec import TOPIC, InFlightState, decode_inflight, encode_inflight
from sync.protocol.limits import (
    INFLIGHT_COMMITS_MAX,
    INFLIGHT_COUNT_MAX,
    INFLIGHT_EXPIRY_S,
    INFLIGHT_HOPS_MAX,
    INFLIGHT_REPEAT_S,
    INFLIGHT_STATES_MAX,
)
from sync.protocol.messages import Ephemeral

Listener: TypeAlias = Callable[[int, Mapping[CommitId, int]], object]
"""Given (writer, its counts by commit) whenever they change; empty counts when it has nothing in flight any more."""


class _Key(NamedTuple):
    search: str
    writer: int


@dataclass(slots=True)
class _Entry:
    """The latest state of one writer in one search; an empty one is kept until it expires, so that no older counts."""

    state: InFlightState
    source: int | None
    """The connection over which it came; None for our own."""
    said_at: float
    """When its writer said it, by our clock."""
    expires_at: float
    due_at: float = -math.inf
    """When it may be marked for sending again."""
    is_waiting: bool = False
    """Whether it has to be marked then."""


@dataclass(slots=True)
class _Peer:
    wake: Callable[[], None]
    marked: dict[_Key, None] = field(default_factory=dict)


class InFlightExchange:
    """What one node knows and says of simulations in flight; a machine of its timekeeper.

    Args:
        writer: our own incarnation, under which we speak.
        every_s: one writer's state of one search is sent at most once within this.
        are_linked: whether two of our peers, given by the numbers of their connections, are connected to each other.
    """

    def __init__(
        self, writer: int, every_s: float, are_linked: Callable[[int, int], bool] = lambda _one, _other: False
    ) -> None:
        self.refused = 0
        """States that were passed by: of a later version, or beyond `INFLIGHT_STATES_MAX`."""
        self.deadline = math.inf
        """When `tick` has to be called next."""
        self._writer = writer
        self._every_s = every_s
        self._are_linked = are_linked
        self._sequence = 0
        self._entries: dict[_Key, _Entry] = {}
        self._peers: dict[int, _Peer] = {}
        self._listeners: dict[str, list[Listener]] = {}

    # --- peers come and go

    def join(self, number: int, wake: Callable[[], None]) -> None:
        """A peer said hello; it is told all that is in flight."""
        peer = self._peers[number] = _Peer(wake)
        peer.marked = {key: None for key, entry in self._entries.items() if entry.state.counts}
        if peer.marked:
            wake()

    def leave(self, number: int) -> None:
        """A connection ended: what came over it counts no longer. Unknown numbers are ignored."""
        if self._peers.pop(number, None) is None:
            return
        for key, entry in [*self._entries.items()]:
            if entry.source == number:
                self._empty(key, entry)

    # --- what is known

    def counts(self, search: str) -> dict[CommitId, int]:
        """What others have in flight in a search, added up. O(what is known)."""
        total: dict[CommitId, int] = {}
        for counts in self.by_writer(search).values():
            for commit, count in counts.items():
                total[commit] = total.get(commit, 0) + count
        return total

    def by_writer(self, search: str) -> dict[int, Mapping[CommitId, int]]:
        """What each other writer has in flight in a search, in the order of writers, if there is anything."""
        return {
            key.writer: self._entries[key].state.counts
            for key in sorted(self._entries)
            if key.search == search and key.writer != self._writer and self._entries[key].state.counts
        }

    @property
    def is_known(self) -> bool:
        """Whether anything is known to be in flight, or was within the time that it takes to forget it."""
        return bool(self._entries)

    def subscribe(self, search: str, listener: Listener) -> Callable[[], None]:
        """Tell a listener what others have in flight in a search, now and whenever it changes; returns what ends it."""
        self._listeners.setdefault(search, []).append(listener)
        for writer, counts in self.by_writer(search).items():
            listener(writer, counts)

        def end() -> None:
            listeners = self._listeners.get(search, [])
            if listener in listeners:
                listeners.remove(listener)
                if not listeners:
                    del self._listeners[search]

        return end

    # --- what is said

    def publish(self, search: str, counts: Mapping[CommitId, int], now: float) -> None:
        """Say what we have in flight in a search from now on; what was said before counts no longer.

        Args:
            search: the name of the search.
            counts: commit -> simulations. Beyond `INFLIGHT_COMMITS_MAX` only those with the most are said.
            now: the current time in seconds.

        Costs O(counts) when something has changed, O(1) when it is the same mapping's content.
        """
        key = _Key(search, self._writer)
        entry = self._entries.get(key)
        if entry is None:
            if not counts:
                return
            state = InFlightState(search, self._writer, 0, 0, 0, {})
            entry = self._entries[key] = _Entry(state, None, now, math.inf)
        kept = _bounded(counts)
        if entry.state.counts != kept:
            self._say(key, entry, kept, now)

    def receive(self, number: int, payload: bytes, now: float) -> None:
        """A peer told a state; raises RemoteMessageError for what is none."""
        peer = self._peers.get(number)
        state = decode_inflight(payload)
        if peer is None:
            return
        if state is None:
            self.refused += 1
            return
        key = _Key(state.search, state.writer)
        entry = self._entries.get(key)
        if entry is not None and state.sequence >= entry.state.sequence:
            # The peer knows as much as we do, so it need not be told.
            peer.marked.pop(key, None)
        said_at = now - state.age_ms / 1_000
        is_old = said_at + INFLIGHT_EXPIRY_S <= now or (entry is not None and state.sequence <= entry.state.sequence)
        if is_old or state.writer == self._writer:
            return
        if entry is None:
            if len(self._entries) >= INFLIGHT_STATES_MAX:
                self.refused += 1
                return
            entry = self._entries[key] = _Entry(state, number, said_at, 0.0)
            before: Mapping[CommitId, int] = {}
        else:
            before = entry.state.counts
        entry.state, entry.source, entry.said_at = state, number, said_at
        entry.expires_at = said_at + INFLIGHT_EXPIRY_S
        self._wait(entry.expires_at)
        if state.hops < INFLIGHT_HOPS_MAX:
            self._mark(key, entry, now)
        if state.counts != before:
            self._tell(key, state.counts)

    def next_message(self, number: int, now: float) -> Ephemeral | None:
        """What to say to a peer next; None when there is nothing."""
        peer = self._peers.get(number)
        while peer is not None and peer.marked:
            key = next(iter(peer.marked))
            del peer.marked[key]
            entry = self._entries.get(key)
            if entry is not None and entry.source != number:
                return Ephemeral(TOPIC, _payload(entry, now))
        return None

    # --- time

    def tick(self, now: float) -> None:
        """Do what is due: forget what has expired, send what had to wait, repeat what is still in flight."""
        self.deadline = math.inf
        for key, entry in [*self._entries.items()]:
            if entry.expires_at <= now:
                self._expire(key, entry, now)
            elif entry.is_waiting and entry.due_at <= now:
                self._mark(key, entry, now)
            if key in self._entries:
                self._wait(entry.expires_at)
                if entry.is_waiting:
                    self._wait(entry.due_at)

    def _expire(self, key: _Key, entry: _Entry, now: float) -> None:
        if entry.source is None and entry.state.counts:
            self._say(key, entry, entry.state.counts, now)
            return
        del self._entries[key]
        if entry.state.counts:
            self._tell(key, {})

    def _say(self, key: _Key, entry: _Entry, counts: Mapping[CommitId, int], now: float) -> None:
        """A new state of our own. It is repeated before it expires elsewhere, and an empty one is forgotten later."""
        # One row of numbers for all searches and for ever: others may remember a search longer than we do.
        self._sequence += 1
        entry.state = InFlightState(key.search, key.writer, self._sequence, 0, 0, counts)
        entry.said_at = now
        entry.expires_at = now + (INFLIGHT_REPEAT_S if counts else INFLIGHT_EXPIRY_S)
        self._wait(entry.expires_at)
        self._mark(key, entry, now)

    def _mark(self, key: _Key, entry: _Entry, now: float) -> None:
        """Let every peer be told, at once or as soon as the last time is long enough ago."""
        if now < entry.due_at:
            entry.is_waiting = True
            self._wait(entry.due_at)
            return
        entry.is_waiting = False
        entry.due_at = now + self._every_s
        source = entry.source
        for number, peer in self._peers.items():
            if source is None or not (number == source or self._are_linked(source, number)):
                peer.marked[key] = None
                peer.wake()

    def _empty(self, key: _Key, entry: _Entry) -> None:
        """Nobody says it any more. Its number stays known until it expires, so that nothing older comes back."""
        was = entry.state
        entry.state = InFlightState(was.search, was.writer, was.sequence, was.hops, 0, {})
        entry.source, entry.is_waiting = -1, False
        for peer in self._peers.values():
            peer.marked.pop(key, None)
        if was.counts:
            self._tell(key, {})

    def _tell(self, key: _Key, counts: Mapping[CommitId, int]) -> None:
        for listener in [*self._listeners.get(key.search, ())]:
            listener(key.writer, counts)

    def _wait(self, until: float) -> None:
        self.deadline = min(self.deadline, until)


def _payload(entry: _Entry, now: float) -> bytes:
    """The state as it is sent. What is about to expire is told a little older than it is, never younger."""
    was = entry.state
    hops = was.hops + (entry.source is not None)
    age_ms = max(0, math.ceil((now - entry.said_at) * 1_000))
    return encode_inflight(InFlightState(was.search, was.writer, was.sequence, hops, age_ms, was.counts))


def _bounded(counts: Mapping[CommitId, int]) -> dict[CommitId, int]:
    kept = {commit: min(count, INFLIGHT_COUNT_MAX) for commit, count in counts.items() if count > 0}
    if len(kept) <= INFLIGHT_COMMITS_MAX:
        return kept
    most = nsmallest(INFLIGHT_COMMITS_MAX, kept.items(), key=lambda item: (-item[1], item[0]))
    return dict(most)
