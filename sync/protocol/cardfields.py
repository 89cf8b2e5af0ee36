"""Member cards as fields of a message, and back, checked like any other field."""

from __future__ import annotations

from crdtgraph.ids import REPLICA_ID_BYTES
from sync.protocol import fields
from sync.protocol.cards import AlarmCard, Card, LinkCard, PlaneCard, TimingCard
from sync.protocol.limits import (
    CARD_ALARMS_MAX,
    CARD_BLOCKED_MAX,
    CARD_LINKS_MAX,
    CARD_PLANES_MAX,
    CARD_TEXT_BYTES_MAX,
    CARD_TIMINGS_MAX,
    CARD_WRITERS_MAX,
)
from sync.protocol.messages import DIGEST_BYTES, NONCE_BYTES, HeldCard

NUMBER_MAX = 1 << 63


def row_of(held: HeldCard) -> list[object]:
    """A card and its age as a row of fields."""
    card = held.card
    return [
        held.age_ms,
        card.replica,
        card.nonce,
        card.number,
        card.name,
        card.version,
        card.protocol,
        card.addresses,
        card.started_us,
        card.issued_us,
        card.leaving,
        card.store_bytes,
        card.refs,
        card.conflicted_refs,
        card.buffered,
        card.alarms_total,
        [_plane_row(each) for each in card.planes],
        [_link_row(each) for each in card.links],
        card.blocked,
        [[each.kind, each.plane, each.replica] for each in card.alarms],
        [[each.name, each.count, each.p50_us, each.p99_us, each.longest_us] for each in card.timings],
    ]


def held_card(value: object) -> HeldCard:
    """The inverse of `row_of`; raises FieldError."""
    row = fields.tuple_of(value, 21)
    planes = tuple(map(_plane_of, fields.list_of(row[16], CARD_PLANES_MAX)))
    if len({each.plane for each in planes}) < len(planes):
        raise fields.FieldError("a card has a plane twice")
    if sum(len(each.vector) for each in planes) > CARD_WRITERS_MAX:
        raise fields.FieldError(f"a card with more than {CARD_WRITERS_MAX} writers")
    card = Card(
        replica=fields.replica_of(row[1]),
        nonce=fields.exactly(row[2], (NONCE_BYTES,)),
        number=_number(row[3]),
        name=_text(row[4]),
        version=_text(row[5]),
        protocol=_number(row[6]),
        addresses=fields.addresses_of(row[7]),
        started_us=_number(row[8]),
        issued_us=_number(row[9]),
        leaving=fields.of(bool, row[10]),
        store_bytes=_optional_number(row[11]),
        refs=_number(row[12]),
        conflicted_refs=_number(row[13]),
        buffered=_number(row[14]),
        alarms_total=_number(row[15]),
        planes=planes,
        links=tuple(map(_link_of, fields.list_of(row[17], CARD_LINKS_MAX))),
        blocked=tuple(map(_text, fields.list_of(row[18], CARD_BLOCKED_MAX))),
        alarms=tuple(map(_alarm_of, fields.list_of(row[19], CARD_ALARMS_MAX))),
        timings=tuple(map(_timing_of, fields.list_of(row[20], CARD_TIMINGS_MAX))),
    )
    return HeldCard(card, _number(row[0]))


def _plane_row(plane: PlaneCard) -> list[object]:
    return [
        plane.plane,
        plane.digest,
        plane.set_digest,
        plane.commits,
        plane.live,
        plane.pending,
        plane.heads,
        plane.segments,
        plane.holes,
        plane.reach,
        fields.flat(plane.vector),
    ]


def _plane_of(value: object) -> PlaneCard:
    row = fields.tuple_of(value, 11)
    return PlaneCard(
        plane=fields.plane_name(row[0]),
        digest=fields.exactly(row[1], (DIGEST_BYTES,)),
        set_digest=fields.exactly(row[2], (DIGEST_BYTES,)),
        commits=_number(row[3]),
        live=_number(row[4]),
        pending=_number(row[5]),
        heads=_number(row[6]),
        segments=_number(row[7]),
        holes=_number(row[8]),
        reach=_number(row[9]),
        vector=fields.state_vector(row[10]),
    )


def _link_row(link: LinkCard) -> list[object]:
    return [
        link.replica,
        link.address,
        link.state,
        link.agrees,
        link.queued_messages,
        link.queued_bytes,
        link.queue_drops,
        link.rtt_us,
        link.exchanged_ms,
        link.failure,
    ]


def _link_of(value: object) -> LinkCard:
    row = fields.tuple_of(value, 10)
    return LinkCard(
        replica=fields.exactly(row[0], (0, REPLICA_ID_BYTES)),
        address=_text(row[1]),
        state=_text(row[2]),
        agrees=fields.of(bool, row[3]),
        queued_messages=_number(row[4]),
        queued_bytes=_number(row[5]),
        queue_drops=_number(row[6]),
        rtt_us=_optional_number(row[7]),
        exchanged_ms=_optional_number(row[8]),
        failure=_text(row[9]),
    )


def _alarm_of(value: object) -> AlarmCard:
    kind, plane, replica = fields.tuple_of(value, 3)
    return AlarmCard(_text(kind), fields.plane_name(plane), fields.replica_of(replica))


def _timing_of(value: object) -> TimingCard:
    row = fields.tuple_of(value, 5)
    return TimingCard(
        name=_text(row[0]),
        count=_number(row[1]),
        p50_us=_number(row[2]),
        p99_us=_number(row[3]),
        longest_us=_number(row[4]),
    )


def _number(value: object) -> int:
    return fields.number(value, NUMBER_MAX)


def _optional_number(value: object) -> int | None:
    return None if value is None else _number(value)


def _text(value: object) -> str:
    return fields.text(value, CARD_TEXT_BYTES_MAX)
