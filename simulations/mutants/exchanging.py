"""Bugs in what replicas tell each other: what is asked for, passed on, taken in, and waited for."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace

import crdtgraph.exchange
import crdtgraph.replica
from crdtgraph.exchange import Received, RemoteGapError
from crdtgraph.ids import SegmentKey
from crdtgraph.planes import Plane
from crdtgraph.segment import unpack
from crdtgraph.update import decode_update
from simulations.mutants.planting import Change, Mutant
from sync.protocol.gossip import Gossip
from sync.protocol.limits import Settings
from sync.protocol.messages import Delta, Ephemeral
from sync.protocol.outbox import Outbox
from sync.protocol.peerstate import Peer, PlaneView, covers
from sync.protocol.replica import DeltaLike, Replica
from sync.protocol.wants import Wants


def _vectors_decide(is_useful: Callable[..., bool], self: Wants, view: PlaneView, plane: str) -> bool:
    told = view.told
    if told is not None and not view.gap and covers(self._replica.state_vector(plane), told.state_vector):
        return False
    return is_useful(self, view, plane)


def _everyone_is_told(push: Callable[..., None], self: Gossip, delta: DeltaLike, *, source: int | None = None) -> None:
    for peer in self.peers.values():
        if peer.number != source:
            peer.push(Delta(delta.plane, dict(delta.base), delta.update))


def _no_place_is_hollow(holes: Callable[..., list[SegmentKey]], self: Replica, plane: str) -> list[SegmentKey]:
    return []


def _gaps_are_fine(
    receive_steps: Callable[..., Generator[None, None, Received]], plane: Plane, data: bytes
) -> Generator[None, None, Received]:
    try:
        return (yield from receive_steps(plane, data))
    except RemoteGapError:
        for key, value in decode_update(data).items:
            if value is not None and key.seq > plane.document.state_vector.get(key.writer, 0):
                plane.receive(unpack(value), value)
        return Received((), None)


def _own_news_only(push: Callable[..., None], self: Gossip, delta: DeltaLike, *, source: int | None = None) -> None:
    if source is None:
        push(self, delta)


def _a_drop_is_the_end(push: Callable[..., bool], self: Outbox, message: Delta | Ephemeral) -> bool:
    due = self._due
    is_queued = push(self, message)
    if not is_queued:
        self._due = due
    return is_queued


def _patience_has_no_end(
    init: Callable[..., None], self: Wants, replica: Replica, settings: Settings, peers: Mapping[int, Peer]
) -> None:
    init(self, replica, replace(settings, want_timeout_s=math.inf), peers)


def _the_newest_goes_first(settle: Callable[..., None], self: Plane, keys: list[SegmentKey] | None = None) -> None:
    settle(self, (self.unsettled() if keys is None else keys)[::-1])


MUTANTS = (
    Mutant(
        "state vectors taken for agreement",
        "Whoever covers a peer's state vector asks for nothing, although the digests differ.",
        "It is what the vector looks made for; but it says nothing of deletions.",
        (Change(Wants, "_is_useful", _vectors_decide),),
    ),
    Mutant(
        "deleted places taken for knowledge",
        "Whoever knows that a segment was compacted away asks for nothing, though what it was joined into never came.",
        "The state vector covers the place, and a deletion looks like all there is to know.",
        (Change(crdtgraph.replica.Replica, "holes", _no_place_is_hollow),),
    ),
    Mutant(
        "gapped delta applied",
        "News goes to every peer, and is taken in even where what it builds on is missing.",
        "Yjs accepts it without a word, keeps it where nobody sees it, and most of the time the rest comes soon.",
        (
            Change(Gossip, "push", _everyone_is_told),
            Change(crdtgraph.exchange, "receive_steps", _gaps_are_fine),
        ),
    ),
    Mutant(
        "newest segment served first",
        "Of several segments that one fsync covers the newest is given to peers first.",
        "Once they are durable, all are alike.",
        (Change(Plane, "settle", _the_newest_goes_first),),
    ),
    Mutant(
        "relay missing",
        "News goes to a node's own peers, and they do not pass it on.",
        "In a full mesh nobody needs it, and that is what a demonstration runs.",
        (Change(Gossip, "push", _own_news_only),),
    ),
    Mutant(
        "dropped queue not followed by anti-entropy",
        "A queue that overflows is dropped, and no summary takes its place.",
        "The next periodic one mends it, so no test that waits long enough fails.",
        (Change(Outbox, "push", _a_drop_is_the_end),),
    ),
    Mutant(
        "want never timed out",
        "A peer that was asked for a diff is waited for as long as its connection stands.",
        "A connection that stands looks like a peer that answers.",
        (Change(Wants, "__init__", _patience_has_no_end),),
    ),
)
