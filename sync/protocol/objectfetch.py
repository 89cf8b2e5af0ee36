"""Objects between peers: asking for blocks by hash, giving them, and asking somebody else when that fails.

Large values do not travel with commits (see `crdtgraph.objects`). What is wanted is fetched block by block from every
peer that has it, several at a time:

- A block is asked of one peer and verified by its hash as it comes, so it does not matter who gives it. What came is
  kept: after a break only the rest is asked for.
- A peer that lacks a block says so, and says again once it has it, so objects travel along lines of nodes as news does.
- A peer that lets the deadline pass still owes the answer and is not asked twice; the block is asked of another one. A
  peer that gives wrong bytes causes an alarm, and the block is asked of another one.
- When nobody has an object it is tried again in a later *round*, which begins when somebody says that it has news, when
  a peer comes, or after a wait that doubles.

Only peers that speak of objects are asked: older versions do not know these messages. Whoever wants something asks
first, by an `Ephemeral` of topic `TOPIC`, which older versions pass by; the answer is another one. So nothing at all
is said between nodes that miss nothing.

What a peer is given is read block by block as it takes them, and only when there is nothing else to say to it: an
object of a gigabyte holds news up for the time of one block.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol, TypeVar

from crdtgraph.errors import StoreCorruptError, StoreError
from crdtgraph.objects import RemoteObjectError
from crdtgraph.planes import LEDGER
from sync.protocol.alarms import AlarmKind, Alarms
from sync.protocol.fetching import Fetch
from sync.protocol.limits import (
    OBJECT_LOOKS_MAX,
    OBJECT_OWED_MAX,
    OBJECT_SERVE_MAX,
    OBJECT_WINDOW,
    OBJECTS_ACTIVE_MAX,
    OBJECTS_HOPELESS_MAX,
    OBJECTS_RESTING_MAX,
    ROUND_MAX_S,
    ROUND_MIN_S,
    WANT_OBJECT_HASHES_MAX,
    Settings,
)
from sync.protocol.messages import Ephemeral, HaveObject, Hello, Object, ObjectMessage, WantObject
from sync.protocol.outbox import RemoteOverrunError

TOPIC = "crdtgraph/objects"
QUESTION, ANSWER = b"?", b"!"

_Entry = TypeVar("_Entry")


class Keeper(Protocol):
    """Where objects are kept; `crdtgraph.objects.ObjectStore` is one."""

    def wanted(self) -> Iterator[tuple[bytes, int]]:
        """Missing objects with their sizes, ascending by id."""

    def is_wanted(self, object_id: bytes) -> bool:
        """Whether an object is missing."""

    def block(self, name: bytes) -> bytes | None:
        """A block, verified."""

    def holds(self, name: bytes) -> bool:
        """Whether a block is here, undamaged."""

    def put_block(self, name: bytes, data: bytes) -> None:
        """Verify and keep a block; RemoteObjectError if it is another."""

    def complete(self, object_id: bytes, size: int) -> None:
        """All blocks of an object are here."""


class Speaks(Enum):
    """Whether a peer knows these messages."""

    UNKNOWN = auto()
    ASKED = auto()
    YES = auto()


@dataclass(slots=True)
class _Peer:
    number: int
    hello: Hello
    wake: Callable[[], None]
    speaks: Speaks = Speaks.UNKNOWN
    say: deque[Ephemeral] = field(default_factory=deque)
    ask: deque[bytes] = field(default_factory=deque)
    asked: dict[bytes, bytes] = field(default_factory=dict)
    """Blocks that it was asked for and has not answered for, and the objects that they are of."""
    deadline: float = math.inf
    is_late: bool = False
    lacking: set[bytes] = field(default_factory=set)
    """Objects that it lacks, as far as is known in this round."""
    serve: dict[bytes, None] = field(default_factory=dict)
    owed: dict[bytes, None] = field(default_factory=dict)
    """Blocks that it asked for and that were not here."""
    news: deque[bytes] = field(default_factory=deque)
    """Those of them that are here now."""


class ObjectExchange:
    """All that one node asks for and gives.

    Args:
        keeper: the objects of this replica.
        settings: `want_timeout_s` and `flush_retry_s` matter here.
        alarms: for peers that give wrong bytes.
        changed: called when an object has become whole.
        failed: told when the disk refuses what came; it is asked for again a little later.
    """

    def __init__(
        self,
        keeper: Keeper,
        settings: Settings,
        alarms: Alarms,
        changed: Callable[[], object] = lambda: None,
        failed: Callable[[StoreError], object] = lambda _: None,
    ) -> None:
        self.peers: dict[int, _Peer] = {}
        self.fetched = 0
        """Objects that became whole by this."""
        self.is_stopped = False
        self._keeper = keeper
        self._settings = settings
        self._alarms = alarms
        self._changed = changed
        self._failed = failed
        self._active: dict[bytes, Fetch] = {}
        self._resting: dict[bytes, Fetch] = {}
        """Given up for now: what is known of them need not be found out again."""
        self._hopeless: dict[bytes, None] = {}
        """What commits name, and is no object at all."""
        self._listing: Iterator[tuple[bytes, int]] = iter(())
        self._is_more_wanted = True
        """Whether the list of what is wanted is to be read again, once it was read to its end."""
        self._round_s = ROUND_MIN_S
        self._next_round_at = math.inf
        self._work_at = math.inf
        self._paused_until = -math.inf

    # --- peers come and go

    def join(self, number: int, hello: Hello, wake: Callable[[], None], now: float) -> None:
        """A peer said hello."""
        self.peers[number] = _Peer(number, hello, wake)
        self._alarms.clear(AlarmKind.OBJECT, LEDGER, hello.replica)
        self.look_again(now)

    def leave(self, number: int, now: float) -> None:
        """A connection ended; what was asked of it is asked of others."""
        if self.peers.pop(number, None) is not None:
            self._work_soon(now)

    def look_again(self, now: float) -> None:
        """More is wanted, or something may be had that could not be had before."""
        self._is_more_wanted = True
        self._round_s = ROUND_MIN_S
        self._work_soon(now)

    # --- time

    @property
    def deadline(self) -> float:
        """When `tick` has to be called next."""
        waits = [peer.deadline for peer in self.peers.values() if peer.asked and not peer.is_late]
        return min([self._work_at, self._next_round_at, *waits])

    def tick(self, now: float) -> None:
        """Do what is due: ask others in the place of those that are late, begin a round, go on."""
        for peer in self.peers.values():
            if peer.asked and not peer.is_late and now >= peer.deadline:
                peer.is_late = True
                self._work_soon(now)
        if now >= self._next_round_at:
            self._next_round_at = math.inf
            for peer in self.peers.values():
                peer.lacking.clear()
            self._is_more_wanted = True
            self._round_s = min(2 * self._round_s, ROUND_MAX_S)
            self._work_soon(now)
        if now >= self._work_at:
            self._work(now)

    # --- messages

    def receive(self, number: int, message: ObjectMessage | Ephemeral, now: float) -> None:
        """Deal with a message that `takes` says is for this. Raises RemoteOverrunError."""
        peer = self.peers.get(number)
        if peer is None:
            return
        if peer.speaks is not Speaks.YES:
            peer.speaks = Speaks.YES
            self.look_again(now)
        match message:
            case Ephemeral(_, payload):
                if payload == QUESTION and not peer.say:
                    peer.say.append(Ephemeral(TOPIC, ANSWER))
            case WantObject(hashes):
                peer.serve.update(dict.fromkeys(hashes))
                if len(peer.serve) > OBJECT_SERVE_MAX:
                    raise RemoteOverrunError(f"{len(peer.serve)} blocks of objects are asked for at once")
            case Object(name, data):
                self._receive_block(peer, name, data, now)
            case HaveObject():
                peer.lacking.clear()
                self.look_again(now)
        peer.wake()

    def next_message(self, number: int) -> ObjectMessage | Ephemeral | None:
        """What to say to a peer next, when there is nothing else to say to it."""
        peer = self.peers.get(number)
        if peer is None or self.is_stopped:
            return None
        if peer.say:
            return peer.say.popleft()
        if peer.news:
            return HaveObject(_some(peer.news))
        if peer.ask:
            return WantObject(_some(peer.ask))
        if not peer.serve:
            return None
        name = next(iter(peer.serve))
        del peer.serve[name]
        data = self._keeper.block(name)
        if data is None:
            _keep(peer.owed, name, None, OBJECT_OWED_MAX)
        return Object(name, data)

    # --- taking

    def _receive_block(self, peer: _Peer, name: bytes, data: bytes | None, now: float) -> None:
        object_id = peer.asked.pop(name, None)
        peer.is_late = False
        peer.deadline = now + self._settings.want_timeout_s
        self._work_soon(now)
        if data is None:
            if object_id is not None:
                peer.lacking.add(object_id)
            return
        fetches = [fetch for fetch in self._active.values() if name in fetch.todo]
        if not fetches:
            return
        try:
            self._keeper.put_block(name, data)
            for fetch in fetches:
                self._take(fetch, name, data)
        except RemoteObjectError:
            self._alarms.sound(AlarmKind.OBJECT, LEDGER, peer.hello.replica)
            if object_id is not None:
                peer.lacking.add(object_id)
            return
        except StoreCorruptError:
            raise
        except StoreError as error:
            self._pause(error, now)
            return
        for each in self.peers.values():
            if name in each.owed:
                del each.owed[name]
                each.news.append(name)
                each.wake()

    def _take(self, fetch: Fetch, name: bytes, data: bytes) -> None:
        try:
            fetch.take(name, data)
        except RemoteObjectError:
            # The hash is right, so this is what a commit names: whoever made it did so wrongly, or in another version.
            del self._active[fetch.id]
            _keep(self._hopeless, fetch.id, None, OBJECTS_HOPELESS_MAX)
            return
        if fetch.is_done and fetch.root is not None:
            del self._active[fetch.id]
            self._keeper.complete(fetch.id, fetch.root.size)
            self.fetched += 1
            self._changed()

    def _pause(self, error: StoreError, now: float) -> None:
        """The disk refuses to write: ask for nothing more for a while."""
        self._failed(error)
        self._paused_until = now + self._settings.flush_retry_s
        self._is_more_wanted = True
        self._work_at = self._paused_until

    def _work_soon(self, now: float) -> None:
        self._work_at = min(self._work_at, max(now, self._paused_until))

    def _work(self, now: float) -> None:
        """Ask for what can be asked for; a few milliseconds of work, then the rest is due at once."""
        self._work_at = math.inf
        if not self.peers:
            return
        try:
            looks = OBJECT_LOOKS_MAX
            self._activate()
            seen: set[bytes] = set()
            while self._active.keys() - seen:
                seen = set(self._active)
                for fetch in [*self._active.values()]:
                    looks = self._ask_for(fetch, looks, now)
                    if looks <= 0:
                        self._work_soon(now)
                        return
                self._activate()
        except StoreCorruptError:
            raise
        except StoreError as error:
            self._pause(error, now)

    def _activate(self) -> None:
        """Take up objects in the order of their ids until enough are under way."""
        while len(self._active) < OBJECTS_ACTIVE_MAX:
            found = next(self._listing, None)
            if found is None:
                if not self._is_more_wanted:
                    break
                self._is_more_wanted = False
                self._listing = self._keeper.wanted()
                continue
            object_id = found[0]
            if object_id in self._active or object_id in self._hopeless or not self._keeper.is_wanted(object_id):
                continue
            self._active[object_id] = self._resting.pop(object_id) if object_id in self._resting else Fetch(object_id)
        if self._active:
            for peer in self.peers.values():
                if peer.speaks is Speaks.UNKNOWN:
                    peer.speaks = Speaks.ASKED
                    peer.say.append(Ephemeral(TOPIC, QUESTION))
                    peer.wake()

    def _ask_for(self, fetch: Fetch, looks: int, now: float) -> int:
        """Ask for blocks of an object as long as somebody has room; gives it up for this round if nobody has it.

        Returns how many looks at the disk are left.
        """
        under_way = {name for peer in self.peers.values() if not peer.is_late for name in peer.asked}
        known = [each for each in self.peers.values() if each.speaks is Speaks.YES and fetch.id not in each.lacking]
        is_news = True
        while is_news:
            is_news = False
            for name in [*fetch.todo]:
                if name in under_way:
                    continue
                able = [each for each in known if len(each.asked) < OBJECT_WINDOW]
                if known and not able:
                    return looks
                able = [each for each in able if name not in each.asked]
                if known and not able:
                    continue  # It was asked of all who may have it, and they are late.
                if looks <= 0:
                    return 0
                looks -= 1
                if self._keeper.holds(name):
                    self._take(fetch, name, self._keeper.block(name) or b"")
                    if fetch.id not in self._active:
                        return looks
                    is_news = True
                elif able:
                    under_way.add(name)
                    self._ask(
                        min(able, key=lambda each: (each.is_late, len(each.asked), each.number)), name, fetch, now
                    )
                else:
                    self._give_up(fetch, now)
                    return looks
        return looks

    def _ask(self, peer: _Peer, name: bytes, fetch: Fetch, now: float) -> None:
        if not peer.asked:
            peer.deadline = now + self._settings.want_timeout_s
        peer.asked[name] = fetch.id
        peer.ask.append(name)
        peer.wake()

    def _give_up(self, fetch: Fetch, now: float) -> None:
        """Nobody has it now. What came of it stays."""
        del self._active[fetch.id]
        _keep(self._resting, fetch.id, fetch, OBJECTS_RESTING_MAX)
        self._next_round_at = min(self._next_round_at, now + self._round_s)


def _keep(table: dict[bytes, _Entry], name: bytes, entry: _Entry, length_max: int) -> None:
    """Note an entry, and forget the oldest of too many."""
    table[name] = entry
    if len(table) > length_max:
        del table[next(iter(table))]


def _some(names: deque[bytes]) -> tuple[bytes, ...]:
    return tuple(names.popleft() for _ in range(min(len(names), WANT_OBJECT_HASHES_MAX)))
