"""Member cards: what a node tells all others of itself, in one small record.

Only its owner writes a card, and each has a higher number than the one before, so of two cards of a replica the one
with the higher number is the later one, whatever way they came (an incarnation number as in SWIM, Das et al. 2002).
`membership.py` passes cards on. These are plain values; `cardfields.py` turns them into fields of a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crdtgraph.ids import ReplicaId


@dataclass(frozen=True, slots=True)
class PlaneCard:
    """One plane: what it means, what it consists of, and how far each writer has got.

    `reach` is the number of segments that the state vector covers. `vector` is that state vector, or empty where it is
    too long to be passed around.
    """

    plane: str
    digest: bytes
    set_digest: bytes
    commits: int
    live: int
    pending: int
    heads: int
    segments: int
    holes: int
    reach: int
    vector: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class LinkCard:
    """One connection of the owner, or one configured peer without any.

    `replica` is empty where nobody has answered at `address` yet. `state` and `failure` are those of `PeerStatus`.
    `rtt_us` and `exchanged_ms` (since digests were last compared) are None where there is none yet.
    """

    replica: bytes
    address: str
    state: str
    agrees: bool
    queued_messages: int
    queued_bytes: int
    queue_drops: int
    rtt_us: int | None = None
    exchanged_ms: int | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class AlarmCard:
    """A disagreement that stands."""

    kind: str
    plane: str
    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class TimingCard:
    """How long something took lately: how often it happened, the median, one in a hundred, and the longest."""

    name: str
    count: int
    p50_us: int
    p99_us: int
    longest_us: int


@dataclass(frozen=True, slots=True)
class Card:
    """One replica, as its node saw itself at `issued_us` of its own wall clock.

    `nonce` is that of its hello, fresh at each process start. `leaving` is true of the last card of a node that stops
    on purpose. `store_bytes` is None for a store that is on no disk. A list that would be too long is cut off.
    """

    replica: ReplicaId
    nonce: bytes
    number: int
    name: str
    version: str
    protocol: int
    addresses: tuple[str, ...]
    started_us: int
    issued_us: int
    leaving: bool
    store_bytes: int | None
    refs: int
    conflicted_refs: int
    buffered: int
    alarms_total: int
    planes: tuple[PlaneCard, ...] = ()
    links: tuple[LinkCard, ...] = ()
    blocked: tuple[str, ...] = ()
    alarms: tuple[AlarmCard, ...] = ()
    timings: tuple[TimingCard, ...] = ()
