"""Methods about the cluster: who belongs to it, and how far each member is behind all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from crdtgraph import LocalError, NotFoundError
from crdtgraph.ids import REPLICA_ID_BYTES, ReplicaId, SegmentKey
from sync.methods.target import Handler, Target
from sync.params import Params
from sync.plain import table
from sync.protocol.calls import Plain
from sync.protocol.cards import Card
from sync.protocol.lag import Lag, Reach, lags, ranges, union

if TYPE_CHECKING:
    from sync.node import Node
    from sync.protocol.membership import Member

CENSUS_S = 1.0
"""How long members are waited for that do not answer."""
CENSUS_S_MAX = 60.0
UNPACKED_AT_ONCE = 200
"""Segments looked into to say how many commits a member lacks, about 0.3 ms each; those of earlier calls are known."""
COUNTED_AT_ONCE = 5_000
"""Segments that a member may lack for its commits to be counted."""
STRIDE = 100
DIGITS_MIN = 4
"""Of a replica's id, to forget it."""


async def _cluster(target: Target, params: Params) -> Plain:
    timeout_s = params.seconds("timeout_s", CENSUS_S)
    params.done()
    # Only where a node runs: other users of this table have no event loop, and should not pay for one.
    import trio

    node = target.running()
    answers = await node.members.census(min(timeout_s, CENSUS_S_MAX))
    now = trio.current_time()
    cards = [member.card for member in answers.members]
    behind = _behind(cards)
    return {
        "asked": node.replica_id,
        "members": [
            {
                **_card(member.card),
                "state": _state(member.card, answers.answered),
                "heard_s": max(0.0, now - member.issued_at),
                "lag": {
                    "segments": lag.segments,
                    "exact": lag.exact,
                    "commits": await _commits_missing(node, member.card, cards) if lag.segments else 0,
                },
            }
            for member, lag in zip(answers.members, behind, strict=True)
        ],
        "addresses": _strangers(answers.members),
        "left_out": node.members.table.ignored,
    }


def _forget(target: Target, params: Params) -> Plain:
    text = params.text("member").lower()
    params.done()
    node = target.running()
    if not DIGITS_MIN <= len(text) <= 2 * REPLICA_ID_BYTES:
        raise LocalError(
            f"{text!r} names no member", hint=f"give the first {DIGITS_MIN} or more digits of a replica's id"
        )
    known = sorted({*node.members.table.members, *node.splits.lost})
    found = [replica for replica in known if replica.hex().startswith(text)]
    if len(found) != 1:
        what = "no member" if not found else f"{len(found)} members"
        raise NotFoundError(f"{what} begin with {text!r}", hint="see: crdtgraph status --cluster")
    if found[0] == node.replica_id:
        raise LocalError("a node cannot forget itself", hint="ask another node")
    node.members.forget(found[0])
    node.splits.forget(found[0])
    return found[0]


TABLE: Mapping[str, Handler] = {"cluster": _cluster, "forget": _forget}


def _state(card: Card, answered: frozenset[ReplicaId]) -> str:
    if card.leaving:
        return "left"
    return "up" if card.replica in answered else "unreachable"


def _card(card: Card) -> dict[str, Plain]:
    """A card as a table; writers in hex."""
    plain = table(card)
    plain["planes"] = [
        {**table(plane), "vector": {f"{writer:x}": plane.vector[writer] for writer in sorted(plane.vector)}}
        for plane in card.planes
    ]
    return plain


def _reaches(cards: Sequence[Card], plane: str) -> dict[ReplicaId, Reach]:
    return {
        card.replica: Reach(each.reach, each.vector) for card in cards for each in card.planes if each.plane == plane
    }


def _behind(cards: Sequence[Card]) -> list[Lag]:
    """How far each member is behind, over all planes that it has."""
    totals = {card.replica: Lag(0, True) for card in cards}
    for plane in sorted({each.plane for card in cards for each in card.planes}):
        reaches = _reaches(cards, plane)
        for replica, lag in zip(reaches, lags([*reaches.values()]), strict=True):
            before = totals[replica]
            totals[replica] = Lag(before.segments + lag.segments, before.exact and lag.exact)
    return [totals[card.replica] for card in cards]


async def _commits_missing(node: Node, card: Card, cards: Sequence[Card]) -> int | None:
    """How many commits are in the segments that a member lacks; None if that cannot be told, or not at once.

    A segment that joined others counts whole, even where the member has some of those.
    """
    import trio

    counts = node.members.commits_in
    looks = counts.looks
    missing: list[tuple[str, SegmentKey]] = []
    for plane in card.planes:
        reaches = _reaches(cards, plane.plane)
        if not all(reach.is_known for reach in reaches.values()):
            return None
        held = node.graph.state_vector(plane.plane)
        for writer, first, count in ranges(reaches[card.replica].vector, union(reaches.values())):
            if held.get(writer, 0) < first + count or len(missing) + count > COUNTED_AT_ONCE:
                return None
            missing += [(plane.plane, SegmentKey(writer, seq)) for seq in range(first, first + count)]
    total = 0
    for number, (name, key) in enumerate(missing, 1):
        total += counts.get(name, key)
        if counts.looks - looks > UNPACKED_AT_ONCE:
            return None
        if number % STRIDE == 0 or counts.looks > looks:
            await trio.lowlevel.checkpoint()
    return total


def _strangers(members: Sequence[Member]) -> list[Plain]:
    """Addresses that members dial and where nobody has answered yet, with who dials and why it fails."""
    known = {address for member in members for address in member.card.addresses}
    replicas = {member.card.replica for member in members}
    found: dict[str, dict[str, Plain]] = {}
    dialled_by: dict[str, list[Plain]] = {}
    for member in members:
        for link in member.card.links:
            if link.state == "open" or not link.address or link.address in known or link.replica in replicas:
                continue
            found[link.address] = {"address": link.address, "state": link.state, "failure": link.failure}
            dialled_by.setdefault(link.address, []).append(member.card.replica)
    return [{**found[address], "dialled_by": dialled_by[address]} for address in sorted(found)]
