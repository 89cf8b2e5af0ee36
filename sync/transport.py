"""How bytes get from one node to another: dialling and listening, behind two small protocols.

A node never touches a socket itself. `TcpTransport` is the real one; a simulation gives a node another, whose
streams have latency and break on command. What comes out are trio streams.

Peers are not authenticated and nothing is encrypted yet, so TCP is confined to the loopback interface unless whoever
makes the transport says that everybody on the network is trusted.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from itertools import chain
from types import TracebackType
from typing import NamedTuple, Protocol

import trio

from crdtgraph.errors import LocalError, UnreachableError

LISTEN_BACKLOG = 128
LOOPBACK_NAME = "localhost"


class Address(NamedTuple):
    """Where a node listens. `text` is host:port, with brackets around an IPv6 host."""

    host: str
    port: int

    @property
    def text(self) -> str:
        """As it is written and sent: `127.0.0.1:7000`, `[::1]:7000`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read host:port; raises LocalError for anything else."""
        host, colon, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        host = host[1:-1] if bracketed else host
        if not colon or not host or not port.isdecimal() or int(port) > 65535 or (":" in host) != bracketed:
            raise LocalError(f"{text!r} is not an address", hint="write HOST:PORT, as in 127.0.0.1:7000 or [::1]:7000")
        return cls(host, int(port))

    @classmethod
    def of(cls, address: AddressLike) -> Address:
        """An address in any of its forms."""
        return cls.parse(address) if isinstance(address, str) else cls(*address)


AddressLike = str | tuple[str, int] | Address


class Listening(Protocol):
    """A place where peers can connect."""

    @property
    def address(self) -> Address:
        """Where it really is: a port 0 has become a number."""

    async def accept(self) -> trio.abc.Stream:
        """The next connection."""

    async def aclose(self) -> None:
        """Stop listening."""


class Transport(Protocol):
    """What a node needs of a network."""

    async def dial(self, address: Address) -> trio.abc.Stream:
        """Connect; raises UnreachableError."""

    async def listen(self, address: Address) -> Sequence[Listening]:
        """Listen, at one place or several; raises LocalError."""


class TcpTransport:
    """TCP on the loopback interface. Small writes are sent at once (trio switches Nagle's algorithm off).

    Args:
        beyond_loopback: let it reach, and be reached from, other machines. Nothing authenticates peers and nothing is
            encrypted: whoever can connect reads all, and can write what they like under a key of their own.
    """

    def __init__(self, *, beyond_loopback: bool = False) -> None:
        self._beyond_loopback = beyond_loopback

    async def dial(self, address: Address) -> trio.abc.Stream:
        """Connect; raises UnreachableError, or LocalError for a host outside loopback."""
        self._check(address, "dial")
        try:
            return await trio.open_tcp_stream(address.host, address.port)
        except OSError as error:
            raise UnreachableError(
                f"nothing answers at {address.text}: {error.strerror or error}", hint="is the node running?"
            ) from error

    async def listen(self, address: Address) -> Sequence[Listening]:
        """Listen; raises LocalError if the host is outside loopback or the port is taken."""
        self._check(address, "listen on")
        try:
            listeners = await trio.open_tcp_listeners(address.port, host=address.host, backlog=LISTEN_BACKLOG)
        except OSError as error:
            raise LocalError(
                f"cannot listen on {address.text}: {error.strerror or error}", hint="use another port, or 0 for any"
            ) from error
        return [_TcpListening(listener) for listener in listeners]

    def _check(self, address: Address, what: str) -> None:
        if not self._beyond_loopback:
            check_loopback(address, what)


def check_loopback(address: Address, what: str) -> None:
    """Refuse addresses that other machines could reach, or that lead to other machines."""
    try:
        inside = address.host == LOOPBACK_NAME or ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise LocalError(
            f"refusing to {what} {address.text}: it is outside loopback, and peers are not authenticated yet",
            hint="use 127.0.0.1, ::1 or localhost; connect machines through a tunnel such as ssh -L",
        )


class BoundTransport(TcpTransport):
    """TCP on loopback with places that are bound before there is anybody to accept there; an async context manager.

    What was bound and nobody has listened on is given up at the end.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bound: dict[Address, list[Sequence[Listening]]] = {}

    async def __aenter__(self) -> BoundTransport:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listening in self._bound.values():
            for each in chain(*listening):
                await each.aclose()
        self._bound.clear()

    async def bind(self, address: Address) -> None:
        """Take a place, for the first that listens there; raises LocalError as `listen` does."""
        self._bound.setdefault(address, []).append(await super().listen(address))

    async def listen(self, address: Address) -> Sequence[Listening]:
        """As for any, but what was bound is handed out."""
        bound = self._bound.get(address)
        return bound.pop(0) if bound else await super().listen(address)


class _TcpListening:
    def __init__(self, listener: trio.SocketListener) -> None:
        self._listener = listener
        name = listener.socket.getsockname()
        self._address = Address(name[0], name[1])

    @property
    def address(self) -> Address:
        return self._address

    async def accept(self) -> trio.abc.Stream:
        return await self._listener.accept()

    async def aclose(self) -> None:
        await self._listener.aclose()
