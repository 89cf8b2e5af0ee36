"""What a peer's summary of a plane means: that both agree, that it has something for us, or that something is wrong.

Equal digests of the segment sets end an exchange. Then the projections must be equal as well, where both are complete.
A search stands on the ledger, so its projection is compared only by those who have the same ledger. While several write
to it their sets differ most of the time, which is no reason for anything but the next want.
"""

from __future__ import annotations

from crdtgraph.planes import LEDGER
from sync.protocol.alarms import AlarmKind, Alarms
from sync.protocol.comparison import Comparison
from sync.protocol.messages import PlaneSummary
from sync.protocol.peerstate import DigestPair, Peer, PlaneView, covers
from sync.protocol.replica import Replica
from sync.protocol.wants import Wants


class Agreement:
    """The judge of one node's summaries."""

    def __init__(self, replica: Replica, wants: Wants, alarms: Alarms, comparison: Comparison) -> None:
        self._replica = replica
        self._wants = wants
        self._alarms = alarms
        self._comparison = comparison

    def is_complete(self, plane: str) -> bool:
        """Whether the projection of a plane is one of segments that may be shown, and so is what it stands on."""
        return self._replica.is_flushed(plane) and (plane == LEDGER or self._replica.is_flushed(LEDGER))

    def compare(self, peer: Peer, view: PlaneView, told: PlaneSummary, now: float) -> None:
        """A fresh summary of a plane: agreement, a want, or an alarm."""
        ours = self._replica.set_digest(told.plane)
        if told.set_digest == ours:
            view.agreed_at = now
            if told.plane == LEDGER:
                peer.exchanged_at = now
            peer.outbox.drop_news(told.plane)
            self._check_projection(peer, told)
            return
        if not view.has_given_all(ours):
            self._wants.consider(peer, told.plane, now)
            return
        pair = (ours, told.set_digest)
        mine = self._replica.state_vector(told.plane)
        if not covers(mine, told.state_vector):
            self._raise_alarm(AlarmKind.INCOMPLETE, peer, told.plane, pair)
        elif covers(told.state_vector, mine) and told.settled_with == ours:
            self._raise_alarm(AlarmKind.DIVERGED, peer, told.plane, pair)

    def _check_projection(self, peer: Peer, told: PlaneSummary) -> None:
        replica = peer.hello.replica
        self._alarms.clear(AlarmKind.DIVERGED, told.plane, replica)
        self._alarms.clear(AlarmKind.INCOMPLETE, told.plane, replica)
        if not told.projection_digest or not self.is_complete(told.plane) or not self._has_same_ground(peer, told):
            return
        if self._replica.digest(plane=told.plane) == told.projection_digest:
            self._alarms.clear(AlarmKind.PROJECTION, told.plane, replica)
        else:
            self._alarms.sound(AlarmKind.PROJECTION, told.plane, replica)

    def _has_same_ground(self, peer: Peer, told: PlaneSummary) -> bool:
        """Whether the peer's ledger was ours when it told this; the ledger comes first in a summary."""
        if told.plane == LEDGER:
            return True
        ledger = peer.view(LEDGER).told
        return ledger is not None and ledger.set_digest == self._replica.set_digest(LEDGER)

    def _raise_alarm(self, kind: AlarmKind, peer: Peer, plane: str, pair: DigestPair) -> None:
        self._alarms.sound(kind, plane, peer.hello.replica)
        self._comparison.begin(peer, plane, pair)
