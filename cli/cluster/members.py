"""The cluster as one node, or several, told it: members, who agrees with whom, and who is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sync.protocol.cards import Card, PlaneCard
from sync.protocol.lag import Reach, lags

UP, UNREACHABLE, LEFT, NEVER_HEARD = "up", "unreachable", "left", "never heard of"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Behind:
    """How far a member is behind all of them: segments (at least so many unless `exact`) and, if known, commits."""

    segments: int
    exact: bool
    commits: int | None


@dataclass(frozen=True, slots=True)
class Member:
    """One replica by its latest card. `heard_s` is the card's age."""

    card: Card
    state: str
    heard_s: float
    lag: Behind

    @property
    def id(self) -> str:
        """The replica's id in hex."""
        return self.card.replica.hex()

    @property
    def ledger(self) -> PlaneCard | None:
        """The plane that every member has; None if the card is a strange one."""
        return next(iter(self.card.planes), None)

    @property
    def uptime_s(self) -> float:
        """Since its process started; of one that is gone, until it was last heard of."""
        lived_s = max(0, self.card.issued_us - self.card.started_us) / 1e6
        return lived_s + self.heard_s if self.state == UP else lived_s

    @property
    def exchanged_s(self) -> float | None:
        """Since it last compared digests with anybody."""
        times = [link.exchanged_ms for link in self.card.links if link.exchanged_ms is not None]
        return min(times) / 1e3 + self.heard_s if times else None

    @property
    def open_links(self) -> int:
        """How many peers it is connected to."""
        return sum(link.state == "open" for link in self.card.links)


@dataclass(frozen=True, slots=True)
class Stranger:
    """An address that members dial and where nobody has ever answered, or a place that was asked and did not."""

    address: str
    failure: str
    dialled_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cluster:
    """All that is known of a cluster. `asked` are the replicas that told it."""

    asked: frozenset[str]
    members: tuple[Member, ...]
    strangers: tuple[Stranger, ...]

    @property
    def listed(self) -> list[Member]:
        """All members in the order in which people are shown them: those that are up first, each by name."""
        return sorted(self.members, key=lambda member: (member.state != UP, member.card.name, member.id))

    @property
    def up(self) -> list[Member]:
        """Those that answered."""
        return [member for member in self.listed if member.state == UP]

    @property
    def gone(self) -> list[Member]:
        """Those that were there and did not answer, whatever the reason."""
        return [member for member in self.listed if member.state != UP]

    def groups(self, plane: str | None = None) -> dict[bytes, str]:
        """Digest -> letter, A for the one that most members have, those that are up first; of the ledger by default."""
        found: dict[bytes, list[int]] = {}
        for member, card in self._planes(plane):
            counts = found.setdefault(card.digest, [0, 0])
            counts[0] -= member.state == UP
            counts[1] -= 1
        ordered = sorted(found, key=lambda digest: (found[digest], digest))
        return {digest: _letter(place) for place, digest in enumerate(ordered)}

    def planes(self) -> list[str]:
        """The names of all planes, the ledger first."""
        names = {card.plane: None for member in self.members for card in member.card.planes}
        return [*names]

    def differing(self) -> list[str]:
        """The planes of which members that are up have different digests."""
        return [
            name
            for name in self.planes()
            if len({card.digest for member, card in self._planes(name) if member.state == UP}) > 1
        ]

    def _planes(self, name: str | None) -> Iterator[tuple[Member, PlaneCard]]:
        for member in self.members:
            for card in member.card.planes:
                if card.plane == name or (name is None and card is member.ledger):
                    yield member, card


def merged(clusters: Sequence[Cluster], silent: Iterable[Stranger] = ()) -> Cluster:
    """What several nodes answered, taken together: of each member the latest card, and lag behind all of these."""
    latest: dict[str, Member] = {}
    for cluster in clusters:
        for member in cluster.members:
            known = latest.get(member.id)
            if known is None or _precedence(member) > _precedence(known):
                latest[member.id] = member
    members = [latest[replica] for replica in sorted(latest)]
    if len(clusters) > 1:
        members = _with_lag(members)
    addresses = {address for member in members for address in member.card.addresses}
    strangers = {each.address: each for cluster in clusters for each in cluster.strangers}
    return Cluster(
        asked=frozenset(replica for cluster in clusters for replica in cluster.asked),
        members=tuple(members),
        strangers=(*(strangers[each] for each in sorted(strangers) if each not in addresses), *silent),
    )


def _precedence(member: Member) -> tuple[bool, int]:
    return member.state == UP, member.card.number


def _with_lag(members: Sequence[Member]) -> list[Member]:
    totals = {member.id: Behind(0, True, 0) for member in members}
    for plane in sorted({card.plane for member in members for card in member.card.planes}):
        owners = [(member.id, card) for member in members for card in member.card.planes if card.plane == plane]
        for (replica, _), lag in zip(owners, lags([Reach(card.reach, card.vector) for _, card in owners]), strict=True):
            before = totals[replica]
            segments = before.segments + lag.segments
            totals[replica] = Behind(segments, before.exact and lag.exact, None if segments else 0)
    return [replace(member, lag=totals[member.id]) for member in members]


def _letter(place: int) -> str:
    return LETTERS[place] if place < len(LETTERS) else str(place + 1)
