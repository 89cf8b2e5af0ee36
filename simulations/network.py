"""The virtual network: hosts, the wires between them, listeners and connections.

Every ordered pair of hosts has a wire of its own, so all that happens to networks can be said per direction: a split
into groups, one host alone, A that hears B and is not heard. A cut is a silence for connections that exist and for
those being dialled; whether dials fail at once instead (a router that answers "unreachable") is a property of the cut.

`Transport` (sync/transport.py) is all that a node sees of this.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import trio

from crdtgraph.errors import LocalError, UnreachableError
from simulations.agenda import Agenda
from simulations.stream import SimStream, stream_pair
from simulations.trace import Trace
from simulations.wire import Wire, WireProperties
from sync.transport import Address

BACKLOG = 16
"""Connections that wait to be accepted; one more is refused."""
SYN_RETRY_S = 1.0
CONNECT_TIMEOUT_S = 60.0
"""An unanswered dial is tried again each second and given up after a minute, as Linux does about."""


class Host:
    """A machine on the network. `is_up` is False while it has no power: then nothing answers, not even a refusal."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_up = True
        self.listeners: dict[int, SimListening] = {}
        self.streams: dict[SimStream, str] = {}
        """Its ends of connections, with the host at the other end."""


class SimListening:
    """A listening port; see `Listening` in sync/transport.py."""

    def __init__(self, host: Host, port: int) -> None:
        self.address = Address(host.name, port)
        self._host = host
        self._waiting: deque[SimStream] = deque()
        self._news = trio.lowlevel.ParkingLot()
        self._is_closed = False

    async def accept(self) -> trio.abc.Stream:
        """The next connection."""
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            await self._news.park()
        return self._waiting.popleft()

    async def aclose(self) -> None:
        """Stop listening; connections that nobody accepted are reset."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Stop at once."""
        if not self._is_closed:
            self._is_closed = True
            if self._host.listeners.get(self.address.port) is self:
                del self._host.listeners[self.address.port]
            while self._waiting:
                self._waiting.popleft().reset()

    def offer(self, stream: SimStream) -> bool:
        """A connection has come in; False if the backlog is full."""
        if len(self._waiting) >= BACKLOG:
            return False
        self._waiting.append(stream)
        self._news.unpark()
        return True


class Network:
    """All hosts of a world and the paths between them.

    Args:
        agenda: running while anything is to arrive.
        rng: for jitter, fragmentation and what a reset loses.
        trace: told of every piece that arrives.
        properties: of the wire between two hosts, by their names.
    """

    def __init__(
        self, agenda: Agenda, rng: random.Random, trace: Trace, properties: Callable[[str, str], WireProperties]
    ) -> None:
        self.hosts: dict[str, Host] = {}
        self._agenda = agenda
        self._rng = rng
        self._trace = trace
        self._properties = properties
        self._wires: dict[tuple[str, str], Wire] = {}
        self._refusing: Counter[tuple[str, str]] = Counter()

    # Hosts

    def add(self, name: str) -> SimTransport:
        """A new host; what its nodes dial and listen with."""
        self.hosts[name] = host = Host(name)
        return SimTransport(self, host)

    def wire(self, source: str, target: str) -> Wire:
        """The path from one host to another."""
        wire = self._wires.get((source, target))
        if wire is None:
            wire = self._wires[source, target] = Wire(self._agenda, self._rng, self._properties(source, target))
        return wire

    @property
    def bytes_sent(self) -> int:
        """By all hosts so far. O(paths)."""
        return sum(wire.bytes_sent for wire in self._wires.values())

    def kill(self, name: str) -> None:
        """The process on a host is gone, the machine is not: its connections are closed by the system."""
        host = self.hosts[name]
        self._close_listeners(host)
        for stream in [*host.streams]:
            stream.close()
        host.streams.clear()

    def power_off(self, name: str) -> None:
        """The machine is gone without a word."""
        host = self.hosts[name]
        host.is_up = False
        for stream in host.streams:
            stream.vanish()
        self._close_listeners(host)

    def power_on(self, name: str) -> None:
        """The machine is back and knows nothing of its old connections."""
        host = self.hosts[name]
        host.is_up = True
        for stream in host.streams:
            stream.bury()
        host.streams.clear()

    # Cuts

    def cut(self, source: str, target: str, *, refuses: bool = False) -> None:
        """Nothing gets from `source` to `target` until each cut is healed; with `refuses` dials fail at once."""
        self.wire(source, target).cut()
        self._refusing[source, target] += refuses

    def heal(self, source: str, target: str, *, refuses: bool = False) -> None:
        """One cut is over; the arguments are those of `cut`."""
        self._refusing[source, target] -= refuses
        self.wire(source, target).heal()

    def partition(self, groups: Sequence[Iterable[str]], *, refuses: bool = False) -> list[tuple[str, str]]:
        """Cut everything between different groups, both ways; what was cut, for `heal`."""
        sides = [sorted(group) for group in groups]
        cuts = [(a, b) for one in sides for other in sides if one is not other for a in one for b in other]
        for source, target in cuts:
            self.cut(source, target, refuses=refuses)
        return cuts

    def heal_all(self) -> None:
        """Every path works again and no stream is stalled."""
        self._refusing.clear()
        for path in sorted(self._wires):
            while self._wires[path].is_cut:
                self._wires[path].heal()
        for host in self.hosts.values():
            for stream in host.streams:
                if stream.incoming.is_stalled:
                    stream.incoming.release()

    # Connections

    def streams(self, name: str) -> list[SimStream]:
        """A host's open ends of connections, oldest first."""
        host = self.hosts[name]
        for stream in [stream for stream in host.streams if stream.is_closed and host.is_up]:
            del host.streams[stream]
        return [*host.streams]

    async def connect(self, source: Host, address: Address) -> SimStream:
        """Dial; see `SimTransport.dial`."""
        there, back = self.wire(source.name, address.host), self.wire(address.host, source.name)
        target = self.hosts.get(address.host)
        give_up_at = trio.current_time() + CONNECT_TIMEOUT_S
        await trio.sleep(there.delay_s())
        while target is None or not target.is_up or there.is_cut or back.is_cut:
            if self._refusing[source.name, address.host] or self._refusing[address.host, source.name]:
                raise UnreachableError(f"nothing answers at {address.text}: no route to host")
            if trio.current_time() >= give_up_at:
                raise UnreachableError(f"nothing answers at {address.text}: timed out")
            await trio.sleep(SYN_RETRY_S)
        listening = target.listeners.get(address.port)
        observe = partial(self._observe, source.name, address.host)
        ours, theirs = stream_pair(there, back, self._rng, observe)
        if listening is None or not listening.offer(theirs):
            await trio.sleep(back.delay_s())
            raise UnreachableError(f"nothing answers at {address.text}: connection refused")
        self._trace.note(source.name, "connects", address.host)
        source.streams[ours] = target.name
        target.streams[theirs] = source.name
        try:
            await trio.sleep(back.delay_s())
        except BaseException:
            ours.close()
            raise
        return ours

    def _observe(self, source: str, target: str, direction: str, what: str) -> None:
        sender, receiver = (source, target) if direction == "forth" else (target, source)
        self._trace.note(receiver, "hears", f"{sender} {what}")

    def _close_listeners(self, host: Host) -> None:
        for listening in [*host.listeners.values()]:
            listening.close()


class SimTransport:
    """The network as a node on one host sees it; a `Transport` of sync/transport.py."""

    def __init__(self, network: Network, host: Host) -> None:
        self._network = network
        self._host = host

    async def dial(self, address: Address) -> trio.abc.Stream:
        """Connect; raises UnreachableError when refused or when nothing answered for a minute."""
        return await self._network.connect(self._host, address)

    async def listen(self, address: Address) -> Sequence[SimListening]:
        """Listen on a port of this host; raises LocalError when it is taken or the host is another one."""
        await trio.lowlevel.checkpoint()
        if address.host != self._host.name or address.port in self._host.listeners:
            raise LocalError(f"cannot listen on {address.text} of host {self._host.name}: taken, or not ours")
        listening = self._host.listeners[address.port] = SimListening(self._host, address.port)
        return [listening]
