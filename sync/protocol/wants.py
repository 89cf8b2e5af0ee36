"""Whom to ask for what: at most one diff a plane is under way, and one that stalls is asked of somebody else.

Asking two peers at once would bring everything twice; asking one and waiting for ever would make us hostage to it. So a
want has a deadline, which every part of the answer renews, and a peer that leaves frees its want at once. A peer that
lets it pass is passed over while somebody else has something. It still owes the answer: perhaps it is slow, or its
link is. So it is not asked twice, which would make it begin again; when nobody else is left, its want is open again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from sync.protocol.limits import Settings
from sync.protocol.messages import Want
from sync.protocol.peerstate import OpenWant, Peer, PlaneView, covers
from sync.protocol.replica import Replica


class Wants:
    """The open wants of one node, by plane. `peers` is the node's own table of them, by number."""

    def __init__(self, replica: Replica, settings: Settings, peers: Mapping[int, Peer]) -> None:
        self._replica = replica
        self._settings = settings
        self._peers = peers
        self._open: dict[str, OpenWant] = {}

    def __len__(self) -> int:
        return len(self._open)

    def get(self, plane: str) -> OpenWant | None:
        """The open want of a plane."""
        return self._open.get(plane)

    def by_plane(self) -> list[tuple[str, OpenWant]]:
        """All of them, by name of the plane."""
        return sorted(self._open.items(), key=lambda item: item[0])

    @property
    def deadline(self) -> float:
        """When `tick` has to be called; infinite when nothing is open."""
        return min((want.deadline for want in self._open.values()), default=math.inf)

    def consider(self, peer: Peer, plane: str, now: float) -> None:
        """Ask a peer for a diff if it has something that we lack and nobody is being asked."""
        view = peer.view(plane)
        if plane in self._open or not self._is_useful(view, plane):
            return
        deadline = now + self._settings.want_timeout_s
        if view.owed is not None:
            view.owed.deadline = deadline
            self._open[plane] = view.owed
            return
        view.gap = False
        ours = self._replica.set_digest(plane)
        theirs, claimed = (view.told.set_digest, view.told.state_vector) if view.told is not None else (b"", {})
        self._open[plane] = view.owed = OpenWant(peer.number, deadline, theirs, ours, claimed)
        peer.outbox.ask(Want(plane, dict(self._replica.state_vector(plane))))

    def seek(self, plane: str, now: float) -> None:
        """No want is open: ask whoever has something, those that answered before first."""
        for peer in sorted(self._peers.values(), key=lambda each: (each.view(plane).overdue, each.number)):
            self.consider(peer, plane, now)

    def receive_part(self, peer: Peer, plane: str, size: int, now: float) -> OpenWant | None:
        """Something came from a peer; the want that it belongs to, if any, gets more time."""
        want = peer.view(plane).owed
        if want is not None:
            want.deadline = now + self._settings.want_timeout_s
            want.received_bytes += size
        return want

    def close(self, peer: Peer, plane: str) -> None:
        """The answer is complete."""
        if self._open.get(plane) is peer.view(plane).owed:
            del self._open[plane]
        peer.view(plane).owed = None

    def drop(self, plane: str) -> None:
        """There is no such plane any more."""
        self._open.pop(plane, None)

    def leave(self, number: int, now: float) -> None:
        """A peer is gone (and no longer in the table): ask others for what it was asked for."""
        for plane in [plane for plane, want in self._open.items() if want.peer == number]:
            del self._open[plane]
            self.seek(plane, now)

    def tick(self, now: float) -> None:
        """Pass over peers that let their deadline pass."""
        for plane, want in [*self._open.items()]:
            if now >= want.deadline:
                del self._open[plane]
                self._peers[want.peer].view(plane).overdue += 1
                self.seek(plane, now)

    def _is_useful(self, view: PlaneView, plane: str) -> bool:
        if view.gap:
            return True
        ours = self._replica.set_digest(plane)
        if view.told is None or view.told.set_digest == ours or view.has_given_all(ours):
            return False
        mine, theirs = self._replica.state_vector(plane), view.told.state_vector
        # With more than the peer has, there is nothing to get, unless it can fill a hole of ours; with just as much,
        # there may be deletions.
        if not covers(mine, theirs) or covers(theirs, mine):
            return True
        return any(key.seq < theirs.get(key.writer, 0) for key in self._replica.holes(plane))
