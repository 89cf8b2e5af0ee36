"""Who belongs to the cluster: a table of member cards, one a replica, that spreads from neighbour to neighbour.

A node issues a card of itself when something about it has changed, at most once in `CARD_SPACING_S` on request and once
in a round of anti-entropy otherwise, and now and then when nothing has. A card that is new to a node is kept and passed
on to every peer that is not known to have it (rumour mongering, Demers et al. 1987); card numbers grow, so whatever the
order, the repetition and the way, all end with the same table, and no card crosses a link twice in one direction.

A *census* asks everyone for a new card at once: the request floods, each node passes it on when it first sees it.

What always holds:

- A replica's numbers come from the wall clock and are raised above whatever is told about it, so a node that restarts
  with a slow clock is outranked by its own past only until it hears of that.
- Waiting cards are named, not copied: a slow peer gets the latest one, and its queue is no longer than the table.
- The table is bounded. Members are forgotten when nobody has heard of them for long: a card carries its age along.
- Nothing here is proof: peers are not authenticated, and whoever is connected can make up cards.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from crdtgraph.ids import ReplicaId
from sync.protocol.cards import Card
from sync.protocol.limits import (
    CARD_IDLE_ROUNDS,
    CARD_SPACING_S,
    CARDS_BYTES,
    CARDS_PER_MESSAGE,
    JITTER,
    MEMBER_FORGET_S,
    MEMBERS_MAX,
    Settings,
)
from sync.protocol.messages import Cards, Census, Forget, HeldCard, MemberMessage

NUMBER_CEILING = 1 << 62
"""Nothing that is told of us raises our own numbers beyond it, so they never run out."""
CARD_BYTES, PLANE_BYTES, WRITER_BYTES, LINK_BYTES = 130, 110, 12, 50
"""About what a card takes, and each plane, each entry of a state vector and each link in it."""

Rank: TypeAlias = tuple[int, bytes]
"""Of two cards of a replica the one with the greater rank counts: its number, and the nonce should two be equal."""
LOWEST: Rank = (-1, b"")


@dataclass(frozen=True, slots=True)
class Member:
    """A replica's latest card, and when, in the time of this node, its owner gave it out."""

    card: Card
    issued_at: float


@dataclass(slots=True)
class Link:
    """One connected peer: what it is known to have, and what waits to be said to it."""

    replica: ReplicaId
    wake: Callable[[], None]
    known: dict[ReplicaId, Rank] = field(default_factory=dict)
    due: dict[ReplicaId, None] = field(default_factory=dict)
    censuses: dict[bytes, int] = field(default_factory=dict)
    forgets: dict[ReplicaId, int] = field(default_factory=dict)
    nonce: bytes = b""
    """Of the peer's process, once it has told a card of its own."""

    def is_of_another_life(self, card: Card) -> bool:
        """Whether a card is about this peer as it was before it restarted: it has to hear of that, to outrank it."""
        return card.replica == self.replica and self.nonce not in (b"", card.nonce)


class Membership:
    """The members that one node knows of, itself among them.

    Args:
        replica, nonce: whose node it is, and the nonce of this process.
        make: makes the card of this node, given number and whether it is leaving; costs what a status costs.
        now_us: the wall clock, for numbers.
        settings: the pace.
        rng: for jitter.
        now: the current time in seconds, from the origin that all later calls use.
        changed: called when a card has come or a member gone.
        given_up: called with a member that somebody, somewhere, has told all to forget.
    """

    def __init__(
        self,
        replica: ReplicaId,
        nonce: bytes,
        *,
        make: Callable[[int, bool], Card],
        now_us: Callable[[], int],
        settings: Settings,
        rng: random.Random,
        now: float,
        changed: Callable[[], None] = lambda: None,
        given_up: Callable[[ReplicaId], None] = lambda _: None,
    ) -> None:
        self.members: dict[ReplicaId, Member] = {}
        self.ignored = 0
        """Cards of members for which there was no room."""
        self._replica = replica
        self._nonce = nonce
        self._make = make
        self._now_us = now_us
        self._settings = settings
        self._rng = rng
        self._changed = changed
        self._given_up = given_up
        self._links: dict[int, Link] = {}
        self._forgotten: dict[ReplicaId, tuple[int, float]] = {}
        self._censuses: dict[bytes, int] = {}
        self._number = 0
        self._census_number = 0
        self._issue_at = math.inf
        self._is_asked = False
        self._made_at = now
        self._round_at = now
        self._idle_rounds = 0
        self._issue(now)
        self._schedule_round(now)

    # --- peers come and go

    def join(self, number: int, replica: ReplicaId, wake: Callable[[], None], now: float) -> None:
        """A peer is connected: it is told of everybody. Numbers of connections are never used again."""
        link = self._links[number] = Link(replica, wake)
        link.due = dict.fromkeys(sorted(self.members))
        link.forgets = {each: upto for each, (upto, _) in self._forgotten.items()}
        # Our card is about to change, and once is enough.
        del link.due[self._replica]
        self.issue_soon(now)

    def leave(self, number: int, now: float) -> None:
        """A connection ended. Unknown numbers are ignored."""
        if self._links.pop(number, None) is not None:
            self.review_soon(now)

    # --- time

    @property
    def deadline(self) -> float:
        """When `tick` has to be called next."""
        return min(self._issue_at, self._round_at)

    def tick(self, now: float) -> None:
        """Do what is due: issue a card, forget who is long gone."""
        if now >= self._round_at:
            self._schedule_round(now)
            self._forget_old(now)
            self._idle_rounds += 1
            self._issue(now, unless_idle=not self._is_asked and self._idle_rounds < CARD_IDLE_ROUNDS)
        elif now >= self._issue_at:
            self._issue(now, unless_idle=not self._is_asked)

    def issue_soon(self, now: float) -> None:
        """Somebody asks for a card of this node."""
        self._is_asked = True
        self.review_soon(now)

    def review_soon(self, now: float) -> None:
        """Something about this node may have changed that others should know."""
        self._issue_at = min(self._issue_at, max(now, self._made_at + CARD_SPACING_S))

    def farewell(self, now: float) -> None:
        """The last card of this node."""
        self._issue(now, leaving=True)

    # --- asking

    def begin_census(self, now: float) -> dict[ReplicaId, int]:
        """Ask everyone for a new card; the numbers of the cards that are here now."""
        before = {replica: member.card.number for replica, member in self.members.items()}
        self._census_number += 1
        self._pass_on_census(Census(self._nonce, self._census_number), source=None)
        self.issue_soon(now)
        return before

    def linked(self) -> set[ReplicaId]:
        """The members that connections lead to from here, as far as the cards know; not this one itself."""
        found = {self._replica}
        waiting = [link.replica for link in self._links.values()]
        while waiting:
            replica = waiting.pop()
            if replica in found:
                continue
            found.add(replica)
            member = self.members.get(replica)
            if member is not None and not member.card.leaving:
                links = member.card.links
                waiting += [ReplicaId(link.replica) for link in links if link.replica and link.state == "open"]
        return found - {self._replica}

    def unanswered(self, before: dict[ReplicaId, int]) -> set[ReplicaId]:
        """Those that should have answered a census since `begin_census` gave `before` and have not."""
        return {replica for replica in self.linked() | {self._replica} if not self._is_newer(replica, before)}

    def _is_newer(self, replica: ReplicaId, before: dict[ReplicaId, int]) -> bool:
        member = self.members.get(replica)
        return member is not None and member.card.number > before.get(replica, -1)

    def forget(self, replica: ReplicaId, now: float) -> None:
        """Drop a member here and everywhere; it comes back if it still lives. Unknown ones are ignored."""
        member = self.members.get(replica)
        if member is not None and replica != self._replica:
            self._receive_forget(Forget(replica, member.card.number), None, now)

    # --- messages

    def next_message(self, number: int, now: float) -> MemberMessage | None:
        """What to say to a peer next; None when there is nothing."""
        link = self._links.get(number)
        if link is None:
            return None
        for nonce in link.censuses:
            return Census(nonce, link.censuses.pop(nonce))
        for replica in link.forgets:
            return Forget(replica, link.forgets.pop(replica))
        cards = tuple(self._take_due(link, now))
        return Cards(cards) if cards else None

    def receive(self, number: int, message: MemberMessage, now: float) -> None:
        """Deal with a message."""
        link = self._links.get(number)
        if link is None:
            return
        match message:
            case Cards(cards):
                for held in cards:
                    self._receive_card(held, link, now)
            case Census():
                if message.number > self._censuses.get(message.nonce, -1):
                    self._pass_on_census(message, source=number)
                    self.issue_soon(now)
            case Forget():
                self._receive_forget(message, number, now)

    # --- inside

    @property
    def _own(self) -> Member:
        return self.members[self._replica]

    def _schedule_round(self, now: float) -> None:
        self._round_at = now + self._settings.anti_entropy_s * (1 + JITTER * (2 * self._rng.random() - 1))

    def _issue(self, now: float, *, leaving: bool = False, unless_idle: bool = False) -> None:
        """Make a card of ourselves and pass it on, `unless_idle` only if it says something new."""
        number = max(self._number + 1, self._now_us())
        card = self._make(number, leaving)
        self._made_at, self._issue_at, self._is_asked = now, math.inf, False
        if unless_idle and substance(card) == substance(self._own.card):
            return
        self._number, self._idle_rounds = number, 0
        self._keep(card, now, source=None)

    def _keep(self, card: Card, issued_at: float, source: Link | None) -> None:
        self.members[card.replica] = Member(card, issued_at)
        for link in self._links.values():
            if link is not source and (link.replica != card.replica or link.is_of_another_life(card)):
                link.due[card.replica] = None
                link.wake()
        self._changed()

    def _receive_card(self, held: HeldCard, link: Link, now: float) -> None:
        card, issued_at = held.card, now - held.age_ms / 1e3
        replica = card.replica
        if replica == link.replica:
            link.nonce = card.nonce
        known = self.members.get(replica)
        if known is not None:
            link.known[replica] = max(link.known.get(replica, LOWEST), rank(card))
        if replica == self._replica:
            if rank(card) > (self._number, self._nonce):
                # An earlier life of ours, whose clock ran ahead of the present one.
                self._number = max(self._number, min(card.number, NUMBER_CEILING))
                self.issue_soon(now)
            return
        if known is not None and rank(card) <= rank(known.card):
            if link.is_of_another_life(known.card):
                link.due[replica] = None
                link.wake()
            return
        if now - issued_at > MEMBER_FORGET_S or card.number <= self._forgotten.get(replica, (-1, 0.0))[0]:
            return
        if known is None and len(self.members) >= MEMBERS_MAX:
            self.ignored += 1
            return
        self._keep(card, issued_at, link)
        link.known[replica] = rank(card)

    def _take_due(self, link: Link, now: float) -> Iterator[HeldCard]:
        size = count = 0
        for replica in [*link.due]:
            if size >= CARDS_BYTES or count == CARDS_PER_MESSAGE:
                return
            del link.due[replica]
            member = self.members.get(replica)
            if member is None or rank(member.card) <= link.known.get(replica, LOWEST):
                continue
            link.known[replica] = rank(member.card)
            size += card_bytes(member.card)
            count += 1
            yield HeldCard(member.card, max(0, round((now - member.issued_at) * 1e3)))

    def _pass_on_census(self, census: Census, source: int | None) -> None:
        self._censuses.pop(census.nonce, None)
        self._censuses[census.nonce] = census.number
        while len(self._censuses) > MEMBERS_MAX:
            del self._censuses[next(iter(self._censuses))]
        for number, link in self._links.items():
            if number != source and len(link.censuses) < MEMBERS_MAX:
                link.censuses[census.nonce] = census.number
                link.wake()

    def _receive_forget(self, message: Forget, source: int | None, now: float) -> None:
        replica, upto = message.replica, message.number
        if replica == self._replica:
            # It lives, and all that heard this shall hear of it.
            self._number = max(self._number, min(upto, NUMBER_CEILING))
            self.issue_soon(now)
            return
        if upto <= self._forgotten.get(replica, (-1, 0.0))[0] or len(self._forgotten) >= MEMBERS_MAX:
            return
        self._forgotten[replica] = upto, now
        member = self.members.get(replica)
        if member is not None and member.card.number <= upto:
            self._drop(replica)
            self._given_up(replica)
        for number, link in self._links.items():
            if number != source:
                link.forgets[replica] = upto
                link.wake()

    def _forget_old(self, now: float) -> None:
        for replica, member in [*self.members.items()]:
            if now - member.issued_at > MEMBER_FORGET_S and replica != self._replica:
                self._drop(replica)
        for replica, (_, at) in [*self._forgotten.items()]:
            if now - at > MEMBER_FORGET_S:
                del self._forgotten[replica]

    def _drop(self, replica: ReplicaId) -> None:
        del self.members[replica]
        for link in self._links.values():
            link.known.pop(replica, None)
            link.due.pop(replica, None)
        self._changed()


def rank(card: Card) -> Rank:
    """The rank of a card among those of its replica."""
    return card.number, card.nonce


def card_bytes(card: Card) -> int:
    """About what a card takes in a message."""
    writers = sum(len(each.vector) for each in card.planes)
    return CARD_BYTES + PLANE_BYTES * len(card.planes) + WRITER_BYTES * writers + LINK_BYTES * len(card.links)


def substance(card: Card) -> tuple[object, ...]:
    """What is worth telling everybody at once when it changes: all but measurements."""
    links = tuple((link.replica, link.address, link.state, link.agrees) for link in card.links)
    alarms = (card.alarms, card.alarms_total)
    return card.name, card.addresses, card.planes, links, card.blocked, alarms, card.refs, card.conflicted_refs
