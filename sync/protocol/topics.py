"""Who is told what of the messages that are not stored: subscribers by topic.

A topic is a short text; those that begin with `crdtgraph/` are the project's own. Whoever does not know a topic passes
its messages by, so a new one asks for no new version of the protocol. A message reaches the neighbours alone; what is
to go further is passed on by the subscriber, who knows what is new (see `inflightexchange.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from crdtgraph.ids import ReplicaId

Listener: TypeAlias = Callable[[ReplicaId, str, bytes], None]
"""Given (sender, topic, payload)."""


class Topics:
    """The subscribers of one node. `everything` is given all messages that no other machine of the node takes."""

    def __init__(self, everything: Listener | None = None) -> None:
        self._everything = everything
        self._listeners: dict[str, list[Listener]] = {}

    def subscribe(self, topic: str, listener: Listener) -> Callable[[], None]:
        """Give a listener the messages of one topic, after those that subscribed before; returns what ends that."""
        self._listeners.setdefault(topic, []).append(listener)

        def end() -> None:
            listeners = self._listeners.get(topic, [])
            if listener in listeners:
                listeners.remove(listener)
                if not listeners:
                    del self._listeners[topic]

        return end

    def receive(self, sender: ReplicaId, topic: str, payload: bytes) -> None:
        """A message came. A listener may subscribe and end subscriptions meanwhile; what it raises is raised."""
        if self._everything is not None:
            self._everything(sender, topic, payload)
        for listener in [*self._listeners.get(topic, ())]:
            listener(sender, topic, payload)
