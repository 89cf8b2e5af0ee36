"""Reconciliation: how replicas that keep different sets of segments come to keep the same.

A node *pulls*: two peers compare summaries, and whoever lacks something asks for it with its own state vector
(as in delta-state CRDTs' anti-entropy, Almeida et al. 2018; the summary is Scuttlebutt's digest, van Renesse
et al. 2008). News is *pushed* to whoever has what it builds on, and passed on by everyone to whom it is new,
so a line A-B-C converges and a ring comes to rest.

A state vector says nothing about deletions, nor about two processes that wrote under one number. So agreement
is judged by the digests of the segment sets alone, and a diff is asked for as well when vectors are equal and
digests are not. It may also cover places whose records never came (`Replica.holes`: a diff was broken off between
compacted places and what they were compacted into). Whoever has such places asks for them by key after a diff, and
is not settled with a peer before that is answered. When both sides have given each other all there was and the
digests still differ, or the same segments were folded into different projections, that is an alarm, never silence:
then keys are compared, and missing segments fetched one by one.

What always holds:

- One want a plane is open at a time, each with a deadline that every part of the answer renews. A peer that
  lets it pass is passed over, and a peer that leaves frees its want.
- While a peer is given a diff, news for the same plane is withheld from it, and a summary follows the diff.
- Everything is a function of the calls and their order: no clock, no randomness but the given generator,
  peers in the order of their numbers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping

from crdtgraph.exchange import RemoteGapError
from crdtgraph.ids import ReplicaId
from crdtgraph.planes import LEDGER
from crdtgraph.update import decode_update
from sync.protocol.agreement import Agreement
from sync.protocol.alarms import Alarms
from sync.protocol.comparison import Comparison
from sync.protocol.limits import JITTER, KEYS_PER_MESSAGE, PEERS_MAX, Settings
from sync.protocol.messages import (
    Delta,
    Ephemeral,
    GossipMessage,
    Hello,
    Keys,
    PeerAddress,
    Peers,
    PlaneSummary,
    Segments,
    Summary,
    Want,
    WantSegments,
)
from sync.protocol.outbox import Due
from sync.protocol.peerstate import OpenWant, Peer, covers, raise_to
from sync.protocol.replica import DeltaLike, Replica
from sync.protocol.searches import Hearsay
from sync.protocol.wants import Wants

RELAY_BYTES_MAX = 64 << 10
"""Answers up to this size are passed on like news. Of larger ones other peers get a summary when they are
complete: they may well be asking someone for the same, and bulk should travel a link once."""

DIFF = "diff"
"""The kind of answer that a want gets."""


class Gossip:
    """All peers of one node and what is between them and us.

    Args:
        replica: the graph.
        settings: all but the times of single connections matter here.
        rng: for jitter.
        now: the current time in seconds, from the origin that all later calls use.
        on_ephemeral: given (sender, topic, payload) of what is not stored.
        on_summary: given every summary of a plane that is kept here.
    """

    def __init__(
        self,
        replica: Replica,
        settings: Settings,
        rng: random.Random,
        now: float,
        *,
        alarms: Alarms | None = None,
        on_ephemeral: Callable[[ReplicaId, str, bytes], None] | None = None,
        on_summary: Callable[[Peer, PlaneSummary], None] = lambda _peer, _told: None,
    ) -> None:
        self.peers: dict[int, Peer] = {}
        self.wants = Wants(replica, settings, self.peers)
        self.alarms = alarms or Alarms()
        self.hearsay = Hearsay(replica)
        self._replica = replica
        self._settings = settings
        self._rng = rng
        self._on_ephemeral = on_ephemeral
        self._on_summary = on_summary
        self._comparison = Comparison(replica)
        self._agreement = Agreement(replica, self.wants, self.alarms, self._comparison)
        self._announce_at = now
        self._schedule_announcement(now)

    # --- peers come and go

    def join(self, number: int, hello: Hello, wake: Callable[[], None]) -> Peer:
        """A peer said hello; it gets a summary. `number` grows from one connection to the next."""
        peer = Peer(
            number,
            hello,
            summary=lambda ask: self._summary(number, ask),
            neighbours=lambda: self._neighbours(number),
            wake=wake,
            messages_max=self._settings.queue_messages_max,
        )
        self.peers[number] = peer
        peer.outbox.summarize(Due.TELL)
        self._tell_neighbours()
        return peer

    def end_search(self, plane: str) -> None:
        """The plane of a search was dropped: whatever is under way about it ends here."""
        self.wants.drop(plane)
        self._comparison.drop(plane)
        self.alarms.drop(plane)
        for peer in self.peers.values():
            peer.outbox.drop_plane(plane)
            peer.views.pop(plane, None)

    def leave(self, number: int, now: float) -> None:
        """A connection ended; what was asked of it is asked of another. Unknown numbers are ignored."""
        if self.peers.pop(number, None) is None:
            return
        self._comparison.forget(number)
        self.wants.leave(number, now)
        self._tell_neighbours()

    # --- time

    @property
    def deadline(self) -> float:
        """When `tick` has to be called next."""
        return min(self._announce_at, self.wants.deadline)

    def tick(self, now: float) -> None:
        """Do what is due: give up wants that nobody answers, and compare summaries with everyone."""
        self.wants.tick(now)
        if now >= self._announce_at:
            self._schedule_announcement(now)
            self.compare_with_all()

    # --- messages

    def next_message(self, number: int) -> GossipMessage | None:
        """What to say to a peer next; None when there is nothing."""
        peer = self.peers.get(number)
        return peer.outbox.next_message() if peer is not None else None

    def receive(self, number: int, message: GossipMessage, now: float) -> None:
        """Deal with a message at once; see `receive_steps`."""
        for _ in self.receive_steps(number, message, now):
            pass

    def receive_steps(self, number: int, message: GossipMessage, now: float) -> Iterator[None]:
        """Deal with a message, yielding between pieces of work of a few milliseconds.

        Once begun it must be run to its end, and one at a time in the whole node: it changes the graph
        between steps.

        Raises:
            RemoteError: the message is invalid; close the connection and call `leave`.
            StoreError: the graph could not store what came.
        """
        peer = self.peers.get(number)
        if peer is None:
            return
        match message:
            case Summary():
                self._receive_summary(peer, message, now)
            case Ephemeral(topic, payload):
                if self._on_ephemeral is not None:
                    self._on_ephemeral(peer.hello.replica, topic, payload)
            case Peers(neighbours):
                peer.neighbours = neighbours
            case _ if message.plane not in self._replica.planes():
                self.hearsay.ignored += 1
            case Want(plane, vector):
                peer.view(plane).confirm(vector)
                peer.outbox.answer(DIFF, plane, self._diff(peer, plane, vector))
            case Delta():
                yield from self._receive_delta(peer, message, now)
            case Keys():
                self._comparison.receive_keys(peer, message)
            case WantSegments(plane, keys):
                self._comparison.answer(peer, plane, keys)
            case Segments():
                yield from self._receive_segments(peer, message, now)

    def push(self, delta: DeltaLike, *, source: int | None = None) -> None:
        """Pass news on to every peer that lacks it and has what it builds on, but not back to `source`."""
        plane = delta.plane
        mine = self._replica.state_vector(plane)
        ends = {writer: mine.get(writer, 0) for writer in delta.base}
        needed = dict(delta.base)
        for writer, _, _ in decode_update(delta.update).deletes:
            # A deletion builds on the segment that supersedes what is deleted, wherever that is in the
            # writer's log.
            needed.setdefault(writer, mine.get(writer, 0))
        message = Delta(plane, dict(delta.base), delta.update)
        for peer in self.peers.values():
            view = peer.view(plane)
            if peer.number == source or (ends and covers(view.assumed, ends)):
                continue
            if view.told is None or peer.outbox.is_answering(DIFF, plane):
                if view.told is None and plane != LEDGER and not view.withheld:
                    # A search that the peer has not told of is one that it has to hear of first.
                    peer.outbox.summarize(Due.TELL)
                view.withheld = True
            elif covers(view.assumed, needed):
                if peer.push(message):
                    raise_to(view.assumed, ends)
            elif not view.withheld:
                view.withheld = True
                peer.outbox.summarize(Due.TELL)

    def broadcast(self, topic: str, payload: bytes) -> None:
        """Tell every peer something that is not stored, at most `EPHEMERAL_BYTES_MAX` bytes of it."""
        for peer in self.peers.values():
            peer.push(Ephemeral(topic, payload))

    def compare_with_all(self) -> None:
        """Send every peer a summary and ask for its own."""
        for peer in self.peers.values():
            peer.outbox.summarize(Due.ASK)

    # --- summaries

    def _schedule_announcement(self, now: float) -> None:
        jitter = 1 + JITTER * (2 * self._rng.random() - 1)
        self._announce_at = now + self._settings.anti_entropy_s * jitter

    def _tell_neighbours(self) -> None:
        for peer in self.peers.values():
            peer.outbox.tell_neighbours()

    def _neighbours(self, number: int) -> Peers:
        others = [each.hello for each in self.peers.values() if each.number != number]
        return Peers(tuple(PeerAddress(each.replica, each.addresses) for each in others[:PEERS_MAX]))

    def _summary(self, number: int, ask: bool) -> Summary:
        peer = self.peers[number]
        planes = []
        for plane in self._replica.planes():
            ours, vector = self._replica.set_digest(plane), self._replica.state_vector(plane)
            view = peer.view(plane)
            if plane != LEDGER and view.told is None and not vector:
                # Of a search in which nothing was said there is nothing to know.
                continue
            settled = view.settled
            planes.append(
                PlaneSummary(
                    plane,
                    self._replica.digest(plane=plane) if self._agreement.is_complete(plane) else b"",
                    ours,
                    dict(vector),
                    settled[1] if settled is not None and settled[0] == ours else b"",
                )
            )
        return Summary(tuple(planes), ask)

    def _receive_summary(self, peer: Peer, summary: Summary, now: float) -> None:
        for told in summary.planes:
            if not self.hearsay.hear_of(told.plane):
                continue
            view = peer.view(told.plane)
            if view.told is None and told.plane != LEDGER and not self._replica.state_vector(told.plane):
                # It gives us news of a search once it knows that we keep it.
                peer.outbox.summarize(Due.TELL)
            view.told = told
            view.confirm(told.state_vector)
            self._agreement.compare(peer, view, told, now)
            self._on_summary(peer, told)
            if view.withheld and not peer.outbox.is_answering(DIFF, told.plane):
                view.withheld = False
                peer.outbox.summarize(Due.TELL)
        if summary.ask:
            peer.outbox.summarize(Due.TELL)

    def _is_open(self, plane: str) -> bool:
        """Whether a plane is still there; between two steps a search may have ended."""
        return plane in self._replica.planes()

    # --- diffs

    def _diff(self, peer: Peer, plane: str, vector: Mapping[int, int]) -> Iterator[GossipMessage]:
        """The answer to a want, made part by part as the peer reads."""
        view = peer.view(plane)
        # The diff is taken at the first step, so what was withheld until now is part of it.
        view.withheld = False
        ends = dict(self._replica.state_vector(plane))
        for delta in self._replica.deltas(plane, vector, self._settings.delta_bytes_max):
            if delta.last:
                raise_to(view.assumed, ends)
            yield Delta(plane, dict(delta.base), delta.update, delta.last)
        if view.withheld:
            view.withheld = False
            peer.outbox.summarize(Due.TELL)

    def _receive_delta(self, peer: Peer, delta: Delta, now: float) -> Iterator[None]:
        plane = delta.plane
        want = self.wants.receive_part(peer, plane, len(delta.update), now)
        before = self._replica.set_digest(plane)
        try:
            received = yield from self._replica.receive_steps(plane, delta.update)
        except RemoteGapError:
            if delta.last:
                raise
            peer.view(plane).gap = True
            if self._replica.set_digest(plane) != before:
                self._tell_others(peer, plane)
            self.wants.consider(peer, plane, now)
            return
        if not self._is_open(plane):
            return
        view = peer.view(plane)
        view.confirm(delta.base)
        ends: dict[int, int] = {}
        for key in received.segments:
            ends[key.writer] = max(ends.get(key.writer, 0), key.seq + 1)
        view.confirm(ends)
        if received.delta is not None and (want is None or want.received_bytes <= RELAY_BYTES_MAX):
            self.push(received.delta, source=peer.number)
        if want is not None and delta.last:
            want.holes = [key.text for key in self._replica.holes(plane)]
            self._fill_holes(peer, plane, want, now)

    def _fill_holes(self, peer: Peer, plane: str, want: OpenWant, now: float) -> None:
        """Ask by key for what a peer's diff left hollow; once that is answered, it has given us all it had."""
        if want.holes:
            keys, want.holes = want.holes[:KEYS_PER_MESSAGE], want.holes[KEYS_PER_MESSAGE:]
            self._comparison.ask(peer, plane, tuple(keys))
        else:
            self._complete(peer, plane, want, now)

    def _complete(self, peer: Peer, plane: str, want: OpenWant, now: float) -> None:
        """The peer gave us all it had: compare again, tell the others, ask the next."""
        self.wants.close(peer, plane)
        view = peer.view(plane)
        view.overdue = 0
        ours = self._replica.set_digest(plane)
        view.settled, view.answered = (ours, want.theirs), want.claimed
        if ours != want.theirs or view.told is None:
            peer.outbox.summarize(Due.ASK)
        else:
            peer.outbox.summarize(Due.TELL)
            self._agreement.compare(peer, view, view.told, now)
        if ours != want.before:
            self._tell_others(peer, plane)
        self.wants.seek(plane, now)

    def _tell_others(self, source: Peer, plane: str) -> None:
        """A summary to every peer that may lack what came from one."""
        ours = self._replica.set_digest(plane)
        mine = self._replica.state_vector(plane)
        for peer in self.peers.values():
            view = peer.view(plane)
            agreed = view.told is not None and view.told.set_digest == ours
            if peer is not source and not agreed and not covers(view.assumed, mine):
                peer.outbox.summarize(Due.TELL)

    # --- segments by key

    def _receive_segments(self, peer: Peer, message: Segments, now: float) -> Iterator[None]:
        view = peer.view(message.plane)
        if not view.unanswered:
            return
        want = self.wants.receive_part(peer, message.plane, sum(map(len, message.segments)), now)
        adopted = 0
        for segment in message.segments:
            adopted += self._replica.adopt(message.plane, [segment])
            yield
            if not self._is_open(message.plane):
                return
        if adopted:
            self.compare_with_all()
        view.unanswered -= message.last
        if want is not None and want.holes is not None and not view.unanswered:
            self._fill_holes(peer, message.plane, want, now)
