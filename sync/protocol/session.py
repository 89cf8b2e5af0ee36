"""One connection's protocol without its input and output: bytes and `now` in, messages and bytes out.

    session = Session(my_hello, settings, now)
    send(session.start())
    session.receive_data(data, now)
    while (message := session.next_message(now)) is not None: ...    # hello first, then about graph and members
    send(session.take_output())                                      # pongs
    session.tick(now)                                                # when session.deadline has come

The session answers pings, measures the round trip, keeps the order of messages (`state.py`), checks that the
peer's hello fits ours, and tells when a peer has been silent for too long. Everything a peer can do wrong
raises a `RemoteError`; `code_of` says which error code to send before closing. It never reads a clock: `now`
is an argument in seconds, and only differences of it matter.

Modelled on h11's `Connection` (https://h11.readthedocs.io/en/latest/api.html).
"""

from __future__ import annotations

import math

from crdtgraph.errors import LocalError, RemoteError
from sync.protocol.codec import compressible, decode_message, encode_message
from sync.protocol.framing import FrameParser, RemoteFrameError, encode_frame
from sync.protocol.limits import LINK_BYTES_PER_S_MIN, TEXT_BYTES_MAX, Settings
from sync.protocol.messages import Error, ErrorCode, Goodbye, Hello, Message, NodeMessage, Ping, Pong
from sync.protocol.packing import RemoteMessageError
from sync.protocol.state import ON_RECEIVE, ON_SEND, State


class RemoteProtocolError(RemoteError):
    """A well-formed message that cannot be accepted: in the wrong order, or a hello that does not fit."""

    def __init__(self, message: str, code: ErrorCode, hint: str = "") -> None:
        super().__init__(message, hint)
        self.args = (message, code, hint)
        self.code = code


class RemoteTimeoutError(RemoteError):
    """A peer was silent for too long, or took too long over its hello or over one frame."""


class RemoteClosedError(RemoteError):
    """The peer ended the connection: because of an error that it found in us (`code`), or with a goodbye."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.args = (message, code)
        self.code = code


def code_of(error: RemoteError) -> ErrorCode:
    """The error code under which a peer is told about its mistake."""
    if isinstance(error, RemoteProtocolError):
        return error.code
    if isinstance(error, RemoteFrameError):
        return ErrorCode.FRAME
    if isinstance(error, RemoteMessageError):
        return ErrorCode.MESSAGE
    return ErrorCode.TIMEOUT if isinstance(error, RemoteTimeoutError) else ErrorCode.CONTENT


class Session:
    """The state of one connection.

    Args:
        hello: what we say of ourselves.
        settings: the times after which a silent peer is asked, and dropped.
        now: the current time in seconds, from any origin.
    """

    def __init__(self, hello: Hello, settings: Settings, now: float) -> None:
        self.hello = hello
        self.peer: Hello | None = None
        self.state = State.NEW
        self.rtt_s: float | None = None
        """The last measured round trip, in seconds."""
        self._settings = settings
        self._parser = FrameParser()
        self._handshake_deadline = now + settings.handshake_timeout_s
        self.heard_at = self._said_at = now
        """When the peer was last heard of."""
        self._asked_at = -math.inf
        self._frame_began_at: float | None = None
        self._ping: tuple[int, float] | None = None
        self._pings = 0
        self._ping_due = False
        self._pong_due: int | None = None

    def start(self) -> bytes:
        """Our hello, to be sent before anything else."""
        return self.send(self.hello)

    def send(self, message: Message) -> bytes:
        """The bytes of a message that we say.

        Raises:
            LocalError: it may not be said in this state; a mistake of the caller.
        """
        following = ON_SEND[self.state].get(type(message))
        if following is None:
            raise LocalError(f"a {type(message).__name__.lower()} cannot be sent in state {self.state.name}")
        self.state = following
        return encode_frame(encode_message(message), compress=compressible(message))

    def farewell(self, message: Error | Goodbye) -> bytes:
        """Like `send` for last words, but empty where nothing may be said any more."""
        if type(message) not in ON_SEND[self.state]:
            return b""
        return self.send(message)

    def fail(self, error: RemoteError) -> bytes:
        """The last words to a peer that made a mistake; the session is closed then."""
        if isinstance(error, RemoteClosedError):
            self.state = State.CLOSED
            return b""
        return self.farewell(Error(code_of(error), f"{error.message[: TEXT_BYTES_MAX // 4]}"))

    def receive_data(self, data: bytes | bytearray, now: float) -> None:
        """Take bytes from the peer. Empty data means that the stream has ended.

        Raises:
            RemoteFrameError: it ended in the middle of a frame.
            RemoteClosedError: it ended between frames without a goodbye.
        """
        if not data:
            self._parser.feed_eof()
            if self.state is not State.CLOSED:
                raise RemoteClosedError("the peer closed the connection")
            return
        self.heard_at = now
        self._parser.feed(data)

    def next_message(self, now: float) -> Hello | NodeMessage | None:
        """The next message for the layer above, or None when more bytes are needed.

        The first is the peer's hello. Pings and pongs are dealt with here.

        Raises:
            RemoteFrameError, RemoteMessageError, RemoteProtocolError: the peer made a mistake.
            RemoteClosedError: it said goodbye, or that we made one.
        """
        while (payload := self._parser.next_payload()) is not None:
            self._frame_began_at = None
            message = decode_message(payload)
            following = ON_RECEIVE[self.state].get(type(message))
            if following is None:
                raise RemoteProtocolError(
                    f"a {type(message).__name__.lower()} came in state {self.state.name}", ErrorCode.ORDER
                )
            self.state = following
            match message:
                case Hello():
                    self._check_hello(message)
                    self.peer = message
                    self._ask(now)
                    return message
                case Ping(number):
                    self._pong_due = number
                case Pong(number):
                    self._receive_pong(number, now)
                case Error(code, text):
                    raise RemoteClosedError(f"the peer refused us ({code}): {text}", code)
                case Goodbye(reason):
                    raise RemoteClosedError(f"the peer said goodbye: {reason}")
                case _:
                    return message
        if self._frame_began_at is None and self._parser.in_frame:
            self._frame_began_at = now
        return None

    def take_output(self) -> bytes:
        """What the session itself has to say, empty if nothing: at most a pong to the latest ping, and a ping."""
        output = b""
        if self.state is not State.OPEN:
            return output
        if self._pong_due is not None:
            output += self.send(Pong(self._pong_due))
            self._pong_due = None
        if self._ping_due:
            output += self.send(Ping(self._pings))
            self._ping_due = False
        return output

    def note_sent(self, now: float) -> None:
        """The transport took some of our bytes."""
        self._said_at = now

    @property
    def has_output(self) -> bool:
        """Whether `take_output` would give anything."""
        return self.state is State.OPEN and (self._ping_due or self._pong_due is not None)

    @property
    def deadline(self) -> float:
        """When `tick` has to be called if nothing else happens before."""
        if self.state is State.GREETING:
            return self._handshake_deadline
        return min(self._silence_deadline, self._question_due, self._sign_due, self._frame_deadline)

    def tick(self, now: float) -> None:
        """Time has passed without bytes: may add a ping to the output.

        Raises:
            RemoteTimeoutError: the peer was silent for too long.
        """
        settings = self._settings
        if self.state is State.GREETING and now >= self._handshake_deadline:
            raise RemoteTimeoutError(f"no hello within {settings.handshake_timeout_s:g} s")
        if self.state is not State.OPEN:
            return
        if now >= self._frame_deadline:
            raise RemoteTimeoutError(
                f"a frame did not end within {settings.frame_timeout_s:g} s; {self._parser.received} bytes of it came"
            )
        if now >= self._silence_deadline:
            raise RemoteTimeoutError(f"silent for {now - self.heard_at:.1f} s")
        if now >= self._question_due:
            self._ask(now)
        if now >= self._sign_due:
            self._ping_soon(now)

    @property
    def _frame_deadline(self) -> float:
        """When the frame that has begun has to have ended, unless more of it comes."""
        if self._frame_began_at is None:
            return math.inf
        earned_s = self._parser.received / LINK_BYTES_PER_S_MIN
        return self._frame_began_at + self._settings.frame_timeout_s + earned_s

    @property
    def _is_waiting(self) -> bool:
        """Whether the peer was asked for a sign of life and gave none; any byte is one."""
        return self.heard_at <= self._asked_at

    @property
    def _silence_deadline(self) -> float:
        return self._asked_at + self._settings.pong_timeout_s if self._is_waiting else math.inf

    @property
    def _question_due(self) -> float:
        """When the peer has been silent for long."""
        return math.inf if self._is_waiting else self.heard_at + self._settings.ping_after_s

    @property
    def _sign_due(self) -> float:
        """When we have been silent for long: the peer may be unable to ask, behind all that it sends us."""
        return math.inf if self._ping_due else self._said_at + self._settings.ping_after_s

    def _ask(self, now: float) -> None:
        self._asked_at = now
        self._ping_soon(now)

    def _ping_soon(self, now: float) -> None:
        self._pings += 1
        self._ping = (self._pings, now)
        self._ping_due = True

    def _receive_pong(self, number: int, now: float) -> None:
        if self._ping is None or self._ping[0] != number:
            return
        self.rtt_s = now - self._ping[1]
        self._ping = None

    def _check_hello(self, theirs: Hello) -> None:
        ours = self.hello
        if theirs.protocol != ours.protocol:
            raise RemoteProtocolError(
                f"protocol version {theirs.protocol} is not {ours.protocol}",
                ErrorCode.PROTOCOL_VERSION,
                "run the same version of crdtgraph on both nodes",
            )
        if theirs.cluster != ours.cluster:
            raise RemoteProtocolError(
                f"cluster {theirs.cluster[:80]!r} is not {ours.cluster[:80]!r}",
                ErrorCode.CLUSTER,
                "connect only nodes of one cluster",
            )
        if theirs.nonce == ours.nonce:
            raise RemoteProtocolError(
                "the node was connected to itself",
                ErrorCode.SELF,
                "remove its own address from the list of peers",
            )
        if theirs.replica == ours.replica:
            raise RemoteProtocolError(
                f"two nodes are the same replica {ours.replica.hex()}",
                ErrorCode.SELF,
                "a copied store needs a key of its own",
            )
