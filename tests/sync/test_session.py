"""One connection's protocol: the order of messages, greetings that do not fit, silence."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.errors import LocalError, RemoteError
from crdtgraph.ids import ReplicaId
from sync.protocol.codec import encode_message
from sync.protocol.framing import RemoteFrameError, encode_frame
from sync.protocol.limits import LINK_BYTES_PER_S_MIN, PROTOCOL_VERSION, Settings
from sync.protocol.messages import (
    Delta,
    Ephemeral,
    Error,
    ErrorCode,
    Goodbye,
    HaveObject,
    Hello,
    Keys,
    Message,
    Object,
    Peers,
    Ping,
    Pong,
    Segments,
    Summary,
    Want,
    WantObject,
    WantSegments,
)
from sync.protocol.packing import RemoteMessageError
from sync.protocol.session import (
    RemoteClosedError,
    RemoteProtocolError,
    RemoteTimeoutError,
    Session,
    code_of,
)
from sync.protocol.state import ON_RECEIVE, ON_SEND, State

A = Hello(PROTOCOL_VERSION, "test", ReplicaId(b"A" * 16), b"a" * 16)
B = Hello(PROTOCOL_VERSION, "test", ReplicaId(b"B" * 16), b"b" * 16)
SETTINGS = Settings()
EVERY_MESSAGE: list[Message] = [
    A,
    Summary(()),
    Want("p", {}),
    Delta("p", {}, b"u"),
    Keys("p", {}),
    WantSegments("p", ()),
    Segments("p", ()),
    Ephemeral("t", b""),
    Peers(()),
    WantObject(()),
    Object(bytes(32), None),
    HaveObject(()),
    Ping(1),
    Pong(1),
    Error("other", "text"),
    Goodbye("bye"),
]


def frame(message: Message) -> bytes:
    return encode_frame(encode_message(message))


def greeting(hello: Hello = A) -> Session:
    session = Session(hello, SETTINGS, 0.0)
    session.start()
    return session


def opened(theirs: Hello = B) -> Session:
    session = greeting()
    session.receive_data(frame(theirs), 0.0)
    assert session.next_message(0.0) == theirs
    return session


def test_two_sessions_greet_and_talk() -> None:
    a, b = Session(A, SETTINGS, 0), Session(B, SETTINGS, 0)
    to_b, to_a = a.start(), b.start()
    a.receive_data(to_a, 0.1)
    b.receive_data(to_b, 0.1)
    assert a.next_message(0.1) == B
    assert b.next_message(0.1) == A
    assert a.peer == B
    want = Want("ledger", {1: 2})
    b.receive_data(a.send(want), 0.2)
    assert b.next_message(0.2) == want
    assert b.next_message(0.2) is None


def test_a_round_trip_is_measured_at_the_start() -> None:
    a, b = greeting(A), greeting(B)
    a.receive_data(frame(B), 1.0)
    b.receive_data(frame(A), 1.0)
    a.next_message(1.0)
    b.next_message(1.0)
    b.receive_data(a.take_output(), 1.2)
    assert b.next_message(1.2) is None
    a.receive_data(b.take_output(), 1.5)
    assert a.next_message(1.5) is None
    assert a.rtt_s == pytest.approx(0.5)


def test_every_message_in_every_state() -> None:
    """The table is the rule: what it lists is accepted, all else is an error of code `order`."""
    for state in (State.GREETING, State.OPEN):
        for message in EVERY_MESSAGE:
            session = greeting() if state is State.GREETING else opened()
            session.receive_data(frame(B if isinstance(message, Hello) else message), 0.0)
            if type(message) in ON_RECEIVE[state]:
                try:
                    session.next_message(0.0)
                except RemoteClosedError:
                    assert isinstance(message, Error | Goodbye)
                assert session.state is ON_RECEIVE[state][type(message)]
            else:
                with pytest.raises(RemoteProtocolError) as caught:
                    session.next_message(0.0)
                assert caught.value.code is ErrorCode.ORDER


def test_every_message_that_we_may_not_send() -> None:
    for state in State:
        for message in EVERY_MESSAGE:
            session = Session(A, SETTINGS, 0.0)
            session.state = state
            if type(message) in ON_SEND[state]:
                assert session.send(message)
                assert session.state is ON_SEND[state][type(message)]
            else:
                with pytest.raises(LocalError, match="cannot be sent"):
                    session.send(message)


def test_a_second_hello() -> None:
    session = opened()
    session.receive_data(frame(B), 0.0)
    with pytest.raises(RemoteProtocolError, match="hello came in state OPEN"):
        session.next_message(0.0)


@pytest.mark.parametrize(
    "hello, code, text",
    [
        (replace(B, protocol=1), ErrorCode.PROTOCOL_VERSION, "protocol version 1 is not 2"),
        (replace(B, cluster="other"), ErrorCode.CLUSTER, "cluster 'other' is not 'test'"),
        (replace(B, nonce=A.nonce), ErrorCode.SELF, "connected to itself"),
        (replace(B, replica=A.replica), ErrorCode.SELF, "two nodes are the same replica"),
    ],
)
def test_a_peer_of_another_cluster_or_protocol_version_or_ourselves(hello: Hello, code: ErrorCode, text: str) -> None:
    session = greeting()
    session.receive_data(frame(hello), 0.0)
    with pytest.raises(RemoteProtocolError, match=text) as caught:
        session.next_message(0.0)
    assert caught.value.code is code
    assert caught.value.hint
    last_words = session.fail(caught.value)
    # The other side reads why, and that it was told on purpose.
    other = greeting(B)
    other.receive_data(last_words, 0.0)
    with pytest.raises(RemoteClosedError, match=text) as refused:
        other.next_message(0.0)
    assert refused.value.code == code
    assert session.fail(caught.value) == b""


def test_a_peer_that_never_says_hello() -> None:
    session = greeting()
    assert session.deadline == SETTINGS.handshake_timeout_s
    session.tick(SETTINGS.handshake_timeout_s - 0.1)
    session.receive_data(b"\0", 9.9)
    assert session.deadline == SETTINGS.handshake_timeout_s
    with pytest.raises(RemoteTimeoutError, match="no hello within 10 s"):
        session.tick(SETTINGS.handshake_timeout_s)


def silent_from(session: Session, now: float) -> float:
    """Let time pass until the session gives up; returns when."""
    while True:
        now = max(now, session.deadline)
        session.take_output()
        try:
            session.tick(now)
        except RemoteTimeoutError:
            return now


def test_a_peer_that_goes_silent_is_asked_and_dropped() -> None:
    session = opened()
    session.take_output()
    session.receive_data(frame(Pong(1)), 0.5)
    assert session.next_message(0.5) is None
    session.tick(session.deadline)
    assert session.take_output() == frame(Ping(2))
    assert silent_from(session, 10.5) == 30.5


def test_a_peer_that_stops_in_mid_frame_is_dropped() -> None:
    session = opened()
    session.receive_data(frame(Want("p", {}))[:-1], 1.0)
    assert session.next_message(1.0) is None
    assert silent_from(session, 1.0) == pytest.approx(31.0)


def test_a_peer_that_drips_bytes_in_mid_frame_is_dropped() -> None:
    session = opened()
    for now, byte in enumerate(frame(Delta("p", {}, bytes(1000)))[:60], 1):
        session.receive_data(bytes([byte]), now)
        assert session.next_message(now) is None
        session.take_output()
        session.tick(now)
    # Each byte that came gave it what it takes at the rate of the slowest link.
    session.tick(61)
    with pytest.raises(RemoteTimeoutError, match="a frame did not end within 60 s; 60 bytes of it came"):
        session.tick(61.25)


@pytest.mark.parametrize("rate, ends_s", [(LINK_BYTES_PER_S_MIN - 56, 279), (LINK_BYTES_PER_S_MIN, None)])
def test_a_frame_may_last_as_long_as_it_comes_at_the_rate_of_the_slowest_link(rate: int, ends_s: int | None) -> None:
    session = opened()
    data = frame(Delta("p", {}, random.Random(1).randbytes(200_000)))
    ended_s = None
    for now, start in enumerate(range(0, len(data), rate), 1):
        session.receive_data(data[start : start + rate], now)
        message = session.next_message(now)
        session.take_output()
        try:
            session.tick(now)
        except RemoteTimeoutError:
            ended_s = now
            break
    assert ended_s == ends_s
    assert isinstance(message, Delta) is (ends_s is None)


def test_a_process_that_was_suspended_does_not_blame_its_peers() -> None:
    session = opened()
    session.take_output()
    session.receive_data(frame(Pong(1)), 1.0)
    session.next_message(1.0)
    session.tick(4000.0)
    assert session.take_output() == frame(Ping(2))
    session.receive_data(frame(Pong(2)), 4001.0)
    session.next_message(4001.0)
    session.tick(4002.0)
    assert session.rtt_s == 1.0


def test_any_byte_shows_life_while_the_pong_is_behind_a_large_delta() -> None:
    session = opened()
    session.receive_data(frame(Pong(1)), 0.5)
    session.next_message(0.5)
    session.tick(session.deadline)
    now = 11.0
    delta = frame(Delta("p", {}, bytes(100_000)))
    for start in range(0, len(delta) - 1, 30_000):
        session.receive_data(delta[start : start + 30_000], now)
        session.next_message(now)
        now += 9
        session.tick(now)


def test_a_sign_of_life_is_given_by_whoever_only_listens() -> None:
    """The peer cannot ask for one: its question would be stuck behind the large message that it sends us."""
    session = opened()
    session.note_sent(0.5)
    data = frame(Delta("p", {}, random.Random(1).randbytes(100_000)))
    said_at = []
    for now in range(1, 60):
        session.receive_data(data[now * 1000 - 1000 : now * 1000], now)
        session.next_message(now)
        if now >= session.deadline:
            session.tick(now)
        if session.take_output():
            session.note_sent(now)
            said_at.append(now)
    assert said_at == [1, 11, 21, 31, 41, 51]


def test_one_pong_and_one_ping_are_all_that_waits_for_a_writer_that_is_stuck() -> None:
    session = opened()
    for number in range(1000):
        session.receive_data(frame(Ping(number)), number)
        session.next_message(number)
        session.tick(number)
    output = session.take_output()
    assert output == frame(Pong(999)) + frame(Ping(1))
    assert not session.has_output
    assert session.take_output() == b""


def test_a_peer_is_asked_also_while_an_earlier_ping_could_not_be_written() -> None:
    session = opened()
    session.receive_data(frame(Want("p", {}))[:-1], 1.0)
    session.next_message(1.0)
    session.tick(session.deadline)
    assert session.deadline == 31.0
    with pytest.raises(RemoteTimeoutError, match="silent for 30"):
        session.tick(31.0)


def test_a_stream_that_ends_in_mid_frame_and_between_frames() -> None:
    session = opened()
    session.receive_data(frame(Want("p", {}))[:-2], 0.0)
    session.next_message(0.0)
    with pytest.raises(RemoteFrameError, match="2 bytes are missing"):
        session.receive_data(b"", 0.0)
    with pytest.raises(RemoteClosedError, match="closed the connection"):
        opened().receive_data(b"", 0.0)


def test_a_goodbye_ends_it_without_an_answer() -> None:
    session = opened()
    session.receive_data(frame(Goodbye("stopping")), 0.0)
    with pytest.raises(RemoteClosedError, match="stopping") as caught:
        session.next_message(0.0)
    assert session.fail(caught.value) == b""
    session.receive_data(b"", 0.0)
    assert session.farewell(Goodbye("too")) == b""


def test_error_codes() -> None:
    assert code_of(RemoteFrameError("x")) is ErrorCode.FRAME
    assert code_of(RemoteMessageError("x")) is ErrorCode.MESSAGE
    assert code_of(RemoteTimeoutError("x")) is ErrorCode.TIMEOUT
    assert code_of(RemoteError("bad segment")) is ErrorCode.CONTENT


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=5), st.booleans())
def test_bytes_from_a_peer_raise_nothing_but_remote_errors(payloads: list[bytes], framed: bool) -> None:
    session = opened()
    try:
        for payload in payloads:
            session.receive_data(encode_frame(payload) if framed else payload, 0.0)
            while session.next_message(0.0) is not None:
                pass
        session.receive_data(b"", 0.0)
    except RemoteError as error:
        session.fail(error)
        assert session.state is State.CLOSED
