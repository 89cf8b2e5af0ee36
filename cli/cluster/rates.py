"""What changes between two looks at a cluster, as cells: how fast commits come, and how long they take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cli.cluster.columns import (
    ALARMS,
    COMMITS,
    DIGEST,
    EXCHANGED,
    LAG,
    LINKS,
    NAME,
    NODE,
    PENDING,
    QUEUED,
    STATE,
    STORE,
    UPTIME,
    Cell,
    Column,
    extra,
)
from cli.cluster.members import UP, Cluster, Member
from cli.units import short_time

COMMIT, DURABLE = "commit", "durable"
"""Timings in a card, see sync/metrics.py."""

TOP_COLUMNS = (
    NODE,
    NAME,
    STATE,
    UPTIME,
    STORE,
    COMMITS,
    Column("RATE", 1, extra("RATE")),
    Column("P50", 6, extra("P50")),
    Column("P99", 4, extra("P99")),
    Column("DURABLE", 9, extra("DURABLE")),
    Column("SPEC", 8, extra("SPEC")),
    PENDING,
    QUEUED,
    LAG,
    EXCHANGED,
    LINKS,
    ALARMS,
    DIGEST,
)

TOP_KEYS = (
    "replica", "name", "state", "uptime_s", "store_bytes", "commits", "commits_per_s", "commit_p50_us", "commit_p99_us",
    "durable_p50_us", "durable_p99_us", "speculative_share", "pending", "queued_messages", "queued_bytes",
    "queue_drops", "lag_segments", "lag_exact", "lag_commits", "last_exchange_s", "links_open", "alarms", "group",
    "digest",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """One member at one moment: which process it was, its number of commits, and when by its own clock."""

    nonce: bytes
    commits: int
    issued_us: int


class Rates:
    """Commits a second of each member between its last two cards."""

    def __init__(self) -> None:
        self._looks: dict[str, Look] = {}
        self._per_s: dict[str, float] = {}

    def update(self, cluster: Cluster) -> None:
        """Take another look."""
        for member in cluster.members:
            card = member.card
            look = Look(card.nonce, commits_of(member), card.issued_us)
            before = self._looks.get(member.id)
            if member.state != UP or (before is not None and before.nonce != look.nonce):
                self._per_s.pop(member.id, None)
            elif before is not None and look.issued_us > before.issued_us:
                passed_s = (look.issued_us - before.issued_us) / 1e6
                self._per_s[member.id] = max(0, look.commits - before.commits) / passed_s
            self._looks[member.id] = look

    def of(self, member: Member) -> float | None:
        """How many commits a second became visible there; None until there were two looks."""
        return self._per_s.get(member.id)

    @property
    def fastest(self) -> float | None:
        """Of the member where most became visible: the rate of the whole cluster, as all get everything."""
        return max(self._per_s.values(), default=None)


def commits_of(member: Member) -> int:
    """All commits of a member, in whatever plane."""
    return sum(plane.commits for plane in member.card.planes)


def speculative_share(member: Member) -> float | None:
    """The share of its commits that are in other planes than the ledger; None when it has none."""
    total = commits_of(member)
    ledger = member.ledger
    return None if not total or ledger is None else 1 - ledger.commits / total


def cells(cluster: Cluster, rates: Rates) -> dict[str, Mapping[str, Cell]]:
    """By replica and title, the cells of the columns that are about time."""
    return {member.id: _cells_of(member, rates) for member in cluster.members}


def _cells_of(member: Member, rates: Rates) -> dict[str, Cell]:
    found: dict[str, Cell] = {}
    rate, share = rates.of(member), speculative_share(member)
    if rate is not None:
        found["RATE"] = Cell(rate_text(rate), "strong" if rate else "")
    if share is not None:
        found["SPEC"] = Cell(f"{share:.0%}")
    for timing in member.card.timings:
        if timing.name == COMMIT:
            found["P50"], found["P99"] = Cell(short_time(timing.p50_us)), Cell(short_time(timing.p99_us))
        elif timing.name == DURABLE:
            found["DURABLE"] = Cell(short_time(timing.p99_us))
    return found


def rate_text(per_s: float) -> str:
    """Commits a second."""
    return f"{per_s:,.0f}/s" if per_s >= 10 or per_s == 0 else f"{per_s:.1f}/s"


def document(member: Member, groups: Mapping[bytes, str], rates: Rates) -> dict[str, object]:
    """A member for a program, with `TOP_KEYS`."""
    links, ledger = member.card.links, member.ledger
    timings = {timing.name: timing for timing in member.card.timings}
    commit, durable = timings.get(COMMIT), timings.get(DURABLE)
    return {
        "replica": member.card.replica,
        "name": member.card.name,
        "state": member.state,
        "uptime_s": member.uptime_s,
        "store_bytes": member.card.store_bytes,
        "commits": commits_of(member),
        "commits_per_s": rates.of(member),
        "commit_p50_us": commit.p50_us if commit is not None else None,
        "commit_p99_us": commit.p99_us if commit is not None else None,
        "durable_p50_us": durable.p50_us if durable is not None else None,
        "durable_p99_us": durable.p99_us if durable is not None else None,
        "speculative_share": speculative_share(member),
        "pending": sum(plane.pending for plane in member.card.planes),
        "queued_messages": sum(link.queued_messages for link in links),
        "queued_bytes": sum(link.queued_bytes for link in links),
        "queue_drops": sum(link.queue_drops for link in links),
        "lag_segments": member.lag.segments,
        "lag_exact": member.lag.exact,
        "lag_commits": member.lag.commits,
        "last_exchange_s": member.exchanged_s,
        "links_open": member.open_links,
        "alarms": len(member.card.alarms),
        "group": groups.get(ledger.digest) if ledger is not None else None,
        "digest": ledger.digest if ledger is not None else None,
    }
