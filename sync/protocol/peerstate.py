"""What a node knows about one connected peer, plane by plane.

Two vectors are kept for each plane. `confirmed` is what the peer said it has, `assumed` adds what is on its
way to it; news are pushed on top of `assumed`. When a queue is dropped, `assumed` falls back to `confirmed`.

A pair of set digests (ours, theirs) names a situation between two replicas. `settled` is the pair after a
diff that the peer gave us in full: asking again in the same situation would bring the same again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from sync.protocol.messages import Delta, Ephemeral, Hello, PeerAddress, Peers, PlaneSummary, StateVector, Summary
from sync.protocol.outbox import Outbox

DigestPair: TypeAlias = tuple[bytes, bytes]


@dataclass(slots=True)
class OpenWant:
    """A diff that we asked for and that has not come whole.

    The digests, and `claimed`, which is the state vector that the peer had told, are those of the moment of asking.
    Once the diff is here, `holes` are the keys of the places that are hollow even so and still to be asked for.
    """

    peer: int
    deadline: float
    theirs: bytes
    before: bytes
    claimed: StateVector
    received_bytes: int = 0
    holes: list[str] | None = None


@dataclass(slots=True)
class PlaneView:
    """One plane of one peer, as seen from here."""

    told: PlaneSummary | None = None
    """Its last summary."""
    agreed_at: float | None = None
    """When a summary of it was last the same as ours."""
    confirmed: dict[int, int] = field(default_factory=dict)
    assumed: dict[int, int] = field(default_factory=dict)
    withheld: bool = False
    """There was news that could not be pushed, because what it builds on had not arrived there yet."""
    gap: bool = False
    """It pushed something that builds on what we lack."""
    owed: OpenWant | None = None
    """What it was asked for and has not answered to the end; it will, for nothing is lost on a connection."""
    overdue: int = 0
    """Wants that it let pass since its last complete answer."""
    settled: DigestPair | None = None
    """Our digest and its own, when it had given all it had ..."""
    answered: StateVector = field(default_factory=dict)
    """... and what it had claimed to have, when it was asked."""
    compared: DigestPair | None = None
    """The situation in which segment keys were last compared."""
    unanswered: int = 0
    """Questions of ours for segments by key that it has not answered to the end."""

    def has_given_all(self, ours: bytes) -> bool:
        """Whether nothing has changed since it gave all it had; `ours` is our digest now.

        A vector may grow while the digest stays: a peer that is cut off in a diff has places without segments.
        """
        told = self.told
        return told is not None and self.settled == (ours, told.set_digest) and covers(self.answered, told.state_vector)

    def confirm(self, vector: StateVector) -> None:
        """The peer said that it has this much."""
        raise_to(self.confirmed, vector)
        raise_to(self.assumed, vector)


class Peer:
    """One connected peer.

    Args:
        number: the connection's, unique in this node.
        hello: what it said of itself.
        summary, neighbours, wake, messages_max: see `Outbox`.
    """

    def __init__(
        self,
        number: int,
        hello: Hello,
        *,
        summary: Callable[[bool], Summary],
        neighbours: Callable[[], Peers],
        wake: Callable[[], None],
        messages_max: int,
    ) -> None:
        self.number = number
        self.hello = hello
        self.views: dict[str, PlaneView] = {}
        self.outbox = Outbox(summary, neighbours, wake, messages_max)
        self.exchanged_at: float | None = None
        """When digests were last compared after all was given and taken."""
        self.neighbours: tuple[PeerAddress, ...] = ()

    def view(self, plane: str) -> PlaneView:
        """What is known about its plane; made at first use, so ask only for planes that exist here."""
        view = self.views.get(plane)
        if view is None:
            view = self.views[plane] = PlaneView()
        return view

    def push(self, message: Delta | Ephemeral) -> bool:
        """Queue news; False if the queue was full: then all that was on its way is lost."""
        if self.outbox.push(message):
            return True
        for view in self.views.values():
            view.assumed = dict(view.confirmed)
        return False


def covers(vector: StateVector, other: StateVector) -> bool:
    """Whether `vector` has everything that `other` has. Cost: O(len(other))."""
    return all(vector.get(writer, 0) >= clock for writer, clock in other.items())


def raise_to(vector: dict[int, int], other: Mapping[int, int]) -> None:
    """Make `vector` cover `other` as well."""
    for writer, clock in other.items():
        if clock > vector.get(writer, 0):
            vector[writer] = clock
