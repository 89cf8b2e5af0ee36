"""The control socket: a Unix socket through which the commands of this machine's user steer a running node.

The framing is that of peers, the messages are requests and answers (`methods/`). The socket is readable and
writable by its owner alone, and that is all the authentication there is. Clients are served concurrently, each one
request at a time; a long answer goes out part by part with everyone else served in between, and a client that does
not read waits alone. What is being answered when the process ends is still answered, if that takes no second.

A socket file that a dead process left behind is replaced, a live one is respected, and anything else at its path is
left alone.

Workers may come by TCP as well, on loopback (`open_workers_port`). Whoever is on this machine can connect there, and so
it answers the methods that workers need and no others.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import trio

from crdtgraph.errors import CrdtGraphError, LocalError, RemoteError
from sync.callers import Caller
from sync.client.blocking import TCP_PREFIX
from sync.connection import BROKEN
from sync.log import Log, default_log
from sync.methods import Target, methods_for_workers
from sync.metrics import Timed
from sync.plain import error_to_plain
from sync.protocol.callcodec import decode_request, encode_reply
from sync.protocol.calls import Plain, Reply, ReplyKind, Request
from sync.protocol.framing import FrameParser, encode_frame
from sync.protocol.limits import CONTROL_CLIENTS_MAX, CONTROL_IDLE_S, CONTROL_SEND_S, FRAME_BYTES_MAX, READ_BYTES
from sync.requests import start
from sync.transport import Address, AddressLike, TcpTransport, Transport

PATH_BYTES_MAX = 107
"""Of a Unix socket's address (`sun_path` of Linux less its final zero)."""
SOCKET_MODE = 0o600
TIMED = frozenset({Timed.COMMIT.value, Timed.COMMIT_MANY.value})
"""Methods whose durations the node keeps."""
GRACE_S = 1.0
"""How long requests that are being answered may still take at the end, before their clients lose the connection."""
BUSY_HINT = (
    "end those that are not needed (workers, crdtgraph top) and try again; one that asks nothing for "
    f"{CONTROL_IDLE_S / 60:.0f} minutes is closed"
)
PROBE_S = 1.0
"""How long a socket that is there already may take to accept."""


@asynccontextmanager
async def open_control(path: str | os.PathLike[str], target: Target, log: Log | None = None) -> AsyncIterator[None]:
    """Serve requests on a Unix socket at `path` while the block runs; the file is removed at its end.

    `target.stop` is called only after the answer to the request that asked for it is on its way.

    Raises:
        LocalError: the path is too long, taken by a live node or by something that is no socket, or not writable.
    """
    place = Path(path)
    listener = await _bind(place)
    inode = os.stat(place).st_ino
    server = _Server(target, log if log is not None else default_log())
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.accept, listener.accept, nursery)
            try:
                yield
            finally:
                await server.finish()
                nursery.cancel_scope.cancel()
    finally:
        listener.socket.close()
        with suppress(FileNotFoundError):
            # Somebody may have removed it and another node put its own there.
            if os.stat(place).st_ino == inode:
                os.unlink(place)


@asynccontextmanager
async def open_workers_port(
    address: AddressLike, target: Target, log: Log | None = None, *, transport: Transport | None = None
) -> AsyncIterator[str]:
    """Serve workers over TCP while the block runs, on loopback; gives the address for clients, "tcp:HOST:PORT".

    Raises:
        LocalError: the address is outside loopback, or taken.
    """
    listening = await (TcpTransport() if transport is None else transport).listen(Address.of(address))
    server = _Server(target, log if log is not None else default_log(), methods_for_workers())
    try:
        async with trio.open_nursery() as nursery:
            for each in listening:
                nursery.start_soon(server.accept, each.accept, nursery)
            try:
                yield TCP_PREFIX + listening[0].address.text
            finally:
                await server.finish()
                nursery.cancel_scope.cancel()
    finally:
        for each in listening:
            await each.aclose()


class _Server:
    def __init__(self, target: Target, log: Log, methods: frozenset[str] | None = None) -> None:
        self._stopping = False
        self._stop = target.stop
        self._target = replace(target, stop=self._note_stop if target.stop is not None else None)
        self._log = log
        self._methods = methods
        self._clients = 0
        self._answering = 0
        self._finished: trio.Event | None = None

    def _note_stop(self) -> None:
        self._stopping = True

    async def accept(self, accept: Callable[[], Awaitable[trio.abc.Stream]], nursery: trio.Nursery) -> None:
        while True:
            stream = await accept()
            if self._clients >= CONTROL_CLIENTS_MAX:
                busy = LocalError(
                    f"{CONTROL_CLIENTS_MAX} clients are connected already, as many as can be", hint=BUSY_HINT
                )
                nursery.start_soon(self._refuse, stream, busy)
            else:
                self._clients += 1
                nursery.start_soon(self._serve, stream)

    async def finish(self) -> None:
        """Take no more requests, and let those be answered that are under way, but not for long."""
        self._finished = trio.Event()
        if self._answering:
            with trio.move_on_after(GRACE_S):
                await self._finished.wait()

    async def _refuse(self, stream: trio.abc.Stream, error: CrdtGraphError) -> None:
        async with stream:
            with suppress(*BROKEN), trio.move_on_after(CONTROL_SEND_S):
                await _send(stream, Reply(0, ReplyKind.ERROR, error_to_plain(error)))

    async def _serve(self, stream: trio.abc.Stream) -> None:
        parser = FrameParser()
        caller = Caller()
        target = replace(self._target, caller=caller)
        try:
            async with stream:
                with suppress(*BROKEN):
                    while True:
                        with trio.move_on_after(CONTROL_IDLE_S) as waiting:
                            data = await stream.receive_some(READ_BYTES)
                        if waiting.cancelled_caught or not data:
                            return
                        parser.feed(data)
                        while (payload := parser.next_payload()) is not None:
                            request = decode_request(payload)
                            if self._finished is not None:
                                return
                            with self._counted():
                                await self._answer(stream, target, request)
        except RemoteError as error:
            self._log.warning("a control client sent something invalid", error=error.message)
        except trio.TooSlowError:
            self._log.warning("a control client does not read its answer")
        finally:
            self._clients -= 1
            caller.leave()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._answering += 1
        try:
            yield
        finally:
            self._answering -= 1
            if self._finished is not None and not self._answering:
                self._finished.set()

    async def _answer(self, stream: trio.abc.Stream, target: Target, request: Request) -> None:
        number = request.number
        began = trio.current_time()
        try:
            if self._methods is not None and request.method not in self._methods:
                raise LocalError(
                    f"{request.method!r:.60} is not answered over TCP", hint="ask at the control socket: --node PATH"
                )
            answer = start(target, request.method, request.params)
            if isinstance(answer, Generator):
                for part in answer:
                    await _send(stream, Reply(number, ReplyKind.PART, part))
                result: Plain = None
            elif isinstance(answer, Awaitable):
                result = await answer
            else:
                result = answer
            reply = Reply(number, ReplyKind.RESULT, result)
            if request.method in TIMED and self._target.node is not None:
                now = trio.current_time()
                self._target.node.metrics.record(Timed(request.method), now - began, now)
        except CrdtGraphError as error:
            reply = Reply(number, ReplyKind.ERROR, error_to_plain(error))
        except Exception as error:  # noqa: BLE001 - whatever a question brings to light, the node goes on
            self._log.error("a request failed in an unforeseen way", method=request.method, exc_info=error)
            text = f"{request.method} failed in an unforeseen way: {type(error).__name__}: {error}"
            reply = Reply(number, ReplyKind.ERROR, error_to_plain(CrdtGraphError(text, "the node's log has more")))
        await _send(stream, reply)
        if self._stopping and self._stop is not None:
            self._stop()


async def _send(stream: trio.abc.Stream, reply: Reply) -> None:
    payload = encode_reply(reply)
    if len(payload) > FRAME_BYTES_MAX:
        size = len(payload)
        error = LocalError(f"the answer has {size} bytes; {FRAME_BYTES_MAX} fit", hint="ask for less at a time")
        payload = encode_reply(Reply(reply.number, ReplyKind.ERROR, error_to_plain(error)))
    with trio.fail_after(CONTROL_SEND_S):
        await stream.send_all(encode_frame(payload))


async def _bind(path: Path) -> trio.SocketListener:
    size = len(os.fsencode(path))
    if size > PATH_BYTES_MAX:
        raise LocalError(
            f"a Unix socket's path has at most {PATH_BYTES_MAX} bytes, not {size}: {path}",
            hint="choose a shorter path for the control socket, or one relative to the working directory",
        )
    _make_way(path)
    listening = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    # From its first moment on the file is for its owner alone.
    before = os.umask(0o777 & ~SOCKET_MODE)
    try:
        await listening.bind(os.fspath(path))
    except OSError as error:
        listening.close()
        raise LocalError(
            f"cannot make the control socket {path}: {error.strerror or error}",
            hint="name a path in a folder that is there and that you may write to: --control PATH",
        ) from error
    finally:
        os.umask(before)
    listening.listen(CONTROL_CLIENTS_MAX)
    return trio.SocketListener(listening)


def _make_way(path: Path) -> None:
    """Remove a socket that nobody answers on."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise LocalError(f"{path} is there and is no socket", hint="remove it, or choose another path")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError as error:
            raise LocalError(f"cannot tell whether {path} is in use: {error.strerror or error}") from error
    raise LocalError(f"a running node has its control socket at {path}", hint="stop that node, or choose another path")
