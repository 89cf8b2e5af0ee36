"""When a split brain began, what each side wrote meanwhile, and when both had it all: a tracker fed with events.

A peer that is lost opens an episode; peers lost within `JOIN_WINDOW_US` belong to the same one. When one of them is
back, its first summary tells what it lacks and what it has beyond us; the episode is over when each has what the other
had. If `converge` carried everything before the link was back, the first summary is equal already, and it is over then.
What was written is counted after that, a few segments a step (see `sides.py`); if it was nothing, no episode is kept.

A peer that can be reached over others all the while was never apart from us. That is known from the cards that members
gossip, which say so for a while after it has ceased to be true; so a peer counts as bridged when they said it from the
loss to the return, or for `BRIDGED_US` on end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from crdtgraph.episodes import BASE_MAX, CONFLICTS_MAX, MEMBERS_MAX, Episode, Side
from crdtgraph.ids import ReplicaId
from crdtgraph.steps import Stepwise
from sync.protocol.peerstate import covers, raise_to
from sync.protocol.sides import Counts, Reaches

JOIN_WINDOW_US = 60_000_000
"""A dead link is found out within 30 s at the latest, on some a little later than on others."""
BRIDGED_US = 60_000_000
"""Others find out within 30 s that they have lost a peer too, and say so within moments."""
OPEN_MAX = 64
"""Episodes that go on at once; the oldest of more is given up."""
STEP_SEGMENTS = 8
"""Segments counted in one step, some 0.3 ms each."""

Vector = Mapping[int, int]


class Ledger(Protocol):
    """What the tracker asks of the graph and of the cluster."""

    def state_vector(self) -> Vector:
        """Of the ledger."""

    def conflicted(self) -> frozenset[str]:
        """Refs in conflict."""

    def reachable(self) -> set[ReplicaId]:
        """The replicas that can be reached from here over any number of links, by what is known of them."""

    def count(self, reaches: Reaches, ours: frozenset[ReplicaId], theirs: frozenset[ReplicaId]) -> Stepwise[Counts]:
        """See `count_sides`."""

    def keep(self, number: int, episode: Episode | None) -> None:
        """Keep a record under a number, or drop it."""


@dataclass(slots=True)
class Absence:
    """An episode that goes on. `lost` are those that have not been seen to agree again.

    Of the state vectors `base` is what we had when the peer was last heard of, and `noticed` when that was noticed:
    what we wrote in between did not get there, and nothing came from there. `low` is what both sides had, once that is
    known, `held` what ours had when they met, `high` what anybody has been seen to have.
    """

    number: int
    episode: Episode
    lost: set[ReplicaId]
    noticed_us: int
    base: Vector
    noticed: Vector
    low: dict[int, int] | None = None
    left_us: dict[ReplicaId, int] = field(default_factory=dict)
    bridged_since_us: dict[ReplicaId, int] = field(default_factory=dict)
    held: dict[int, int] | None = None
    high: dict[int, int] = field(default_factory=dict)
    before: frozenset[str] = frozenset()
    """Refs that were in conflict at the beginning."""
    is_estimate: bool = False
    """Whether what both sides had is not known exactly."""
    is_carried: bool = False
    """Whether a courier brought something."""
    partner: ReplicaId | None = None
    claimed: dict[int, int] = field(default_factory=dict)
    had: dict[int, int] = field(default_factory=dict)
    told: dict[int, int] = field(default_factory=dict)

    def was_never_apart(self, replica: ReplicaId) -> bool:
        """Whether others have led to a peer ever since its connection ended."""
        since_us = self.bridged_since_us.get(replica)
        return since_us is not None and since_us == self.left_us.get(replica)


@dataclass(frozen=True, slots=True)
class Over:
    """An episode that is over and is being counted."""

    number: int
    episode: Episode
    steps: Stepwise[Counts]
    exact: bool


class Episodes:
    """The episodes of one node.

    Args:
        ledger: the graph, the cluster and the store.
        own: this replica.
        begun: those that went on when the node was last stopped, oldest first.
        number: that of the next one.
    """

    def __init__(self, ledger: Ledger, own: Side, begun: Iterable[tuple[int, Episode]] = (), number: int = 0) -> None:
        self._ledger = ledger
        self._own = own
        self._number = number
        self._connected: dict[ReplicaId, str] = {}
        self._over: list[Over] = []
        self._open = [self._absence(*each) for each in begun][-OPEN_MAX:]

    @property
    def is_counting(self) -> bool:
        """Whether `count` has something to do."""
        return bool(self._over)

    @property
    def is_open(self) -> bool:
        """Whether any episode goes on."""
        return bool(self._open)

    @property
    def is_waiting(self) -> bool:
        """Whether somebody is away, so that `look` has to be called now and then."""
        return any(absence.partner is None for absence in self._open)

    @property
    def lost(self) -> set[ReplicaId]:
        """Who has not been seen to agree again."""
        return {replica for absence in self._open for replica in absence.lost}

    # Events

    def join(self, replica: ReplicaId, name: str) -> None:
        """A peer is connected."""
        self._connected[replica] = name

    def leave(
        self, replica: ReplicaId, cause: str, now_us: int, silent_us: int = 0, base: Vector | None = None
    ) -> None:
        """A connection ended; unknown peers are ignored.

        `silent_us` is for how long the peer had not been heard of, `base` our state vector then.
        """
        name = self._connected.pop(replica, None)
        if name is None:
            return
        known = next((absence for absence in self._open if replica in absence.lost), None)
        if known is not None:
            known.partner = None if known.partner == replica else known.partner
            return
        side = Side(replica, name)
        absence = self._recent(now_us)
        if absence is None:
            absence = self._begin(now_us - silent_us, cause, side, base)
            absence.noticed_us = now_us
        else:
            absence.lost.add(replica)
            ours = tuple(each for each in absence.episode.ours if each.replica != replica)
            self._save(absence, replace(absence.episode, ours=ours, theirs=(*absence.episode.theirs, side)))
        if replica in self._ledger.reachable():
            absence.bridged_since_us[replica] = absence.left_us[replica] = now_us

    def look(self, now_us: int) -> None:
        """Look who can be reached over others."""
        reachable = self._ledger.reachable()
        for absence in [*self._open]:
            # Once one is back, what it has is waited for.
            for replica in sorted(absence.lost) if absence.partner is None else ():
                if replica not in reachable:
                    absence.bridged_since_us.pop(replica, None)
                    continue
                since_us = absence.bridged_since_us.setdefault(replica, now_us)
                if now_us - since_us >= BRIDGED_US:
                    self._bridge(absence, replica, now_us)

    def compare(self, replica: ReplicaId, theirs: Vector, is_equal: bool, now_us: int) -> None:
        """A peer told the state vector of its ledger, and whether its segments are the same as ours."""
        for absence in [*self._open]:
            if replica in absence.lost:
                self._compare(absence, replica, theirs, is_equal, now_us)

    def settle(self, now_us: int) -> None:
        """Something came from peers."""
        for absence in [*self._open]:
            if absence.partner is not None and self._is_settled(absence):
                self._end(absence, "reconnected", now_us)

    def forget(self, replica: ReplicaId, now_us: int) -> None:
        """It will not come back."""
        for absence in [*self._open]:
            if replica in absence.lost:
                absence.lost.discard(replica)
                absence.partner = None if absence.partner == replica else absence.partner
                if not absence.lost:
                    self._end(absence, "given up", now_us)

    def expect(self) -> None:
        """A courier is about to bring something."""
        for absence in self._open:
            if absence.partner is None:
                self._meet(absence)

    def receive(self, now_us: int) -> None:
        """A courier has brought it."""
        for absence in self._open:
            if absence.partner is None:
                absence.is_carried = True
                raise_to(absence.high, self._ledger.state_vector())
                self._save(absence, self._returned(absence, now_us))

    def count(self) -> None:
        """Count a little."""
        if not self._over:
            return
        over = self._over[0]
        try:
            for _ in range(STEP_SEGMENTS):
                next(over.steps)
        except StopIteration as done:
            counts: Counts = done.value
            self._over.pop(0)
            exact = counts.exact and over.exact
            episode = replace(over.episode, commits_ours=counts.ours, commits_theirs=counts.theirs, exact=exact)
            is_nothing = exact and not counts.records and not episode.conflicts_total
            self._ledger.keep(over.number, None if is_nothing else episode)

    # Inside

    def _recent(self, now_us: int) -> Absence | None:
        """The absence to which somebody belongs who is lost now."""
        for absence in self._open:
            is_recent = absence.episode.returned_us is None and now_us - absence.noticed_us <= JOIN_WINDOW_US
            if is_recent and absence.partner is None and len(absence.lost) < MEMBERS_MAX:
                return absence
        return None

    def _begin(self, from_us: int, cause: str, side: Side, base: Vector | None) -> Absence:
        while len(self._open) >= OPEN_MAX:
            self._end(self._open[0], "given up", from_us)
        beside = [Side(each, self._connected[each]) for each in sorted(self._connected)]
        ours = (self._own, *beside[: MEMBERS_MAX - 1])
        mine = dict(self._ledger.state_vector())
        vector = tuple(sorted((mine if base is None else base).items()))
        return self._open_again(Episode(from_us, cause, ours, (side,), base=vector), mine)

    def _open_again(self, episode: Episode, noticed: Vector) -> Absence:
        absence = self._absence(self._number, episode)
        absence.noticed = noticed
        self._number += 1
        self._open.append(absence)
        self._ledger.keep(absence.number, episode)
        return absence

    def _absence(self, number: int, episode: Episode) -> Absence:
        lost = {side.replica for side in episode.theirs}
        base = dict(episode.base)
        return Absence(number, episode, lost, episode.from_us, base, base, before=self._ledger.conflicted())

    def _compare(self, absence: Absence, replica: ReplicaId, theirs: Vector, is_equal: bool, now_us: int) -> None:
        mine = self._ledger.state_vector()
        if absence.partner is None:
            if absence.was_never_apart(replica):
                self._bridge(absence, replica, now_us)
                return
            has_returned = absence.episode.returned_us is not None
            self._meet(absence)
            if not is_equal:
                absence.low = self._both_had(absence, theirs)
            absence.partner, absence.claimed, absence.had = replica, dict(theirs), dict(mine)
            absence.told = absence.claimed
            raise_to(absence.high, theirs)
            raise_to(absence.high, mine)
            if is_equal:
                self._end(absence, "reconnected" if has_returned and not absence.is_carried else "converged", now_us)
            else:
                self._save(absence, self._returned(absence, now_us))
        elif absence.partner == replica:
            absence.told = dict(theirs)
            if is_equal or self._is_settled(absence):
                self._end(absence, "reconnected", now_us)

    def _both_had(self, absence: Absence, theirs: Vector) -> dict[int, int]:
        """What we and a peer that is back had in common when we lost each other."""
        known = absence.noticed if absence.low is None else absence.low
        if all(theirs.get(writer, 0) >= clock for writer, clock in known.items()):
            # It has all that we had when we noticed, so somebody else has brought it what we wrote in between.
            absence.is_estimate |= absence.noticed != absence.base
            return dict(absence.base)
        return {writer: min(clock, theirs.get(writer, 0)) for writer, clock in known.items()}

    def _is_settled(self, absence: Absence) -> bool:
        """Whether each has what the other had when they met."""
        return covers(self._ledger.state_vector(), absence.claimed) and covers(absence.told, absence.had)

    def _meet(self, absence: Absence) -> None:
        """Something of the other side is about to come."""
        if absence.held is None:
            absence.held = dict(self._ledger.state_vector())

    def _returned(self, absence: Absence, now_us: int) -> Episode:
        episode = self._with_conflicts(absence)
        if episode.returned_us is None:
            episode = replace(episode, returned_us=max(now_us, episode.from_us))
        return episode

    def _with_conflicts(self, absence: Absence) -> Episode:
        """The episode with the refs that have come into conflict since it began."""
        episode = absence.episode
        found = sorted({*episode.conflicts, *(self._ledger.conflicted() - absence.before)})
        total = max(episode.conflicts_total, len(found))
        return replace(episode, conflicts=tuple(found[:CONFLICTS_MAX]), conflicts_total=total)

    def _bridge(self, absence: Absence, replica: ReplicaId, now_us: int) -> None:
        """Others lead to it: it was never apart, or all has come by them meanwhile."""
        if not absence.was_never_apart(replica):
            self._end(absence, "converged", now_us)
            return
        absence.lost.discard(replica)
        absence.bridged_since_us.pop(replica, None)
        if absence.lost:
            theirs = tuple(each for each in absence.episode.theirs if each.replica != replica)
            self._save(absence, replace(absence.episode, theirs=theirs))
        else:
            self._open.remove(absence)
            self._ledger.keep(absence.number, None)

    def _end(self, absence: Absence, ended: str, now_us: int) -> None:
        self._open.remove(absence)
        near = self._ledger.reachable() | set(self._connected)
        episode = self._with_conflicts(absence)
        away = tuple(each for each in episode.theirs if each.replica in absence.lost and each.replica not in near)
        together = tuple(each for each in episode.theirs if each not in away)
        done = replace(
            episode, theirs=together or episode.theirs, to_us=max(now_us, episode.from_us), ended=ended, base=()
        )
        mine = self._ledger.state_vector()
        low = absence.base if absence.low is None else absence.low
        reaches = Reaches(low, mine if absence.held is None else absence.held, absence.high or mine)
        ours, theirs = (frozenset(each.replica for each in side) for side in (done.ours, done.theirs))
        steps = self._ledger.count(reaches, ours, theirs)
        self._over.append(Over(absence.number, done, steps, len(episode.base) < BASE_MAX and not absence.is_estimate))
        if away and together:
            # They were lost at the same time, and are on a third side that has not come back.
            rest = Episode(episode.from_us, episode.cause, episode.ours, away, base=episode.base)
            self._open_again(rest, absence.noticed)

    def _save(self, absence: Absence, episode: Episode) -> None:
        absence.episode = episode
        self._ledger.keep(absence.number, episode)
