"""`Node`: a graph that talks. It listens, dials, keeps one connection a peer, and looks after its disk.

    async with sync.Node(graph, listen=["127.0.0.1:7000"], peers=["127.0.0.1:7001"]) as node:
        graph.commit(...)       # durable within 100 ms, and then with every peer that can be reached

All tasks live in one nursery. A peer's mistake ends its connection and nothing else; a store that refuses to
write is reported and tried again; any other exception is a bug and ends the node.

Everything that is not the protocol is handed in: the transport, the threads (`run_sync`), the log; time is
trio's, and randomness comes from the graph's host or `Settings.seed`. So the very same class runs in a
simulation.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from itertools import count
from types import TracebackType

import trio

from crdtgraph.errors import LocalError, StoreCorruptError, StoreError
from crdtgraph.exchange import Delta
from crdtgraph.ids import ReplicaId
from crdtgraph.planes import LEDGER
from sync.acceptor import accept
from sync.blocklist import Blocklist
from sync.connection import Connection, Direction, dialled_at_once, loser, part
from sync.dialer import Backoff, Dialer
from sync.durability import Flusher, RunSync, run_in_thread
from sync.inflight import INFLIGHT, InFlight
from sync.log import Log, default_log, reporter
from sync.members import Members
from sync.metrics import Metrics, Timed
from sync.objects import Objects
from sync.protocol.alarms import Alarms
from sync.protocol.gossip import Gossip
from sync.protocol.limits import ADDRESSES_MAX, DEFAULTS, PROTOCOL_VERSION, Settings
from sync.protocol.messages import (
    NONCE_BYTES,
    Ephemeral,
    Error,
    ErrorCode,
    Goodbye,
    Hello,
    MemberMessage,
    NodeMessage,
    ObjectMessage,
    Summary,
    Want,
)
from sync.protocol.objectfetch import TOPIC
from sync.protocol.replica import LocalReplica
from sync.protocol.session import RemoteProtocolError
from sync.protocol.topics import Listener, Topics
from sync.searchkeeping import SearchKeeping
from sync.splits import Splits
from sync.status import NodeStatus, node_status
from sync.timekeeping import Timekeeper
from sync.transport import Address, AddressLike, Listening, TcpTransport, Transport
from sync.unwinding import unwind
from sync.upkeep import look_after


class Node:
    """A running node; an async context manager.

    Args:
        graph: the graph to replicate, open for writing and used by this thread alone. It is flushed at the
            end, not closed.
        listen: addresses to listen on, `"host:port"` or `(host, port)`; port 0 takes any.
        peers: addresses to keep a connection to.
        transport: how to dial and listen; TCP on loopback by default.
        settings: the times that it works by.
        name: for people, in logs and status.
        log: a structlog logger; by default what is worth a warning goes to the standard logging module.
        run_sync: how to wait for the disk.
        on_ephemeral: given (sender, topic, payload) of messages that are not stored; `topics` has those of one topic.

    Raises:
        LocalError: when entered: the graph is read-only, an address is wrong, taken, or outside loopback.
    """

    def __init__(
        self,
        graph: LocalReplica,
        *,
        listen: Iterable[AddressLike] = (),
        peers: Iterable[AddressLike] = (),
        transport: Transport | None = None,
        settings: Settings = DEFAULTS,
        name: str = "",
        log: Log | None = None,
        run_sync: RunSync = run_in_thread,
        on_ephemeral: Listener | None = None,
    ) -> None:
        self.graph = graph
        self.settings = settings
        self.name = name
        self.addresses: tuple[str, ...] = ()
        """Where it listens, once entered: ports are numbers."""
        self.store_failures = 0  # How often the store refused to write.
        self.blocklist = Blocklist()
        self.metrics = Metrics()
        self.dialers: list[Dialer] = []
        self.connections: dict[int, Connection] = {}
        self._listen = [Address.of(each) for each in listen]
        self._peers = list(dict.fromkeys(Address.of(each) for each in peers))
        self._transport = transport if transport is not None else TcpTransport()
        self._log = log if log is not None else default_log()
        self.flusher = Flusher(
            graph,
            settings,
            run_sync,
            self.note_store_failure,
            lambda seconds: self.metrics.record(Timed.DURABLE, seconds, trio.current_time()),
        )
        self.topics = Topics(on_ephemeral)
        self._by_replica: dict[ReplicaId, Connection] = {}
        self._numbers = count(1)
        self._stack = AsyncExitStack()
        self._applying = trio.Lock()
        self._changed = trio.Event()
        self.gossip: Gossip
        self.members: Members
        self.objects: Objects
        self.inflight: InFlight
        self.searches: SearchKeeping

    @property
    def replica_id(self) -> ReplicaId:
        """Whose node it is."""
        return self.graph.replica_id

    # --- life

    async def __aenter__(self) -> Node:
        if self.graph.read_only:
            raise LocalError(
                f"{self.graph.url} is open for reading only", hint="a node needs to write what its peers give it"
            )
        if len(self._listen) > ADDRESSES_MAX:
            raise LocalError(f"{len(self._listen)} addresses to listen on; at most {ADDRESSES_MAX} are possible")
        settings, host = self.settings, self.graph.host
        seed = settings.seed if settings.seed is not None else int.from_bytes(host.random_bytes(8), "big")
        self._rng = random.Random(seed)
        self._nonce = host.random_bytes(NONCE_BYTES)
        async with AsyncExitStack() as stack:
            listening: list[Listening] = []
            for address in self._listen:
                for each in await self._transport.listen(address):
                    stack.push_async_callback(each.aclose)
                    listening.append(each)
            self.addresses = tuple(each.address.text for each in listening)[:ADDRESSES_MAX]
            self.gossip = Gossip(
                self.graph,
                settings,
                self._rng,
                trio.current_time(),
                alarms=Alarms(reporter(self._log)),
                on_ephemeral=self.topics.receive,
                on_summary=lambda peer, told: self.splits.compare(peer, told),
            )
            self.members = Members(self, self._nonce, self._rng, lambda: self._time.look())
            self.splits = Splits(self, lambda: self._time.look())
            self.objects = Objects(self, lambda: self._time.look())
            self.inflight = InFlight(self, lambda: self._time.look())
            self.searches = SearchKeeping(self, self._log)
            machines = self.gossip, self.members.table, self.splits, self.objects.exchange, self.searches.janitor
            self._time = Timekeeper([*machines, self.inflight.exchange])
            self.dialers = [self._dialer(address) for address in self._peers]
            stack.callback(self.graph.on_durable(self._receive_durable, later=self.flusher.announce_soon))
            nursery = await stack.enter_async_context(trio.open_nursery())
            for each in listening:
                nursery.start_soon(accept, each, self.connections.values, settings, self._log, self._take_in)
            for dialer in self.dialers:
                nursery.start_soon(dialer.run)
            for run in (self._time.run, self.objects.run, self.flusher.run, self.searches.run):
                nursery.start_soon(run)
            disk = self.graph, self.settings, self.flusher.run_sync, self.note_store_failure
            nursery.start_soon(look_after, *disk, self.wait_changed, self._log)
            self._nursery, self._stack = nursery, stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.graph.flush()
                await self._say_goodbye()
        finally:
            self._nursery.cancel_scope.cancel()
            await unwind(self._stack, kind, error, trace)

    async def _say_goodbye(self) -> None:
        self.splits.stop()
        self.objects.exchange.is_stopped = True
        self.members.table.farewell(trio.current_time())
        await part(self.connections, self.settings)

    # --- for users

    def block(self, peer: str) -> list[str]:
        """Neither dial nor accept a peer, and close the connection to it, until `unblock`.

        Args:
            peer: the beginning of a replica's id in hex, or host:port as the peer is dialled or listens.

        Returns:
            The replicas (hex) whose connections were closed.
        """
        self.blocklist.add(peer)
        closed = []
        for connection in [*self.connections.values()]:
            if self.blocklist.covers_peer(connection.peer, connection.address):
                connection.end("blocked here", Error(ErrorCode.BLOCKED, "blocked by the operator"))
                if connection.peer is not None:
                    closed.append(connection.peer.replica.hex())
        self._log.info("blocked", peer=peer, closed=closed)
        self.members.refresh()
        return closed

    def unblock(self, peer: str) -> None:
        """Take a `block` back, in the words it was given, and dial; NotFoundError if it is not blocked."""
        self.blocklist.remove(peer)
        self._log.info("unblocked", peer=peer)
        self.members.refresh()
        for dialer in self.dialers:
            dialer.hurry()

    def broadcast(self, topic: str, payload: bytes) -> None:
        """Tell all peers something that is not stored."""
        self.gossip.broadcast(topic, payload)

    async def wait_changed(self) -> None:
        """Return when the graph has received or made durable something new."""
        await self._changed.wait()

    async def wait_for_digest(self, digest: bytes, timeout_s: float) -> bool:
        """Whether the graph has, or gets within so many seconds, this digest."""
        with trio.move_on_after(timeout_s):
            while self.graph.digest(plane=LEDGER) != digest:
                await self.wait_changed()
            return True
        return False

    async def apply(self, steps: Iterator[None]) -> None:
        """Run steps that bring the graph something from outside, to their end, and no others of that kind between."""
        async with self._applying:
            try:
                for _ in steps:
                    await trio.lowlevel.cancel_shielded_checkpoint()
            finally:
                self.announce_change()
                self._time.look()

    def status(self) -> NodeStatus:
        """How it is doing; O(connections + heads)."""
        return node_status(self, trio.current_time())

    # --- connections

    def _dialer(self, address: Address) -> Dialer:
        async def serve(stream: trio.abc.Stream) -> Connection:
            connection = self._connect(stream, Direction.DIALLED, address)
            await self._serve(connection)
            return connection

        return Dialer(
            address,
            self.settings,
            Backoff(self.settings, self._rng),
            dial=self._transport.dial,
            serve=serve,
            connected=self._by_replica,
            blocklist=self.blocklist,
            log=self._log,
        )

    def _take_in(self, stream: trio.abc.Stream) -> None:
        self._nursery.start_soon(self._serve, self._connect(stream, Direction.ACCEPTED, None))

    def _connect(self, stream: trio.abc.Stream, direction: Direction, address: Address | None) -> Connection:
        connection = Connection(
            stream,
            number=next(self._numbers),
            direction=direction,
            address=address,
            hello=Hello(PROTOCOL_VERSION, self.graph.cluster, self.replica_id, self._nonce, self.addresses, self.name),
            settings=self.settings,
            greet=self._greet,
            handle=self._handle,
            pull=self.gossip.next_message,
            pull_bulk=self.objects.exchange.next_message,
            pull_last=lambda number: self.members.next_message(number) or self.inflight.next_message(number),
            leave=self._leave,
        )
        self.connections[connection.number] = connection
        return connection

    async def _serve(self, connection: Connection) -> None:
        try:
            await connection.run()
        finally:
            self._forget(connection)

    def _greet(self, connection: Connection, hello: Hello) -> Goodbye | None:
        """A peer said hello: take it in, or say why not."""
        for dialer in self.dialers:
            if dialer.address.text in hello.addresses or dialer.address == connection.address:
                dialer.replica = hello.replica
        if self.blocklist.covers_peer(connection.peer, connection.address):
            raise RemoteProtocolError("blocked by the operator", ErrorCode.BLOCKED)
        other = self._by_replica.get(hello.replica)
        if other is not None:
            if loser(other, connection, self.replica_id, self.settings) is connection:
                return Goodbye("duplicate connection")
            if dialled_at_once(other, connection, self.settings):
                # The peer was never gone.
                self._by_replica[hello.replica] = connection
            other.end("duplicate connection", Goodbye("duplicate connection"), by_silence=True)
        self._by_replica[hello.replica] = connection
        self.gossip.join(connection.number, hello, connection.wake)
        self.members.join(connection, hello.replica)
        self.objects.join(connection, hello)
        self.inflight.join(connection)
        self.splits.join(hello)
        self._time.look()
        self._log.info(
            "peer connected",
            replica=hello.replica.hex(),
            name=hello.name,
            direction=connection.direction.value,
            address=connection.shown_address,
        )
        return None

    def _leave(self, connection: Connection) -> None:
        """It takes no further part in the exchange."""
        self.gossip.leave(connection.number, trio.current_time())
        self.members.leave(connection)
        self.objects.leave(connection)
        self.inflight.leave(connection)
        self._time.look()
        hello = connection.peer
        if hello is not None and self._by_replica.get(hello.replica) is connection:
            del self._by_replica[hello.replica]
            self.splits.leave(connection, hello)

    def _forget(self, connection: Connection) -> None:
        self._leave(connection)
        del self.connections[connection.number]
        connection.closed.set()
        self.members.refresh()
        ending, hello = connection.ending, connection.peer
        if ending is not None:
            report = self._log.warning if ending.by_fault else self._log.info
            replica = hello.replica.hex() if hello is not None else ""
            report("connection closed", replica=replica, address=connection.shown_address, reason=ending.text)

    # --- messages

    async def _handle(self, connection: Connection, message: NodeMessage) -> None:
        now = trio.current_time()
        if isinstance(message, MemberMessage):
            self.members.table.receive(connection.number, message, now)
        elif isinstance(message, ObjectMessage) or (isinstance(message, Ephemeral) and message.topic == TOPIC):
            self.objects.receive(connection, message)
        elif isinstance(message, Ephemeral) and message.topic == INFLIGHT:
            self.inflight.receive(connection, message.payload)
        elif isinstance(message, Summary | Want):
            self.gossip.receive(connection.number, message, now)
        else:
            try:
                await self.apply(self.gossip.receive_steps(connection.number, message, now))
                self.splits.settle()
            except StoreCorruptError:
                raise
            except StoreError as error:
                self.note_store_failure(error)
                connection.end("our store refuses to write", Error(ErrorCode.BUSY, "the store refuses to write"))
        self._time.look()

    def _receive_durable(self, delta: Delta) -> None:
        self.gossip.push(delta)
        self.announce_change()

    def announce_change(self) -> None:
        """Wake whoever waits in `wait_changed`."""
        self._changed.set()
        self._changed = trio.Event()

    def note_store_failure(self, error: StoreError) -> None:
        """The store refused something that is tried again, or that the graph does not depend on."""
        self.store_failures += 1
        self.flusher.note_refusal()
        self._log.error("the store refuses to write", error=error.message, hint=error.hint)
