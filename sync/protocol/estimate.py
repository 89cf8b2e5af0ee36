"""What it would cost two nodes to become equal: bytes each way and round trips, before anything is sent.

Counted are the messages of reconciliation, in frames, as `gossip` sends them over a connection that stands: a summary
each, wants, the deltas of their answers, segments by key, and the summaries by which both see that they are equal.
Not counted is what a connection carries anyway: greetings, pings, lists of peers and cards of members.

A round trip is two messages one of which waits for the other. From connecting on a diff takes two: greeting, summary,
want and delta go to and fro. Each list of keys that has to be asked for takes one more. TCP's own handshake comes on
top, and what a node that is busy adds.
"""

from __future__ import annotations

from dataclasses import dataclass

from crdtgraph.divergence import Transfer, transfer
from crdtgraph.planes import LEDGER
from crdtgraph.replica import Replica
from sync.protocol.codec import compressible, encode_message
from sync.protocol.framing import encode_frame
from sync.protocol.limits import KEYS_PER_MESSAGE
from sync.protocol.messages import Delta, Message, PlaneSummary, Summary, Want, WantSegments
from sync.protocol.peerstate import raise_to

ROUND_TRIPS_OF_A_DIFF = 2
_DIGEST = bytes(range(32))
"""A stand-in of a digest's length."""
_KEY = "fffffffffffff-fff"


@dataclass(frozen=True, slots=True)
class Healing:
    """What two replicas have for each other, how many bytes each sends for it, and how many round trips it takes."""

    to_b: Transfer
    to_a: Transfer
    bytes_to_b: int
    bytes_to_a: int
    round_trips: int


def estimate(a: Replica, b: Replica, *, plane: str = LEDGER) -> Healing:
    """Work it out for one plane. O(segments of both), at no cost when they hold the same.

    What is not durable yet is left out: no peer would be given it.
    """
    to_b, to_a = transfer(a, b, plane=plane), transfer(b, a, plane=plane)
    if not (to_b.deltas or to_a.deltas or to_b.by_key or to_a.by_key):
        return Healing(to_b, to_a, 0, 0, 0)
    vector_a, vector_b = dict(a.state_vector(plane)), dict(b.state_vector(plane))
    union = dict(vector_a)
    raise_to(union, vector_b)
    first_a, first_b, last = (_summary_size(plane, vector) for vector in (vector_a, vector_b, union))
    both = bool(to_a.deltas and to_b.deltas)
    # Whoever got something tells its new state; if both did, both also ask for the other's.
    bytes_to_b = first_a + _given(plane, to_b) + _asked(plane, vector_a, to_a) + last * (2 * both + (not to_b.deltas))
    bytes_to_a = first_b + _given(plane, to_a) + _asked(plane, vector_b, to_b) + last * (2 * both + (not to_a.deltas))
    keys = max(to_a.by_key, to_b.by_key)
    return Healing(to_b, to_a, bytes_to_b, bytes_to_a, ROUND_TRIPS_OF_A_DIFF + -(-keys // KEYS_PER_MESSAGE))


def _given(plane: str, given: Transfer) -> int:
    """The answers to a want and to questions by key."""
    # The length of an update takes up to four bytes more than that of an empty one.
    each = _size(Delta(plane, {1 << 52: 1 << 10}, b"")) + 4
    return given.deltas * each + given.bytes


def _asked(plane: str, vector: dict[int, int], wanted: Transfer) -> int:
    """A want, and questions by key."""
    size = _size(Want(plane, vector)) if wanted.deltas else 0
    return size + (_size(WantSegments(plane, (_KEY,) * min(wanted.by_key, KEYS_PER_MESSAGE))) if wanted.by_key else 0)


def _summary_size(plane: str, vector: dict[int, int]) -> int:
    return _size(Summary((PlaneSummary(plane, _DIGEST, _DIGEST, vector, _DIGEST),)))


def _size(message: Message) -> int:
    return len(encode_frame(encode_message(message), compress=compressible(message)))
