"""The answer to `cluster`, read into values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.answers import RemoteAnswerError, list_of, of, table_of
from cli.cluster.members import Behind, Cluster, Member, Stranger
from crdtgraph.ids import ReplicaId
from sync.protocol.cards import AlarmCard, Card, LinkCard, PlaneCard, TimingCard

if TYPE_CHECKING:
    from sync.protocol.calls import Plain


def cluster_of(answer: Plain) -> Cluster:
    """What one node answered; raises RemoteAnswerError."""
    try:
        table = table_of(answer)
        return Cluster(
            asked=frozenset({of(bytes, table["asked"]).hex()}),
            members=tuple(_member(table_of(each)) for each in list_of(table["members"])),
            strangers=tuple(_stranger(table_of(each)) for each in list_of(table["addresses"])),
        )
    except (KeyError, ValueError) as error:
        raise RemoteAnswerError(
            f"the answer about the cluster lacks something: {error}",
            hint="the node may run another version of crdtgraph",
        ) from None


def _stranger(table: dict[str, Plain]) -> Stranger:
    dialled_by = tuple(of(bytes, each).hex() for each in list_of(table["dialled_by"]))
    return Stranger(of(str, table["address"]), of(str, table["failure"]) or of(str, table["state"]), dialled_by)


def _member(table: dict[str, Plain]) -> Member:
    lag = table_of(table["lag"])
    return Member(
        card=_card(table),
        state=of(str, table["state"]),
        heard_s=of(float, table["heard_s"]),
        lag=Behind(of(int, lag["segments"]), of(bool, lag["exact"]), _optional(lag["commits"])),
    )


def _card(table: dict[str, Plain]) -> Card:
    return Card(
        replica=ReplicaId(of(bytes, table["replica"])),
        nonce=of(bytes, table["nonce"]),
        number=of(int, table["number"]),
        name=of(str, table["name"]),
        version=of(str, table["version"]),
        protocol=of(int, table["protocol"]),
        addresses=tuple(of(str, each) for each in list_of(table["addresses"])),
        started_us=of(int, table["started_us"]),
        issued_us=of(int, table["issued_us"]),
        leaving=of(bool, table["leaving"]),
        store_bytes=_optional(table["store_bytes"]),
        refs=of(int, table["refs"]),
        conflicted_refs=of(int, table["conflicted_refs"]),
        buffered=of(int, table["buffered"]),
        alarms_total=of(int, table["alarms_total"]),
        planes=tuple(_plane(table_of(each)) for each in list_of(table["planes"])),
        links=tuple(_link(table_of(each)) for each in list_of(table["links"])),
        blocked=tuple(of(str, each) for each in list_of(table["blocked"])),
        alarms=tuple(_alarm(table_of(each)) for each in list_of(table["alarms"])),
        timings=tuple(_timing(table_of(each)) for each in list_of(table["timings"])),
    )


def _plane(table: dict[str, Plain]) -> PlaneCard:
    return PlaneCard(
        plane=of(str, table["plane"]),
        digest=of(bytes, table["digest"]),
        set_digest=of(bytes, table["set_digest"]),
        commits=of(int, table["commits"]),
        live=of(int, table["live"]),
        pending=of(int, table["pending"]),
        heads=of(int, table["heads"]),
        segments=of(int, table["segments"]),
        holes=of(int, table["holes"]),
        reach=of(int, table["reach"]),
        vector={int(writer, 16): of(int, clock) for writer, clock in table_of(table["vector"]).items()},
    )


def _link(table: dict[str, Plain]) -> LinkCard:
    return LinkCard(
        replica=of(bytes, table["replica"]),
        address=of(str, table["address"]),
        state=of(str, table["state"]),
        agrees=of(bool, table["agrees"]),
        queued_messages=of(int, table["queued_messages"]),
        queued_bytes=of(int, table["queued_bytes"]),
        queue_drops=of(int, table["queue_drops"]),
        rtt_us=_optional(table["rtt_us"]),
        exchanged_ms=_optional(table["exchanged_ms"]),
        failure=of(str, table["failure"]),
    )


def _alarm(table: dict[str, Plain]) -> AlarmCard:
    return AlarmCard(of(str, table["kind"]), of(str, table["plane"]), ReplicaId(of(bytes, table["replica"])))


def _timing(table: dict[str, Plain]) -> TimingCard:
    return TimingCard(
        of(str, table["name"]),
        of(int, table["count"]),
        of(int, table["p50_us"]),
        of(int, table["p99_us"]),
        of(int, table["longest_us"]),
    )


def _optional(value: Plain) -> int | None:
    return None if value is None else of(int, value)
