"""An HTTP port for Prometheus: `GET /metrics` on loopback, and nothing else.

HTTP is h11's business (https://h11.readthedocs.io), a state machine without I/O; here are the sockets. One request a
connection, after which it is closed: a scrape every few seconds needs no more, and there is no state to keep. A request
has a limited size and time, as has its answer, and only so many are served at once: whoever connects and says nothing
holds up nobody.

Nothing authenticates who asks, so the port is on loopback only, and a request must be addressed to loopback by name:
a web page that a browser on this machine shows cannot read it under a name of its own (DNS rebinding).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

import h11
import trio

from crdtgraph.errors import LocalError
from sync.log import Log, default_log

HOST = "127.0.0.1"
PATH = "/metrics"
TEXT = "text/plain; charset=utf-8"
REQUEST_BYTES_MAX = 8 << 10
"""Of a request's head; what Prometheus sends has some 200. A body is not read."""
REQUEST_S = 5.0
"""From connecting to the last byte of the head."""
ANSWER_S = 10.0
"""For the answer, which has some 30 kB, to be taken."""
CLIENTS_MAX = 16
BACKLOG = 16
READ_BYTES = 4 << 10
HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
ALLOW = [("Allow", "GET")]
BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError)

Exposition = Callable[[], tuple[str, bytes]]
"""Gives what is served: its content type and the text."""


@asynccontextmanager
async def listen(port: int) -> AsyncIterator[trio.SocketListener]:
    """A socket on loopback, closed when the block ends; port 0 takes any.

    Raises:
        LocalError: the port is taken or not ours to take.
    """
    try:
        (listener,) = await trio.open_tcp_listeners(port, host=HOST, backlog=BACKLOG)
    except OSError as error:
        raise LocalError(
            f"cannot serve metrics on {HOST}:{port}: {error.strerror or error}", hint="use another port, or 0 for any"
        ) from error
    async with listener:
        yield listener


def address(listener: trio.SocketListener) -> str:
    """The URL to give to Prometheus."""
    return f"http://{HOST}:{listener.socket.getsockname()[1]}{PATH}"


async def serve(listener: trio.SocketListener, expose: Exposition, log: Log | None = None) -> None:
    """Answer for ever. `expose` is called for every scrape, in this task."""
    log = log if log is not None else default_log()
    free = trio.Semaphore(CLIENTS_MAX)
    async with trio.open_nursery() as nursery:
        while True:
            await free.acquire()
            try:
                stream = await listener.accept()
            except OSError as error:
                free.release()
                log.error("cannot accept a scrape", error=str(error))
                await trio.sleep(1)
                continue
            nursery.start_soon(_serve_one, stream, expose, free, log)


async def _serve_one(stream: trio.SocketStream, expose: Exposition, free: trio.Semaphore, log: Log) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=REQUEST_BYTES_MAX)
    try:
        with suppress(*BROKEN):
            async with stream:
                answer = await _answer(stream, connection, expose, log)
                if answer is not None:
                    with trio.move_on_after(ANSWER_S):
                        await stream.send_all(answer)
                        await stream.send_eof()
                        # A socket closed with unread bytes resets the connection, and the answer may be lost.
                        while await stream.receive_some(READ_BYTES):
                            pass
    finally:
        free.release()


async def _answer(stream: trio.SocketStream, connection: h11.Connection, expose: Exposition, log: Log) -> bytes | None:
    """The bytes of the answer to what comes; None if nothing does."""
    request = None
    with trio.move_on_after(REQUEST_S) as waiting:
        try:
            request = await _read(stream, connection)
        except h11.RemoteProtocolError as error:
            return _response(connection, error.error_status_hint, TEXT, f"{error}\n".encode())
    if waiting.cancelled_caught:
        return _response(connection, 408, TEXT, b"no request came in time\n")
    if request is None:
        return None
    if request.method == b"HEAD":
        # Its answer has no body, and whoever wants to see whether we are there can read the metrics.
        return _response(connection, 405, TEXT, b"", ALLOW)
    headers = dict(request.headers)
    host = headers.get(b"host", b"").decode("ascii", "replace").lower()
    if host.rpartition(":")[0] not in HOSTS and host not in HOSTS:
        return _response(connection, 421, TEXT, f"this is {HOST}, not {host}\n".encode())
    if request.target.split(b"?")[0] != PATH.encode():
        return _response(connection, 404, TEXT, f"there is only {PATH}\n".encode())
    if request.method != b"GET":
        return _response(connection, 405, TEXT, b"metrics can only be read\n", ALLOW)
    try:
        content_type, text = expose()
    except Exception as error:
        log.error("a scrape failed in an unforeseen way", exc_info=error)
        return _response(connection, 500, TEXT, b"the node's log says why\n")
    return _response(connection, 200, content_type, text)


async def _read(stream: trio.SocketStream, connection: h11.Connection) -> h11.Request | None:
    """The head of a request; None if the other side is gone."""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(READ_BYTES))
        elif isinstance(event, h11.Request):
            return event
        else:
            return None


def _response(
    connection: h11.Connection, status: int, content_type: str, body: bytes, more: list[tuple[str, str]] | None = None
) -> bytes | None:
    if connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
        return None
    headers = [("Content-Type", content_type), ("Content-Length", str(len(body))), ("Connection", "close")]
    reason = HTTPStatus(status).phrase.encode()
    head = connection.send(h11.Response(status_code=status, reason=reason, headers=[*headers, *(more or [])]))
    return head + connection.send(h11.Data(data=body)) + connection.send(h11.EndOfMessage())
