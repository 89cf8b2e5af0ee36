"""Asking a running node through its control socket, from code without an event loop.

    with BlockingControlClient("node/control") as node:
        node.call("status")
        for commits in node.stream("log", limit=5000): ...

Workers may also name the port that a node has for them (`serve --control-listen`): "tcp:127.0.0.1:7500".

A thin shell around the sans-IO `Conversation`, as is the client for trio (`asyncclient.py`); this one does not import
trio, which takes longer than most answers. An error of the node is raised here as the class that it was there.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from errno import EBADF
from threading import Lock
from types import TracebackType

from crdtgraph.errors import LocalError, UnreachableError
from sync.plain import error_from_plain
from sync.protocol.callcodec import decode_reply, encode_request
from sync.protocol.calls import Plain, Reply, ReplyKind, Request
from sync.protocol.framing import FrameParser, encode_frame, new_compressor
from sync.protocol.limits import FRAME_BYTES_MAX, READ_BYTES

ANSWER_TIMEOUT_S = 60.0
"""Longer than any single part of an answer takes to make."""


TCP_PREFIX = "tcp:"
"""How the address of a port for workers begins; anything else is the path of a Unix socket."""


class Conversation:
    """One request at a time and the answers to it; bytes in, bytes out."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._parser = FrameParser()
        self._compressor = new_compressor()  # Clients may be in several threads.
        self._number = 0

    def ask(self, method: str, params: dict[str, Plain]) -> bytes:
        """The bytes of the next request."""
        self._number += 1
        payload = encode_request(Request(self._number, method, params))
        if len(payload) > FRAME_BYTES_MAX:
            raise LocalError(
                f"{method}: the request has {len(payload)} bytes; {FRAME_BYTES_MAX} fit", hint="ask for less at a time"
            )
        return encode_frame(payload, compressor=self._compressor)

    def receive(self, data: bytes | bytearray) -> None:
        """Bytes that came; raises UnreachableError when the node has closed the connection."""
        if not data:
            raise self.lost("it closed the connection")
        self._parser.feed(data)

    def next_reply(self) -> Reply | None:
        """The next answer to the last request, or None when more bytes are needed. Errors are raised."""
        while (payload := self._parser.next_payload()) is not None:
            reply = decode_reply(payload)
            # Number 0 is about the connection as such; others belong to a stream that was given up.
            if reply.number not in (0, self._number):
                continue
            if reply.kind is ReplyKind.ERROR:
                raise error_from_plain(reply.data)
            return reply
        return None

    def lost(self, reason: str) -> UnreachableError:
        """The node is gone."""
        return UnreachableError(f"the node at {self.path} went away: {reason}", hint="see the node's log")

    def closed(self) -> UnreachableError:
        """The client is."""
        return UnreachableError(
            f"this client of the node at {self.path} is closed, maybe as a request was broken off in its midst",
            hint="make another one",
        )

    def absent(self, error: OSError) -> UnreachableError:
        """There is no node."""
        return UnreachableError(
            f"no node answers at {self.path}: {error.strerror or error}",
            hint=f"start one: crdtgraph serve {_option(self.path)}",
        )


class BlockingControlClient:
    """A client for code without an event loop; a context manager. Calls of several threads take turns.

    Of `stream` this does not hold: from its first part to its last nobody else may use the client.

    Args:
        path: of the control socket, or "tcp:HOST:PORT".
        timeout_s: for one answer, or one part of it.

    Raises:
        UnreachableError: nobody answers there.
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self._conversation = Conversation(os.fspath(path))
        self._turn = Lock()
        port = tcp_port(os.fspath(path))
        self._socket = socket.socket(socket.AF_UNIX) if port is None else socket.socket(_family(port[0]))
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(os.fspath(path) if port is None else port)
            if port is not None:
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            self._socket.close()
            raise self._conversation.absent(error) from None

    def __enter__(self) -> BlockingControlClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def call(self, method: str, **params: Plain) -> Plain:
        """The result of a method; of one that answers in parts, the list of them."""
        parts: list[Plain] = []
        with self._turn:
            for reply in self._replies(method, params):
                if reply.kind is ReplyKind.RESULT:
                    return parts or reply.data
                parts.append(reply.data)
        raise LocalError(f"{method} gave no result")

    def stream(self, method: str, **params: Plain) -> Iterator[Plain]:
        """The parts of a method that answers in parts, as they come; of any other, its result as the only part."""
        parts = 0
        for reply in self._replies(method, params):
            if reply.kind is ReplyKind.PART:
                parts += 1
                yield reply.data
            elif not parts and reply.data is not None:
                yield reply.data

    def _replies(self, method: str, params: dict[str, Plain]) -> Iterator[Reply]:
        conversation = self._conversation
        try:
            request = conversation.ask(method, params)
            try:
                # A node that has hung up already may have said why, and that is still to be read.
                with suppress(BrokenPipeError, ConnectionResetError):
                    self._socket.sendall(request)
            except BaseException:
                # Half of it may be on its way, and what follows would be read as the other half.
                self._socket.close()
                raise
            while True:
                while (reply := conversation.next_reply()) is None:
                    conversation.receive(self._socket.recv(READ_BYTES))
                yield reply
                if reply.kind is ReplyKind.RESULT:
                    return
        except TimeoutError:
            raise conversation.lost(f"no answer to {method!r} in time") from None
        except OSError as error:
            if error.errno == EBADF:
                raise conversation.closed() from None
            raise conversation.lost(error.strerror or str(error)) from None


def tcp_port(address: str) -> tuple[str, int] | None:
    """Host and port of an address "tcp:HOST:PORT"; None for a path, LocalError for a port that is none."""
    if not address.startswith(TCP_PREFIX):
        return None
    host, _, port = address.removeprefix(TCP_PREFIX).rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise LocalError(f"{address!r} is no address of a node", hint="write tcp:HOST:PORT, as in tcp:127.0.0.1:7500")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _option(path: str) -> str:
    return f"--control-listen {path.removeprefix(TCP_PREFIX)}" if path.startswith(TCP_PREFIX) else f"--control {path}"
