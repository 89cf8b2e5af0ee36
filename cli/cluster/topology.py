"""Who is linked to whom, as both ends see it, and into how many parts that divides the cluster.

Each end of a link has its own opinion: an end may hold a connection open that the other has given up, and only the end
that blocks knows about it. A link joins two members when both say that it is open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from cli.cluster.members import UP, Cluster, Member
from cli.cluster.reports import blocks
from sync.protocol.cards import LinkCard

OPEN = "open"
BLOCKED = "blocked"
NOTHING = ""
"""What an end says that has no connection and wants none."""
NO_WORD = "?"
"""What an end says that did not answer."""


class LinkState(StrEnum):
    """What a link comes to."""

    OPEN = "open"
    ONE_SIDED = "one-sided"
    """Only one end believes in it."""
    BLOCKED = "blocked"
    DOWN = "down"
    """Wanted, and not there."""
    UNKNOWN = "unknown"
    """The other end did not answer."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The link between two members: what each end says of it, and the cards they say it by."""

    one: Member
    other: Member
    state: LinkState
    one_says: str
    other_says: str
    one_card: LinkCard | None
    other_card: LinkCard | None

    @property
    def rtt_us(self) -> int | None:
        """The shorter round trip that was measured."""
        found = [card.rtt_us for card in (self.one_card, self.other_card) if card is not None and card.rtt_us]
        return min(found, default=None)

    @property
    def failure(self) -> str:
        """Why there is none, in the words of whoever tried."""
        return next(
            (card.failure for card in (self.one_card, self.other_card) if card is not None and card.failure), ""
        )

    def other_of(self, member: Member) -> Member:
        """The end that a member is not."""
        return self.other if member is self.one else self.one

    def said_by(self, member: Member) -> str:
        """What this end says."""
        return self.one_says if member is self.one else self.other_says


@dataclass(frozen=True, slots=True)
class Topology:
    """All links between members, and the parts of the cluster: members that are up, each part by name."""

    pairs: tuple[Pair, ...]
    parts: tuple[tuple[Member, ...], ...]

    @property
    def is_whole(self) -> bool:
        """Whether all that are up can reach each other, and no link is believed in by one end only."""
        return len(self.parts) <= 1 and all(pair.state is not LinkState.ONE_SIDED for pair in self.pairs)

    def of(self, member: Member) -> list[Pair]:
        """The links of one member."""
        return [pair for pair in self.pairs if member is pair.one or member is pair.other]


def topology_of(cluster: Cluster) -> Topology:
    """The links between the members of a cluster. O(members squared)."""
    members = cluster.listed
    pairs = tuple(pair for one, other in combinations(members, 2) if (pair := _pair(one, other)) is not None)
    return Topology(pairs, tuple(_parts(members, pairs)))


def _pair(one: Member, other: Member) -> Pair | None:
    one_card, other_card = _link(one, other), _link(other, one)
    one_says, other_says = _said(one, other, one_card), _said(other, one, other_card)
    says = {one_says, other_says}
    if says <= {NOTHING, NO_WORD}:
        return None
    if BLOCKED in says:
        state = LinkState.BLOCKED
    elif says == {OPEN}:
        state = LinkState.OPEN
    elif NO_WORD in says:
        state = LinkState.UNKNOWN
    else:
        state = LinkState.ONE_SIDED if OPEN in says else LinkState.DOWN
    return Pair(one, other, state, one_says, other_says, one_card, other_card)


def _link(owner: Member, other: Member) -> LinkCard | None:
    """What a card says of the link to another member, the open connection if there is one among several entries."""
    addresses = set(other.card.addresses)
    found = [
        link
        for link in owner.card.links
        if link.replica == other.card.replica or (not link.replica and link.address in addresses)
    ]
    return min(found, key=lambda link: link.state != OPEN, default=None)


def _said(owner: Member, other: Member, link: LinkCard | None) -> str:
    if owner.state != UP:
        return NO_WORD
    if any(blocks(entry, other) for entry in owner.card.blocked):
        return BLOCKED
    return link.state if link is not None else NOTHING


def _parts(members: list[Member], pairs: tuple[Pair, ...]) -> Iterator[tuple[Member, ...]]:
    """Members that are up, in parts within which open links lead from each to each; largest first, then by name."""
    neighbours: dict[str, list[Member]] = {member.id: [] for member in members}
    for pair in pairs:
        if pair.state is LinkState.OPEN:
            neighbours[pair.one.id].append(pair.other)
            neighbours[pair.other.id].append(pair.one)
    seen: set[str] = set()
    parts = []
    for member in members:
        if member.state != UP or member.id in seen:
            continue
        waiting, part = [member], []
        while waiting:
            each = waiting.pop()
            if each.id not in seen:
                seen.add(each.id)
                part.append(each)
                waiting += neighbours[each.id]
        parts.append(tuple(sorted(part, key=members.index)))
    return iter(sorted(parts, key=lambda part: -len(part)))
