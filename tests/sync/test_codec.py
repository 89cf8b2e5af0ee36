"""Messages as bytes: there and back, pinned, and whatever else a peer may send."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph.errors import LocalError, RemoteError
from crdtgraph.ids import ReplicaId
from sync.protocol.callcodec import decode_reply, decode_request, encode_reply, encode_request
from sync.protocol.calls import Reply, ReplyKind, Request
from sync.protocol.cards import AlarmCard, Card, LinkCard, PlaneCard, TimingCard
from sync.protocol.codec import (
    compressible,
    decode_message,
    encode_message,
)
from sync.protocol.framing import FrameParser, encode_frame
from sync.protocol.limits import CARD_PLANES_MAX, CARD_WRITERS_MAX, STRUCTURE_BYTES_MAX
from sync.protocol.messages import (
    Cards,
    Census,
    Delta,
    Ephemeral,
    Error,
    Forget,
    Goodbye,
    HaveObject,
    HeldCard,
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
from sync.protocol.packing import RemoteMessageError

GOLDEN = Path(__file__).parent.parent / "golden" / "sync_frames.json"
REPLICA = ReplicaId(bytes(range(16)))
VECTOR = {7: 3, 1 << 52: 1 << 20}

PLANE_CARD = PlaneCard("ledger", b"\x01" * 32, b"\x02" * 32, 5, 4, 1, 2, 3, 0, (1 << 20) + 3, VECTOR)
CARD = Card(
    replica=REPLICA,
    nonce=bytes(range(16, 32)),
    number=1_700_000_000_000_000,
    name="node-a",
    version="0.1.0",
    protocol=2,
    addresses=("127.0.0.1:7000",),
    started_us=1_700_000_000_000_000,
    issued_us=1_700_000_001_000_000,
    leaving=False,
    store_bytes=1 << 20,
    refs=3,
    conflicted_refs=1,
    buffered=2,
    alarms_total=1,
    planes=(PLANE_CARD,),
    links=(
        LinkCard(bytes(range(1, 17)), "127.0.0.1:7001", "open", True, 1, 200, 0, 350, 1_500),
        LinkCard(b"", "127.0.0.1:7002", "waiting", False, 0, 0, 0, failure="connection refused"),
    ),
    blocked=("127.0.0.1:7003",),
    alarms=(AlarmCard("diverged", "ledger", REPLICA),),
    timings=(TimingCard("commit", 100, 150, 900, 1_200),),
)
BARE_CARD = replace(CARD, store_bytes=None, planes=(), links=(), blocked=(), alarms=(), timings=(), leaving=True)

EXAMPLES: dict[str, Message] = {
    "hello": Hello(2, "default", REPLICA, bytes(range(16, 32)), ("127.0.0.1:7000",), "node-a"),
    "summary": Summary((PlaneSummary("ledger", b"\x01" * 32, b"\x02" * 32, VECTOR, b"\x03" * 32),), ask=True),
    "summary of nothing": Summary((PlaneSummary("ledger", b"", bytes(32), {}),)),
    "want": Want("ledger", VECTOR),
    "delta": Delta("ledger", {7: 2}, b"yjs update", last=True),
    "keys": Keys("ledger", {"7-0": bytes(8), "10000000000000-ff": bytes(range(8))}),
    "want_segments": WantSegments("ledger", ("7-0", "7-1")),
    "segments": Segments("ledger", (b"one", b"two")),
    "ephemeral": Ephemeral("presence", b"\x00\xff"),
    "peers": Peers((PeerAddress(REPLICA, ("127.0.0.1:7000", "[::1]:7000")),)),
    "ping": Ping(1),
    "pong": Pong(1),
    "error": Error("cluster", "cluster 'a' is not 'b'"),
    "goodbye": Goodbye("stopping"),
    "cards": Cards((HeldCard(CARD, 0), HeldCard(BARE_CARD, 86_400_000))),
    "census": Census(bytes(range(16)), 7),
    "forget": Forget(REPLICA, 1_700_000_000_000_000),
    "want_object": WantObject((bytes(range(32)), bytes(32))),
    "object": Object(bytes(range(32)), b"a block"),
    "object that is not here": Object(bytes(range(32)), None),
    "have_object": HaveObject((bytes(32),)),
}
every_example = pytest.mark.parametrize("message", EXAMPLES.values(), ids=EXAMPLES.keys())


@every_example
def test_there_and_back(message: Message) -> None:
    assert decode_message(encode_message(message)) == message


def test_golden_vectors_pin_the_wire() -> None:
    frames = {
        name: encode_frame(encode_message(message), compress=compressible(message)).hex()
        for name, message in EXAMPLES.items()
    }
    assert json.loads(GOLDEN.read_text(encoding="ascii")) == frames


def test_golden_vectors_are_read() -> None:
    for name, frame in json.loads(GOLDEN.read_text(encoding="ascii")).items():
        parser = FrameParser()
        parser.feed(bytes.fromhex(frame))
        payload = parser.next_payload()
        assert payload is not None
        assert decode_message(payload) == EXAMPLES[name]


def test_equal_messages_are_equal_bytes_whatever_the_order_of_their_tables() -> None:
    assert encode_message(Want("p", {2: 1, 1: 2})) == encode_message(Want("p", {1: 2, 2: 1}))
    keys = {"b": bytes(8), "a": bytes(8)}
    assert encode_message(Keys("p", keys)) == encode_message(Keys("p", dict(reversed(keys.items()))))


@every_example
def test_truncated_at_every_offset_and_with_trailing_bytes(message: Message) -> None:
    payload = encode_message(message)
    for size in range(len(payload)):
        with pytest.raises(RemoteMessageError):
            decode_message(payload[:size])
    for more in (b"\0", b"\xc0", payload):
        with pytest.raises(RemoteMessageError):
            decode_message(payload + more)


@every_example
def test_a_field_missing_and_a_field_too_many(message: Message) -> None:
    fields = msgpack.unpackb(encode_message(message))
    for wrong in (fields[:-1], [*fields, 0]):
        with pytest.raises(RemoteMessageError):
            decode_message(msgpack.packb(wrong))


@every_example
@pytest.mark.parametrize("wrong", [None, True, -1, 1 << 63, 1.5, "x" * 5000, b"?", [[]], [1], {"a": 1}])
def test_a_field_of_the_wrong_kind(message: Message, wrong: object) -> None:
    fields = msgpack.unpackb(encode_message(message))
    for place in range(1, len(fields)):
        payload = msgpack.packb([*fields[:place], wrong, *fields[place + 1 :]])
        try:
            read = decode_message(payload)
        except RemoteMessageError:
            continue
        # A value that happens to fit (a bool for a bool, bytes for bytes) is written again as it came.
        assert encode_message(read) == payload or isinstance(read, Hello)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        {},
        5,
        None,
        [0],
        [17, 1],
        [True, 1],
        ["hello"],
        [-1],
        [3, "p", [2, 1, 1, 1]],
        [3, "p", [1, 1, 1, 2]],
        [3, "p", [1]],
        [3, "p", [1 << 53, 1]],
        [3, "p", [1, 1 << 32]],
        [3, "p" * 129, []],
        [2, [["p", b"", bytes(31), [], b""]], False],
        [2, [["p", b"", bytes(32), [], b""]] * 2, False],
        [5, "p", {"k": bytes(7)}],
        [5, "p", {"k" * 65: bytes(8)}],
        [10, True],
        [12, "code", "t" * 1025],
        [1, 2, "c", bytes(15), bytes(16), [], ""],
        [1, 2, "c", bytes(16), bytes(16), ["a"] * 17, ""],
        [8, "t", bytes((64 << 10) + 1)],
        [14, [[]]],
        [14, [msgpack.unpackb(encode_message(EXAMPLES["cards"]))[1][0]] * 65],
        [15, bytes(15), 1],
        [16, bytes(17), 1],
    ],
)
def test_out_of_bounds(fields: object) -> None:
    with pytest.raises(RemoteMessageError):
        decode_message(msgpack.packb(fields))


CARD_FIELDS = msgpack.unpackb(encode_message(Cards((HeldCard(CARD, 0),))))[1][0]


@pytest.mark.parametrize("wrong", [None, True, -1, 1 << 63, 1.5, "x" * 257, b"?", [[]], [1], {"a": 1}])
def test_a_field_of_the_wrong_kind_within_a_card(wrong: object) -> None:
    for place, right in enumerate(CARD_FIELDS):
        fields = [*CARD_FIELDS[:place], wrong, *CARD_FIELDS[place + 1 :]]
        payload = msgpack.packb([14, [fields]])
        if type(wrong) is type(right) is bool or (wrong is None and isinstance(right, int) and right == 1 << 20):
            assert encode_message(decode_message(payload)) == payload
        else:
            with pytest.raises(RemoteMessageError):
                decode_message(payload)


@pytest.mark.parametrize(
    "card",
    [
        replace(CARD, planes=(PLANE_CARD, PLANE_CARD)),
        replace(CARD, planes=tuple(replace(PLANE_CARD, plane=f"p{n}") for n in range(CARD_PLANES_MAX + 1))),
        replace(CARD, planes=(replace(PLANE_CARD, vector=dict.fromkeys(range(CARD_WRITERS_MAX + 1), 1)),)),
        replace(CARD, planes=(replace(PLANE_CARD, digest=b""),)),
        replace(CARD, links=CARD.links * 33),
        replace(CARD, links=(replace(CARD.links[0], replica=b"short"),)),
        replace(CARD, blocked=("127.0.0.1:1",) * 33),
        replace(CARD, alarms=CARD.alarms * 17),
        replace(CARD, timings=CARD.timings * 17),
        replace(CARD, name="n" * 257),
    ],
)
def test_a_card_that_is_too_large_or_contradicts_itself(card: Card) -> None:
    with pytest.raises(RemoteMessageError, match="a cards is malformed"):
        decode_message(encode_message(Cards((HeldCard(card, 0),))))


def test_text_that_is_not_utf8_extension_types_and_map_keys() -> None:
    for payload in (
        b"\x92\x0d\xa1\xff",
        b"\x92\x0d\xd4\x01\x00",
        b"\x92\x0d\x81\x01\x02",
        b"\x92\x0d\xd6\xff" + bytes(4),
    ):
        with pytest.raises(RemoteMessageError):
            decode_message(payload)


def test_deep_nesting() -> None:
    with pytest.raises(RemoteMessageError):
        decode_message(b"\x91" * 100_000 + b"\xc0")


def test_memory_amplification_is_refused_before_it_is_built() -> None:
    # A megabyte of empty lists would take 60 MB; the limit is on what is not a byte string.
    lists = b"\xdd" + (2 << 20).to_bytes(4, "big") + b"\x90" * (2 << 20)
    for head in (b"\x95\x04\xa1p\x90", b"\x93\x07\xa1p"):
        with pytest.raises(RemoteMessageError):
            decode_message(head + lists + b"\xc2")


def test_bulk_does_not_count_as_structure() -> None:
    large = bytes(STRUCTURE_BYTES_MAX * 3)
    for message in (Delta("p", {1: 0}, large), Segments("p", (large[: 4 << 20], b"x"))):
        if isinstance(message, Segments):
            message = Segments("p", (bytes(STRUCTURE_BYTES_MAX), bytes(STRUCTURE_BYTES_MAX)))
        assert decode_message(encode_message(message)) == message
    with pytest.raises(RemoteMessageError, match="beside its bulk"):
        decode_message(msgpack.packb([13, "x" * (STRUCTURE_BYTES_MAX + 1)]))


def test_the_hello_of_another_protocol_version_is_understood_as_that() -> None:
    hello = decode_message(msgpack.packb([1, 3, {"all": "different"}]))
    assert isinstance(hello, Hello)
    assert hello.protocol == 3


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_remote_errors(data: bytes) -> None:
    for decode in (decode_message, decode_request, decode_reply):
        with contextlib.suppress(RemoteError):
            decode(data)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=300)
@given(st.integers(0, 17), st.lists(values, max_size=6))
def test_random_msgpack_raises_nothing_but_remote_errors(kind: int, fields: list[object]) -> None:
    for payload in (msgpack.packb([kind, *fields]), msgpack.packb([kind, "m", dict.fromkeys("ab", fields)])):
        for decode in (decode_message, decode_request, decode_reply):
            with contextlib.suppress(RemoteError):
                decode(payload)


@settings(max_examples=300)
@given(st.sampled_from(list(EXAMPLES.values())), st.data())
def test_mutated_messages_raise_nothing_but_remote_errors(message: Message, data: st.DataObject) -> None:
    payload = bytearray(encode_message(message))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RemoteError):
        decode_message(bytes(payload))


def test_control_messages_there_and_back() -> None:
    request = Request(3, "log", {"limit": 5, "rev": None, "paths": ["a", b"b", 1.5, True, {"x": []}]})
    assert decode_request(encode_request(request)) == request
    for kind in ReplyKind:
        reply = Reply(3, kind, [1, {"a": b"b"}, None])
        assert decode_reply(encode_reply(reply)) == reply


@pytest.mark.parametrize("fields", [[1, "m"], [True, "m", {}], [1, 2, {}], [1, "m", []], ["1", "m", {}], {}, 1])
def test_malformed_control_requests(fields: object) -> None:
    with pytest.raises(RemoteMessageError):
        decode_request(msgpack.packb(fields))


def test_malformed_control_replies_and_deep_parameters() -> None:
    with pytest.raises(RemoteMessageError):
        decode_reply(msgpack.packb([1, "whatever", None]))
    deep: object = []
    for _ in range(40):
        deep = [deep]
    with pytest.raises(RemoteMessageError, match="nested too deep"):
        decode_request(msgpack.packb([1, "m", {"p": deep}]))


@pytest.mark.parametrize("key", [b"p", "p" * 100_000])
def test_a_parameter_without_a_proper_name_is_the_callers_mistake_and_no_bug_of_ours(key: object) -> None:
    with pytest.raises(RemoteMessageError, match="a table with the key"):
        decode_request(msgpack.packb([1, "m", {key: 1}]))


def test_what_msgpack_cannot_carry_is_the_callers_mistake() -> None:
    with pytest.raises(LocalError):
        encode_request(Request(1, "m", {"n": 1 << 80}))
