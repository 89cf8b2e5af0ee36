"""Messages of peers to bytes and back.

A message is one msgpack array `[type, field, ...]` with exactly the fields listed in docs/protocol.md. State
vectors are flat arrays [writer, clock, writer, clock, ...] in ascending order of writers, and tables are
sorted, so that equal messages are equal bytes. What is read is checked field by field and turned into frozen
dataclasses; whatever the bytes are, only `RemoteMessageError` comes out of `decode_message`.
"""

from __future__ import annotations

from collections.abc import Callable

from crdtgraph.ids import REPLICA_ID_BYTES
from crdtgraph.objects import BLOCK_BYTES_MAX
from sync.protocol.limits import (
    CARDS_PER_MESSAGE,
    EPHEMERAL_BYTES_MAX,
    FRAME_BYTES_MAX,
    KEYS_PER_MESSAGE,
    PEERS_MAX,
    PLANES_MAX,
    PROTOCOL_VERSION,
    SEGMENT_BYTES_MAX,
    WANT_OBJECT_HASHES_MAX,
)
from sync.protocol.messages import (
    DIGEST_BYTES,
    NONCE_BYTES,
    Cards,
    Census,
    Delta,
    Ephemeral,
    Error,
    Forget,
    Goodbye,
    HaveObject,
    Hello,
    Keys,
    Message,
    Object,
    PeerAddress,
    Peers,
    Ping,
    PlaneSummary,
    Pong,
    Segments,
    Summary,
    Want,
    WantObject,
    WantSegments,
)
from sync.protocol.packing import RemoteMessageError, pack, unpack

from . import cardfields, fields

HELLO = 1
NUMBER_MAX = 1 << 63


def encode_message(message: Message) -> bytes:
    """The canonical payload of a message. Cost: O(size)."""
    return pack(_ENCODERS[type(message)](message))


def decode_message(payload: bytes) -> Message:
    """Read a payload; raises RemoteMessageError for anything but a valid message."""
    row = unpack(payload)
    if type(row) is not list or not row:
        raise RemoteMessageError("a frame holds no message: not an array that starts with a type")
    kind, *rest = row
    known = _DECODERS.get(kind) if type(kind) is int else None
    if known is None:
        raise RemoteMessageError(f"a message has the unknown type {fields.shown(kind)}")
    name, count, decode = known
    if kind == HELLO and rest and type(rest[0]) is int and rest[0] != PROTOCOL_VERSION:
        # A later version may say more in its hello. Its number is all that matters, and the session refuses
        # it.
        rest = [max(0, rest[0]) % NUMBER_MAX, "", bytes(REPLICA_ID_BYTES), bytes(NONCE_BYTES), [], ""]
    if len(rest) != count:
        raise RemoteMessageError(f"a {name} has {len(rest)} fields instead of {count}")
    try:
        return decode(rest)
    except fields.FieldError as error:
        raise RemoteMessageError(f"a {name} is malformed: {error}") from None


def compressible(message: Message) -> bool:
    """Whether zstd may help: deltas and segments are compressed already."""
    return type(message) is not Delta and type(message) is not Segments


# --- encoding -----------------------------------------------------------------------------------------------


def _encode_hello(hello: Hello) -> list[object]:
    return [HELLO, hello.protocol, hello.cluster, hello.replica, hello.nonce, hello.addresses, hello.name]


def _encode_summary(summary: Summary) -> list[object]:
    planes = [
        [each.plane, each.projection_digest, each.set_digest, fields.flat(each.state_vector), each.settled_with]
        for each in summary.planes
    ]
    return [2, planes, summary.ask]


def _encode_peers(peers: Peers) -> list[object]:
    return [9, [[each.replica, each.addresses] for each in peers.peers]]


_ENCODERS: dict[type, Callable[..., list[object]]] = {
    Hello: _encode_hello,
    Summary: _encode_summary,
    Want: lambda want: [3, want.plane, fields.flat(want.state_vector)],
    Delta: lambda delta: [4, delta.plane, fields.flat(delta.base), delta.update, delta.last],
    Keys: lambda keys: [5, keys.plane, {key: keys.hashes[key] for key in sorted(keys.hashes)}],
    WantSegments: lambda want: [6, want.plane, want.keys],
    Segments: lambda segments: [7, segments.plane, segments.segments, segments.last],
    Ephemeral: lambda ephemeral: [8, ephemeral.topic, ephemeral.payload],
    Peers: _encode_peers,
    Ping: lambda ping: [10, ping.number],
    Pong: lambda pong: [11, pong.number],
    Error: lambda error: [12, error.code, error.text],
    Goodbye: lambda goodbye: [13, goodbye.reason],
    Cards: lambda cards: [14, [cardfields.row_of(each) for each in cards.cards]],
    Census: lambda census: [15, census.nonce, census.number],
    Forget: lambda forget: [16, forget.replica, forget.number],
    WantObject: lambda want: [17, want.hashes],
    Object: lambda block: [18, block.hash, block.data],
    HaveObject: lambda have: [19, have.hashes],
}

# --- decoding -----------------------------------------------------------------------------------------------


def _decode_hello(row: list[object]) -> Hello:
    protocol, cluster, replica, nonce, addresses, name = row
    return Hello(
        protocol=fields.number(protocol, NUMBER_MAX),
        cluster=fields.text(cluster),
        replica=fields.replica_of(replica),
        nonce=fields.exactly(nonce, (NONCE_BYTES,)),
        addresses=fields.addresses_of(addresses),
        name=fields.text(name),
    )


def _decode_plane_summary(value: object) -> PlaneSummary:
    plane, projection_digest, set_digest, state_vector, settled_with = fields.tuple_of(value, 5)
    return PlaneSummary(
        plane=fields.plane_name(plane),
        projection_digest=fields.exactly(projection_digest, (0, DIGEST_BYTES)),
        set_digest=fields.exactly(set_digest, (DIGEST_BYTES,)),
        state_vector=fields.state_vector(state_vector),
        settled_with=fields.exactly(settled_with, (0, DIGEST_BYTES)),
    )


def _decode_summary(row: list[object]) -> Summary:
    planes = tuple(_decode_plane_summary(each) for each in fields.list_of(row[0], PLANES_MAX))
    if len({each.plane for each in planes}) < len(planes):
        raise fields.FieldError("a plane is there twice")
    return Summary(planes, fields.of(bool, row[1]))


def _decode_delta(row: list[object]) -> Delta:
    plane, base, update, last = row
    return Delta(
        fields.plane_name(plane),
        fields.state_vector(base),
        fields.blob(update, FRAME_BYTES_MAX),
        fields.of(bool, last),
    )


def _decode_want_segments(row: list[object]) -> WantSegments:
    keys = tuple(fields.text(each, fields.KEY_BYTES_MAX) for each in fields.list_of(row[1], KEYS_PER_MESSAGE))
    return WantSegments(fields.plane_name(row[0]), keys)


def _decode_segments(row: list[object]) -> Segments:
    segments = tuple(fields.blob(each, SEGMENT_BYTES_MAX) for each in fields.list_of(row[1], KEYS_PER_MESSAGE))
    return Segments(fields.plane_name(row[0]), segments, fields.of(bool, row[2]))


def _decode_object(row: list[object]) -> Object:
    name, data = row
    block = None if data is None else fields.blob(data, BLOCK_BYTES_MAX)
    return Object(fields.exactly(name, (DIGEST_BYTES,)), block)


def _object_hashes(value: object) -> tuple[bytes, ...]:
    return tuple(fields.exactly(each, (DIGEST_BYTES,)) for each in fields.list_of(value, WANT_OBJECT_HASHES_MAX))


def _decode_peer_address(value: object) -> PeerAddress:
    replica, addresses = fields.tuple_of(value, 2)
    return PeerAddress(fields.replica_of(replica), fields.addresses_of(addresses))


_DECODERS: dict[int, tuple[str, int, Callable[[list[object]], Message]]] = {
    HELLO: ("hello", 6, _decode_hello),
    2: ("summary", 2, _decode_summary),
    3: ("want", 2, lambda row: Want(fields.plane_name(row[0]), fields.state_vector(row[1]))),
    4: ("delta", 4, _decode_delta),
    5: ("keys", 2, lambda row: Keys(fields.plane_name(row[0]), fields.hashes(row[1]))),
    6: ("want_segments", 2, _decode_want_segments),
    7: ("segments", 3, _decode_segments),
    8: ("ephemeral", 2, lambda row: Ephemeral(fields.text(row[0]), fields.blob(row[1], EPHEMERAL_BYTES_MAX))),
    9: ("peers", 1, lambda row: Peers(tuple(map(_decode_peer_address, fields.list_of(row[0], PEERS_MAX))))),
    10: ("ping", 1, lambda row: Ping(fields.number(row[0], NUMBER_MAX))),
    11: ("pong", 1, lambda row: Pong(fields.number(row[0], NUMBER_MAX))),
    12: ("error", 2, lambda row: Error(fields.text(row[0]), fields.text(row[1]))),
    13: ("goodbye", 1, lambda row: Goodbye(fields.text(row[0]))),
    14: ("cards", 1, lambda row: Cards(tuple(map(cardfields.held_card, fields.list_of(row[0], CARDS_PER_MESSAGE))))),
    15: (
        "census",
        2,
        lambda row: Census(fields.exactly(row[0], (NONCE_BYTES,)), fields.number(row[1], NUMBER_MAX)),
    ),
    16: ("forget", 2, lambda row: Forget(fields.replica_of(row[0]), fields.number(row[1], NUMBER_MAX))),
    17: ("want_object", 1, lambda row: WantObject(_object_hashes(row[0]))),
    18: ("object", 2, _decode_object),
    19: ("have_object", 1, lambda row: HaveObject(_object_hashes(row[0]))),
}
