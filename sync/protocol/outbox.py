"""What waits to be said to one peer, in the order in which it has to be said.

The writer of a connection *pulls*: it asks for the next message when the last one is on its way. So nothing
but pushed deltas ever queues up. A summary is made when its turn comes and tells the state of that moment;
the parts of a large answer are made one by one, as fast as the peer reads them. The order of a pull:

1. questions of ours, at most a few a plane;
2. pushed deltas, and in turn with them parts of answers;
3. a summary, once no answer is under way: it tells what is left after all that was said before.

The queue of pushed deltas is bounded in messages and bytes. When it would overflow it is dropped whole and a
summary that asks for the peer's takes its place: memory stays, and the peer catches up by asking. News that reached
the peer by another way is not sent once its summary shows that it has all there is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from enum import IntEnum

from crdtgraph.errors import RemoteError
from sync.protocol.limits import QUEUE_BYTES_MAX
from sync.protocol.messages import Delta, Ephemeral, GossipMessage, Peers, Summary, Want, WantSegments

QUESTIONS_MAX = 4 << 10
"""Wants of ours that a peer does not read. Only a peer that keeps sending cause for them can get there."""


class RemoteOverrunError(RemoteError):
    """A peer gives cause for more questions than it reads."""


class Due(IntEnum):
    """Whether a summary is due, and whether it asks for one in return."""

    NO = 0
    TELL = 1
    ASK = 2


class Outbox:
    """The outgoing side of one peer.

    Args:
        summary: makes the summary for this peer when its turn comes; the argument says whether it asks.
        neighbours: makes the list of other peers when its turn comes.
        wake: called whenever there is something new to pull.
        messages_max: pushes that may wait.
    """

    def __init__(
        self,
        summary: Callable[[bool], Summary],
        neighbours: Callable[[], Peers],
        wake: Callable[[], None],
        messages_max: int,
    ) -> None:
        self.queued_bytes = 0
        self.drops = 0
        """How often the queue was dropped."""
        self._summary = summary
        self._neighbours = neighbours
        self._wake = wake
        self._messages_max = messages_max
        self._questions: deque[Want | WantSegments] = deque()
        self._pushes: deque[Delta | Ephemeral] = deque()
        self._answers: dict[tuple[str, str], Iterator[GossipMessage]] = {}
        self._due = Due.NO
        self._neighbours_due = False
        self._answer_next = False

    @property
    def queued(self) -> int:
        """Messages that wait."""
        return len(self._questions) + len(self._pushes)

    @property
    def is_empty(self) -> bool:
        """Whether a pull would give nothing, or at most the end of an answer."""
        return not (self._questions or self._pushes or self._answers or self._due or self._neighbours_due)

    def ask(self, question: Want | WantSegments) -> None:
        """Say this before anything else; raises RemoteOverrunError if the peer reads none of it."""
        if len(self._questions) >= QUESTIONS_MAX:
            raise RemoteOverrunError(f"{QUESTIONS_MAX} questions wait, and the peer reads none")
        self._questions.append(question)
        self._wake()

    def push(self, message: Delta | Ephemeral) -> bool:
        """Queue news. False if that was too much: then the whole queue is gone and a summary is due."""
        size = _size(message)
        if len(self._pushes) >= self._messages_max or self.queued_bytes + size > QUEUE_BYTES_MAX:
            self._pushes.clear()
            self.queued_bytes = 0
            self.drops += 1
            self.summarize(Due.ASK)
            return False
        self._pushes.append(message)
        self.queued_bytes += size
        self._wake()
        return True

    def drop_news(self, plane: str) -> None:
        """The peer has all there is of a plane: news of it that waits is none."""
        kept = [each for each in self._pushes if not (isinstance(each, Delta) and each.plane == plane)]
        if len(kept) < len(self._pushes):
            self._pushes = deque(kept)
            self.queued_bytes = sum(map(_size, kept))

    def drop_plane(self, plane: str) -> None:
        """There is no such plane any more: nothing is asked, told or answered about it."""
        self.drop_news(plane)
        self._questions = deque(each for each in self._questions if each.plane != plane)
        self._answers = {name: parts for name, parts in self._answers.items() if name[1] != plane}

    def answer(self, kind: str, plane: str, messages: Iterator[GossipMessage]) -> None:
        """Begin an answer; one of the same kind for the same plane is given up for it."""
        self._answers.pop((kind, plane), None)
        self._answers[kind, plane] = messages
        self._wake()

    def is_answering(self, kind: str, plane: str) -> bool:
        """Whether such an answer is under way."""
        return (kind, plane) in self._answers

    def summarize(self, due: Due) -> None:
        """A summary is due; several become one."""
        self._due = max(self._due, due)
        self._wake()

    def tell_neighbours(self) -> None:
        """The list of other peers has changed."""
        self._neighbours_due = True
        self._wake()

    def next_message(self) -> GossipMessage | None:
        """The next message to send, or None when there is nothing to say."""
        while True:
            if self._questions:
                return self._questions.popleft()
            if self._pushes and not (self._answer_next and self._answers):
                self._answer_next = True
                message = self._pushes.popleft()
                self.queued_bytes -= _size(message)
                return message
            if self._answers:
                self._answer_next = False
                part = self._next_part()
                if part is not None:
                    return part
                continue
            if self._due:
                ask = self._due is Due.ASK
                self._due = Due.NO
                return self._summary(ask)
            if self._neighbours_due:
                self._neighbours_due = False
                return self._neighbours()
            return None

    def _next_part(self) -> GossipMessage | None:
        """A part of the answer whose turn it is; answers take turns, so a long one holds up no other."""
        name, messages = next(iter(self._answers.items()))
        part = next(messages, None)
        # Unless it ended, or making the part began another answer of this name.
        if self._answers.get(name) is messages:
            del self._answers[name]
            if part is not None:
                self._answers[name] = messages
        return part


def _size(message: Delta | Ephemeral) -> int:
    return len(message.update if isinstance(message, Delta) else message.payload)
