"""What facts say of trouble, there already or to come: pure functions, each about one matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cli.answers import list_of, of, table_of
from cli.doctor.facts import Facts
from cli.units import size, span
from crdtgraph.store import FORMAT
from sync.protocol.limits import PROTOCOL_VERSION

CLOCK_OFF_S = 5.0
"""Clocks are good to some ten milliseconds where anybody looks after them."""
PENDING_S = 600.0
UNEQUAL_S = 900.0
SPLIT_S = 3_600.0
BACKUP_S = 7 * 86_400.0
FREE_SHARE = 0.1
FREE_STORES = 2
"""A compaction or an upgrade may for a while need as much again as the store is large."""
NAMES_SHOWN = 3


class Verdict(StrEnum):
    """How bad it is: `bad` is wrong now, `warning` may come to that."""

    OK = "ok"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check has to say. Without trouble there is no remedy."""

    check: str
    verdict: Verdict
    text: str
    remedy: str = ""


Trouble = Iterator[tuple[Verdict, str, str]]


def examine(facts: Facts) -> list[Finding]:
    """All findings, in the order of the checks; one that finds nothing says so."""
    findings: list[Finding] = []
    for name, (check, fine) in CHECKS.items():
        found = [Finding(name, *each) for each in check(facts)]
        findings += found or [Finding(name, Verdict.OK, fine)]
    return findings


def _clock(facts: Facts) -> Trouble:
    if facts.newest_us is not None and (ahead := _seconds(facts.newest_us - facts.now_us)) > CLOCK_OFF_S:
        yield (
            Verdict.WARNING,
            f"the newest record is stamped {span(ahead)} ahead of this machine's clock",
            "find the machine whose clock runs ahead and let NTP set it; records stay in order all the same",
        )
    for member in facts.cluster.up if facts.cluster is not None else []:
        off = _seconds(member.card.issued_us - facts.now_us) + member.heard_s
        if abs(off) > CLOCK_OFF_S:
            yield (
                Verdict.WARNING,
                f"the clock of {member.card.name or member.id[:12]} is {span(abs(off))} "
                + ("ahead of" if off > 0 else "behind") + " this machine's",
                "let NTP set both; --at, since() and the times in listings go by these clocks",
            )  # fmt: skip


def _equality(facts: Facts) -> Trouble:
    if facts.node is None:
        return
    for peer in map(table_of, list_of(facts.node["peers"])):
        since = peer["last_exchange_s"] if peer["last_exchange_s"] is not None else peer["connected_s"]
        if peer["state"] == "open" and not peer["agrees"] and isinstance(since, float) and since > UNEQUAL_S:
            yield (
                Verdict.BAD,
                f"not equal to {_name(peer)} for {span(since)}, though connected",
                "see how they differ: crdtgraph diverge with both control sockets; then: crdtgraph converge",
            )
    for alarm in map(table_of, list_of(facts.node["alarms"])):
        yield Verdict.BAD, f"alarm: {of(str, alarm['text'])}", "crdtgraph fsck on both stores says which one is damaged"


def _pending(facts: Facts) -> Trouble:
    old = [each for each in facts.pending if _age_s(facts, each["since_us"]) > PENDING_S]
    if old:
        oldest = max(_age_s(facts, each["since_us"]) for each in old)
        waits_for = sorted({of(bytes, each["waits_for"]).hex()[:12] for each in old})
        yield (
            Verdict.BAD,
            f"{len(old)} records wait for {_some(waits_for)}, the oldest for {span(oldest)}",
            "connect a replica that has these commits, or carry them: crdtgraph converge this.db other.db",
        )
    holes = of(int, facts.graph["holes"])
    if holes:
        yield (
            Verdict.WARNING,
            f"{holes} places of compacted segments lack their records",
            "they come from any peer that has them: connect one",
        )
    missing = of(int, facts.graph["missing_objects"])
    if missing:
        yield (
            Verdict.WARNING,
            f"{missing} large values ({size(of(int, facts.graph['missing_bytes']))}) are not here",
            "they come from any peer that has them: connect one, or crdtgraph converge; crdtgraph object ls lists them",
        )


def _links(facts: Facts) -> Trouble:
    if facts.cluster is None or facts.node is None:
        return
    lost = [member for member in facts.cluster.gone if member.state != "left"]
    if lost:
        names = _some([member.card.name or member.id[:12] for member in lost])
        yield (
            Verdict.WARNING,
            f"{names} cannot be reached, the last for {span(min(each.heard_s for each in lost))}",
            "see crdtgraph topology; one that will not come back: crdtgraph forget MEMBER",
        )
    for stranger in facts.cluster.strangers:
        yield (
            Verdict.WARNING,
            f"nobody has ever answered at {stranger.address}: {stranger.failure}",
            "start that node, or take the address out of --peer",
        )
    named = {member.id: member.card.name for member in facts.cluster.members}
    entries = [of(str, each) for each in list_of(facts.node["blocked"])]
    blocked = [named.get(entry, "") or entry for entry in entries]
    if blocked:
        yield Verdict.WARNING, f"{_some(blocked)} blocked by hand", "crdtgraph unblock PEER, when that is over"


def _splits(facts: Facts) -> Trouble:
    if isinstance(facts.episodes, str):
        yield Verdict.BAD, facts.episodes, "crdtgraph fsck says what else is damaged"
        return
    for each in facts.episodes:
        lasts = _age_s(facts, each["from_us"])
        if each["to_us"] is None and lasts > SPLIT_S:
            names = [of(str, side["name"]) or of(bytes, side["replica"]).hex()[:8] for side in
                     map(table_of, list_of(each["theirs"]))]  # fmt: skip
            yield (
                Verdict.WARNING,
                f"apart from {_some(names)} for {span(lasts)}; they may lack {of(int, each['commits_ours'])} commits",
                "mend the network, or carry what is missing: crdtgraph converge",
            )


def _conflicts(facts: Facts) -> Trouble:
    count = of(int, facts.graph["conflicted_refs"])
    if count:
        yield (
            Verdict.WARNING,
            f"{count} refs are in conflict",
            "crdtgraph refs lists them, crdtgraph merge REF merges one",
        )


def _disk(facts: Facts) -> Trouble:
    refused = of(int, facts.node["store_failures"]) if facts.node is not None else 0
    if refused:
        yield (
            Verdict.BAD,
            f"the store has refused to write {refused} times since the node started",
            "the node's log has the reasons; what peers sent is asked for again",
        )
    disk = facts.disk
    if disk is None:
        return
    needed = max(round(disk.total * FREE_SHARE), FREE_STORES * disk.store_bytes)
    if disk.free < needed:
        verdict = Verdict.BAD if disk.free < disk.store_bytes or disk.free < needed / 10 else Verdict.WARNING
        yield (
            verdict,
            f"{size(disk.free)} of {size(disk.total)} free on the disk of {disk.path} ({size(disk.store_bytes)})",
            f"make room: {size(needed)} should be free",
        )


def _permissions(facts: Facts) -> Trouble:
    if facts.disk is not None and facts.disk.mode & 0o022:
        yield (
            Verdict.BAD,
            f"others may write to {facts.disk.path} (mode {facts.disk.mode:o}), which holds the signing key",
            f"chmod go-w {facts.disk.path}",
        )


def _backup(facts: Facts) -> Trouble:
    backup = facts.backup
    if backup is None:
        return
    if backup.written_us is None:
        yield Verdict.BAD, f"the backup {backup.path} is not there", f"crdtgraph export jsonl {backup.path}"
        return
    age = _seconds(facts.now_us - backup.written_us)
    if age > BACKUP_S:
        yield (
            Verdict.WARNING,
            f"the backup {backup.path} is {span(age)} old",
            f"crdtgraph export jsonl --force {backup.path}",
        )


def _versions(facts: Facts) -> Trouble:
    found = of(int, facts.graph["format"])
    if found < FORMAT:
        yield (
            Verdict.WARNING,
            f"the store has format {found}, this program writes {FORMAT}",
            "crdtgraph export jsonl graph.jsonl, then import it into a new store",
        )
    members = facts.cluster.up if facts.cluster is not None else []
    versions = sorted({member.card.version for member in members})
    if len(versions) > 1:
        yield Verdict.WARNING, f"members run {', '.join(versions)}", "upgrade the older ones; status --cluster has them"
    for member in members:
        if member.card.protocol != PROTOCOL_VERSION:
            yield (
                Verdict.WARNING,
                f"{member.card.name or member.id[:12]} speaks protocol {member.card.protocol}, this program "
                f"{PROTOCOL_VERSION}",
                "upgrade the older one",
            )


def _recovery(facts: Facts) -> Trouble:
    graph = facts.graph
    folded = f"{of(int, graph['folded'])} commits were folded"
    if graph["last_stop"] == "unclean":
        yield Verdict.OK, f"the last stop was not clean; {folded}, and what was written last was verified", ""
    elif graph["last_stop"] == "unknown":
        yield Verdict.OK, "the store was not closed: some process has it open, or its last stop was not clean", ""
    if graph["checkpoint"] == "ignored":
        yield (
            Verdict.WARNING,
            f"the checkpoint did not verify and was ignored; {folded}",
            "a new one is written by itself; look at the rest of the store: crdtgraph fsck",
        )


CHECKS: dict[str, tuple[Callable[[Facts], Trouble], str]] = {
    "clock": (_clock, "clocks agree to within 5 s, as far as can be seen from here"),
    "equality": (_equality, "no peer has differed for long"),
    "pending": (_pending, "nothing waits for long for what is not here"),
    "links": (_links, "every known member can be reached"),
    "splits": (_splits, "no split brain goes on"),
    "conflicts": (_conflicts, "no ref is in conflict"),
    "disk": (_disk, "there is room, and the store takes what it is given"),
    "permissions": (_permissions, "nobody else may write to the store"),
    "recovery": (_recovery, "the last stop was a clean one, or there was none"),
    "backup": (_backup, "no backup is known to be old (context add --backup FILE lets this be looked at)"),
    "versions": (_versions, "one version, of the store's format and of every member"),
}
"""Name -> what looks, and what is said if it finds nothing. docs/json.md has the names."""


def _seconds(microseconds: int) -> float:
    return microseconds / 1e6


def _age_s(facts: Facts, since_us: object) -> float:
    return _seconds(facts.now_us - since_us) if isinstance(since_us, int) else 0.0


def _name(peer: Mapping[str, object]) -> str:
    return str(peer["name"] or str(peer["replica"])[:12])


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
