"""One connection's protocol without its input and output: bytes and `now` in, messages and bytes out.

    session = Session(my_hello, settings, now)
    send(session.start())
    session.receive_data(data, now)
    while (message := session.next_message(now)) is not None: ...    # hello first, then what gossip is about
    send(session.take_output())                                      # pongs
    session.tick(now)                                                # when session.deadline has come

The session answers pings, measures the round trip, keeps the order of messages (`state.py`), checks that the
peer's hello fits ours, and tells when a peer has been silent for too long. Everything a peer can do wrong
raises a `RemoteError`; `code_of` says which error code to send before closing. It never reads a clock: `now`
is an argument in seconds, and only differences of it matter.

Modelled on h11's `Connection` (https://h11.readthedocs.io/en/latest/api.html).
"""

from __future__ import annotations

from crdtgraph.errors import LocalError, RemoteError
from sync.codec import RemoteMessageError, compressible, decode_message, encode_message
from sync.framing import FrameParser, RemoteFrameError, encode_frame
from sync.limits import TEXT_BYTES_MAX, Settings
from sync.messages import Error, ErrorCode, Goodbye, GossipMessage, Hello, Message, Ping, Pong
from sync.state import ON_RECEIVE, ON_SEND, State


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
        self._output: list[bytes] = []
        self._handshake_deadline = now + settings.handshake_timeout_s
        self._heard_at = now
        self._frame_began_at: float | None = None
        self._ping: tuple[int, float] | None = None
        self._pings = 0

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
        self._heard_at = now
        self._parser.feed(data)

    def next_message(self, now: float) -> Hello | GossipMessage | None:
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
                    self._output.append(self.send(Pong(number)))
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
        """What the session itself has to say: pings and pongs; empty if nothing."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    @property
    def has_output(self) -> bool:
        """Whether `take_output` would give anything."""
        return bool(self._output)

    @property
    def deadline(self) -> float:
        """When `tick` has to be called if nothing else happens before."""
        if self.state is State.GREETING:
            return self._handshake_deadline
        settings = self._settings
        # Any byte after the question shows that the peer lives: the answer itself may be queued behind a
        # large delta.
        if self._ping is not None and self._heard_at <= self._ping[1]:
            deadline = self._ping[1] + settings.pong_timeout_s
        else:
            deadline = self._heard_at + settings.ping_after_s
        if self._frame_began_at is not None:
            deadline = min(deadline, self._frame_began_at + settings.frame_timeout_s)
        return deadline

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
        if self._frame_began_at is not None and now >= self._frame_began_at + settings.frame_timeout_s:
            raise RemoteTimeoutError(f"a frame did not end within {settings.frame_timeout_s:g} s")
        if self._ping is not None and self._heard_at <= self._ping[1]:
            if now >= self._ping[1] + settings.pong_timeout_s:
                raise RemoteTimeoutError(f"silent for {now - self._heard_at:.1f} s")
        elif now >= self._heard_at + settings.ping_after_s:
            self._ask(now)

    def _ask(self, now: float) -> None:
        self._pings += 1
        self._ping = (self._pings, now)
        self._output.append(self.send(Ping(self._pings)))

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
