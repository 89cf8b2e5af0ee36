"""What there is to say about a cluster beside its table, and how programs are told all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cli.cluster.columns import DIGEST_DIGITS, REPLICA_DIGITS, Paint, mark
from cli.cluster.members import NEVER_HEARD, UP, Cluster, Member, Stranger
from cli.render import one_line

MEMBER_COLUMNS = (
    "replica", "name", "state", "version", "protocol", "addresses", "address", "failure", "started_us", "uptime_s",
    "heard_s", "store_bytes", "commits", "live", "pending", "heads", "holes", "segments", "refs", "conflicted_refs",
    "buffered", "lag_segments", "lag_exact", "lag_commits", "queued_messages", "queued_bytes", "queue_drops",
    "last_exchange_s", "links_open", "blocked", "alarms", "alarms_total", "group", "digest", "planes", "links",
    "timings",
)  # fmt: skip
PLANE_COLUMNS = ("replica", "name", "state", "plane", "group", "agrees", "digest", "set_digest", "commits", "segments")


def called(member: Member) -> str:
    """A member by its name, if it has one, else by its id."""
    return one_line(member.card.name) or member.id[:REPLICA_DIGITS]


def verdict(cluster: Cluster, paint: Paint) -> Iterator[str]:
    """Lines: how many are up, whether they agree, who blocks whom, which alarms stand."""
    up, known = len(cluster.up), len(cluster.members) + len(cluster.strangers)
    counted = f"{up} of {known} members {'is' if up == 1 else 'are'} up"
    differing = cluster.differing()
    if differing:
        yield paint(f"MISMATCH: {counted}, and they differ", "bad")
        for plane in differing:
            yield f"  {one_line(plane)}: {'; '.join(_sides(cluster, plane, paint))}"
    else:
        yield f"{counted}{' and agree' if up > 1 else ''}"
    names = {member.id: called(member) for member in cluster.members}
    for member in cluster.members:
        if member.state == UP:
            for entry in member.card.blocked:
                yield paint(f"{called(member)} blocks {names.get(_blocked(cluster, entry), one_line(entry))}", "warn")
            for alarm in member.card.alarms:
                other = names.get(alarm.replica.hex(), alarm.replica.hex()[:REPLICA_DIGITS])
                yield paint(f"ALARM {called(member)} and {other}: {one_line(alarm.kind)} in {alarm.plane}", "bad")


def _sides(cluster: Cluster, plane: str, paint: Paint) -> Iterator[str]:
    for digest, letter in cluster.groups(plane).items():
        names = [
            called(member)
            for member in cluster.up
            if any(card.plane == plane and card.digest == digest for card in member.card.planes)
        ]
        if names:
            yield f"{paint(f'{letter} {digest.hex()[:DIGEST_DIGITS]}', mark(digest))} {', '.join(names)}"


def _blocked(cluster: Cluster, entry: str) -> str:
    """The id of the member that an entry of a blocklist is about; empty if it is not known."""
    for member in cluster.members:
        if blocks(entry, member):
            return member.id
    return ""


def blocks(entry: str, member: Member) -> bool:
    """Whether an entry of a blocklist is about a member."""
    return entry in member.card.addresses if ":" in entry else bool(entry) and member.id.startswith(entry)


def member_documents(cluster: Cluster) -> Iterator[dict[str, object]]:
    """Each member, and each address where nobody answered, as a document with `MEMBER_COLUMNS`."""
    groups = cluster.groups()
    for member in cluster.listed:
        yield _member_document(member, groups)
    for stranger in cluster.strangers:
        yield _stranger_document(stranger)


def _member_document(member: Member, groups: Mapping[bytes, str]) -> dict[str, object]:
    card, planes, links, ledger = member.card, member.card.planes, member.card.links, member.ledger
    return {
        "replica": card.replica,
        "name": card.name,
        "state": member.state,
        "version": card.version,
        "protocol": card.protocol,
        "addresses": card.addresses,
        "address": None,
        "failure": None,
        "started_us": card.started_us,
        "uptime_s": member.uptime_s,
        "heard_s": member.heard_s,
        "store_bytes": card.store_bytes,
        "commits": sum(plane.commits for plane in planes),
        "live": sum(plane.live for plane in planes),
        "pending": sum(plane.pending for plane in planes),
        "heads": ledger.heads if ledger is not None else None,
        "holes": sum(plane.holes for plane in planes),
        "segments": sum(plane.segments for plane in planes),
        "refs": card.refs,
        "conflicted_refs": card.conflicted_refs,
        "buffered": card.buffered,
        "lag_segments": member.lag.segments,
        "lag_exact": member.lag.exact,
        "lag_commits": member.lag.commits,
        "queued_messages": sum(link.queued_messages for link in links),
        "queued_bytes": sum(link.queued_bytes for link in links),
        "queue_drops": sum(link.queue_drops for link in links),
        "last_exchange_s": member.exchanged_s,
        "links_open": member.open_links,
        "blocked": card.blocked,
        "alarms": [{"kind": each.kind, "plane": each.plane, "replica": each.replica} for each in card.alarms],
        "alarms_total": card.alarms_total,
        "group": groups.get(ledger.digest) if ledger is not None else None,
        "digest": ledger.digest if ledger is not None else None,
        "planes": [
            {
                "plane": plane.plane,
                "digest": plane.digest,
                "set_digest": plane.set_digest,
                "commits": plane.commits,
                "live": plane.live,
                "pending": plane.pending,
                "heads": plane.heads,
                "holes": plane.holes,
                "segments": plane.segments,
            }
            for plane in planes
        ],
        "links": [
            {
                "replica": link.replica or None,
                "address": link.address,
                "state": link.state,
                "agrees": link.agrees,
                "queued_messages": link.queued_messages,
                "queued_bytes": link.queued_bytes,
                "queue_drops": link.queue_drops,
                "rtt_s": None if link.rtt_us is None else link.rtt_us / 1e6,
                "last_exchange_s": None if link.exchanged_ms is None else link.exchanged_ms / 1e3 + member.heard_s,
                "failure": link.failure,
            }
            for link in links
        ],
        "timings": [
            {
                "name": each.name,
                "count": each.count,
                "p50_us": each.p50_us,
                "p99_us": each.p99_us,
                "longest_us": each.longest_us,
            }
            for each in card.timings
        ],
    }


def _stranger_document(stranger: Stranger) -> dict[str, object]:
    unknown: dict[str, object] = dict.fromkeys(MEMBER_COLUMNS)
    return unknown | {"state": NEVER_HEARD, "address": stranger.address, "failure": stranger.failure}


def plane_documents(cluster: Cluster) -> Iterator[dict[str, object]]:
    """Each plane of each member as a document with `PLANE_COLUMNS`; `agrees` says whether it is with the most."""
    for plane in cluster.planes():
        groups = cluster.groups(plane)
        for member in cluster.listed:
            for card in member.card.planes:
                if card.plane == plane:
                    letter = groups[card.digest]
                    yield {
                        "replica": member.card.replica,
                        "name": member.card.name,
                        "state": member.state,
                        "plane": plane,
                        "group": letter,
                        "agrees": letter == "A",
                        "digest": card.digest,
                        "set_digest": card.set_digest,
                        "commits": card.commits,
                        "segments": card.segments,
                    }
