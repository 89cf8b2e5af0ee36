"""The HTTP port over real sockets: what is answered, what is refused, and who has to wait for whom."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h11
import pytest
import trio

from crdtgraph import LocalError
from sync import Node, Settings
from sync.prometheus import scraping
from sync.prometheus.exposition import CONTENT_TYPE, exposition
from tests.sync.replicas import grow, replica

TEXT = b"# what is served\n"
GET = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"


@asynccontextmanager
async def served(expose: scraping.Exposition, log: Any = None) -> AsyncIterator[int]:
    async with scraping.listen(0) as listener, trio.open_nursery() as nursery:
        nursery.start_soon(scraping.serve, listener, expose, log)
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with served(lambda: ("text/x", TEXT)) as port:
        yield port


async def ask(port: int, request: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of the answer to these bytes."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(request)
        client = h11.Connection(h11.CLIENT)
        client.send(
            h11.Request(method="HEAD" if request.startswith(b"HEAD ") else "GET", target="/", headers=[("Host", "x")])
        )
        client.send(h11.EndOfMessage())
        body = bytearray()
        while True:
            match event := client.next_event():
                case h11.NEED_DATA:
                    client.receive_data(await stream.receive_some(1 << 20))
                case h11.Response():
                    status, headers = event.status_code, dict(event.headers)
                case h11.Data():
                    body += event.data
                case _:
                    return status, headers, bytes(body)


async def status(port: int, request: bytes) -> int:
    return (await ask(port, request))[0]


async def test_metrics_are_served_and_the_connection_is_closed(port: int) -> None:
    code, headers, body = await ask(port, GET % port)
    assert (code, body) == (200, TEXT)
    assert headers[b"content-type"] == b"text/x"
    assert headers[b"connection"] == b"close"
    assert int(headers[b"content-length"]) == len(TEXT)


@pytest.mark.parametrize(
    "request_line, code",
    [
        (b"GET /metrics?x=1 HTTP/1.1", 200),
        (b"GET /metrics HTTP/1.0", 200),
        (b"GET / HTTP/1.1", 404),
        (b"GET /metrics/ HTTP/1.1", 404),
        (b"GET //metrics HTTP/1.1", 404),
        (b"POST /metrics HTTP/1.1", 405),
        (b"HEAD /metrics HTTP/1.1", 405),
        (b"DELETE /metrics HTTP/1.1", 405),
        (b"nonsense", 400),
        (b"GET /met\xffrics HTTP/1.1", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
async def test_anything_else_is_refused(port: int, request_line: bytes, code: int) -> None:
    found = await status(port, request_line + b"\r\nHost: localhost:%d\r\n\r\n" % port)
    assert found == code
    assert await status(port, GET % port) == 200, "it goes on after that"


async def test_what_may_be_asked_instead_is_said(port: int) -> None:
    _, headers, _ = await ask(port, (GET % port).replace(b"GET", b"PUT"))
    assert headers[b"allow"] == b"GET"


@pytest.mark.parametrize("host", [b"127.0.0.1", b"localhost:1", b"LOCALHOST", b"[::1]:80"])
async def test_loopback_by_any_name_is_meant(port: int, host: bytes) -> None:
    assert await status(port, b"GET /metrics HTTP/1.1\r\nHost: %s\r\n\r\n" % host) == 200


@pytest.mark.parametrize("host", [b"evil.example", b"evil.example:9464", b"127.0.0.1.evil.example", b"[::2]", b""])
async def test_a_web_page_under_another_name_reads_nothing(port: int, host: bytes) -> None:
    code, _, body = await ask(port, b"GET /metrics HTTP/1.1\r\nHost: %s\r\n\r\n" % host)
    assert code == 421
    assert TEXT not in body


async def test_a_request_without_end_is_cut_off(port: int) -> None:
    code, _, _ = await ask(port, b"GET /metrics HTTP/1.1\r\nX: " + b"x" * (2 * scraping.REQUEST_BYTES_MAX))
    assert code == 431


async def test_a_request_byte_by_byte_is_understood(port: int) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        for byte in GET % port:
            await stream.send_all(bytes([byte]))
            await trio.lowlevel.checkpoint()
        answer = b"".join([part async for part in stream])
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(TEXT)


async def test_whoever_goes_away_is_forgotten(port: int) -> None:
    for part in (b"", b"GET /met", GET % port):
        for _ in range(2 * scraping.CLIENTS_MAX):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            if part:
                await stream.send_all(part)
            await stream.aclose()
    assert await status(port, GET % port) == 200


async def test_those_who_say_nothing_hold_up_nobody(port: int) -> None:
    silent = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(scraping.CLIENTS_MAX - 1)]
    try:
        with trio.fail_after(30):
            assert await status(port, GET % port) == 200
    finally:
        for stream in silent:
            await stream.aclose()


async def test_those_who_say_nothing_are_told_so_and_closed_in_the_end(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scraping, "REQUEST_S", 0.01)
    silent = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(2 * scraping.CLIENTS_MAX)]
    for stream in silent:
        assert b" 408 " in await stream.receive_some(100)
        await stream.aclose()
    assert await status(port, GET % port) == 200


async def test_a_client_that_does_not_read_its_answer_waits_alone() -> None:
    async with (
        served(lambda: ("text/x", bytes(16 << 20))) as port,
        await trio.open_tcp_stream("127.0.0.1", port) as deaf,
    ):
        await deaf.send_all(GET % port)
        await deaf.receive_some(1)
        with trio.fail_after(30):
            code, _, body = await ask(port, GET % port)
        assert (code, len(body)) == (200, 16 << 20)


async def test_what_goes_wrong_in_a_scrape_ends_nothing() -> None:
    answers = iter([ZeroDivisionError("at first"), TEXT])

    def expose() -> tuple[str, bytes]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return "text/x", answer

    logged: list[str] = []

    class Log:
        def error(self, event: str, **_: object) -> None:
            logged.append(event)

    async with served(expose, Log()) as port:
        assert await status(port, GET % port) == 500
        assert await status(port, GET % port) == 200
    assert logged == ["a scrape failed in an unforeseen way"]


async def test_a_port_in_use_is_said() -> None:
    async with scraping.listen(0) as listener:
        port = listener.socket.getsockname()[1]
        with pytest.raises(
            LocalError, match=f"cannot serve metrics on 127.0.0.1:{port}: Address already in use"
        ) as error:
            async with scraping.listen(port):
                pass
        assert "another port" in error.value.hint
    async with scraping.listen(port) as listener:
        assert scraping.address(listener) == f"http://127.0.0.1:{port}/metrics"


async def test_a_node_is_scraped_as_prometheus_does_it() -> None:
    with replica("a") as graph:
        grow(graph, 3)
        async with (
            Node(graph, settings=Settings(seed=1, goodbye_timeout_s=0.2)) as node,
            served(lambda: (CONTENT_TYPE, exposition(node))) as port,
        ):

            def scrape(path: str) -> tuple[int, str, str]:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                    return answer.status, answer.headers["Content-Type"], answer.read().decode()

            code, kind, text = await trio.to_thread.run_sync(scrape, "/metrics")
            assert (code, kind) == (200, CONTENT_TYPE)
            assert 'crdtgraph_commits{plane="ledger"} 3.0\n' in text
            with pytest.raises(urllib.error.HTTPError, match="404: Not Found") as error:
                await trio.to_thread.run_sync(scrape, "/x")
            error.value.close()
