"""What two nodes say to each other: one frozen class for each message.

These are plain values. `codec.py` turns them into bytes and back and checks every field, `state.py` says when
each may be sent, `gossip.py` what it means. A state vector maps a writer (a Yjs client id) to its next clock;
all digests are 32 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from crdtgraph.ids import ReplicaId
from sync.protocol.calls import Plain as Plain
from sync.protocol.cards import Card

StateVector: TypeAlias = Mapping[int, int]
"""writer -> the first clock that is not there yet."""

DIGEST_BYTES = 32
NONCE_BYTES = 16
HASH_BYTES = 8
"""Of a segment's SHA-256, in the comparison of keys: enough to tell two accidental variants apart."""


class ErrorCode(StrEnum):
    """Why a node ends a connection, as a word that programs may compare; unknown ones may come."""

    PROTOCOL_VERSION = "protocol-version"
    CLUSTER = "cluster"
    SELF = "self"
    BLOCKED = "blocked"
    BUSY = "busy"
    FRAME = "frame"
    MESSAGE = "message"
    ORDER = "order"
    TIMEOUT = "timeout"
    CONTENT = "content"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Hello:
    """Who is there; the first message of both sides.

    `nonce` (16 bytes) is fresh at every process start: equal nonces mean that a node dialled itself, and a
    known replica with a new nonce has restarted. `addresses` are those it listens on, `name` is for people.
    """

    protocol: int
    cluster: str
    replica: ReplicaId
    nonce: bytes
    addresses: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class PlaneSummary:
    """One plane's state in three lines: what it means, what it consists of, and how far each writer has got.

    `projection_digest` is empty while records wait for their segment, because then it covers more than the
    segments. `settled_with` is the receiver's set digest as of an exchange in which it gave the sender all it
    had, and empty if there was none; when both sides are settled with each other and still differ, something
    is wrong.
    """

    plane: str
    projection_digest: bytes
    set_digest: bytes
    state_vector: StateVector
    settled_with: bytes = b""


@dataclass(frozen=True, slots=True)
class Summary:
    """All planes of the sender. With `ask` the receiver answers with its own summary (which never asks)."""

    planes: tuple[PlaneSummary, ...]
    ask: bool = False


@dataclass(frozen=True, slots=True)
class Want:
    """Asks for all that a replica with this state vector lacks. One a plane is open on a connection."""

    plane: str
    state_vector: StateVector


@dataclass(frozen=True, slots=True)
class Delta:
    """A Yjs update without gaps, the answer to a want or news that is pushed.

    It may be applied when the clocks of `base` (writer -> first clock in it) are reached. `last` ends the
    answer to a `Want`; a pushed delta never has it.
    """

    plane: str
    base: StateVector
    update: bytes
    last: bool = False


@dataclass(frozen=True, slots=True)
class Keys:
    """Fall-back: segments that the sender has, key -> first 8 bytes of the SHA-256; may come in several."""

    plane: str
    hashes: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class WantSegments:
    """Asks for these segments as they are; what the receiver does not hold, the answer leaves out."""

    plane: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Segments:
    """Segments as they are, each verified by its signature. `last` ends the answer to one `WantSegments`."""

    plane: str
    segments: tuple[bytes, ...]
    last: bool = False


@dataclass(frozen=True, slots=True)
class WantObject:
    """Asks for blocks of objects, by their SHA-256."""

    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Object:
    """One block that was asked for; without data: it is not here."""

    hash: bytes
    data: bytes | None


@dataclass(frozen=True, slots=True)
class HaveObject:
    """Blocks that the receiver asked for in vain are here now."""

    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Ephemeral:
    """Something that matters now and is never stored: presence, simulations in flight."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """A replica and where it listens."""

    replica: ReplicaId
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Peers:
    """Whom the sender is connected to."""

    peers: tuple[PeerAddress, ...]


@dataclass(frozen=True, slots=True)
class HeldCard:
    """A member's card as the sender holds it, and how long ago its owner gave it out."""

    card: Card
    age_ms: int


@dataclass(frozen=True, slots=True)
class Cards:
    """Cards that the receiver may lack."""

    cards: tuple[HeldCard, ...]


@dataclass(frozen=True, slots=True)
class Census:
    """Asks every member for a new card. `nonce` is the asking node's, `number` grows from one census to the next."""

    nonce: bytes
    number: int


@dataclass(frozen=True, slots=True)
class Forget:
    """The operator is done with this member: cards of it up to this number count no longer."""

    replica: ReplicaId
    number: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there? The answer repeats the number."""

    number: int


@dataclass(frozen=True, slots=True)
class Pong:
    """Yes."""

    number: int


@dataclass(frozen=True, slots=True)
class Error:
    """The sender ends the connection because of something the receiver did or is. The last message."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The sender ends the connection and nothing is wrong. The last message."""

    reason: str


GossipMessage: TypeAlias = Summary | Want | Delta | Keys | WantSegments | Segments | Ephemeral | Peers
"""Those about the graph."""
MemberMessage: TypeAlias = Cards | Census | Forget
"""Those about the members of the cluster."""
ObjectMessage: TypeAlias = WantObject | Object | HaveObject
"""Those about large values."""
NodeMessage: TypeAlias = GossipMessage | MemberMessage | ObjectMessage
"""All that a session passes through; the others concern the connection itself."""
Message: TypeAlias = Hello | NodeMessage | Ping | Pong | Error | Goodbye
