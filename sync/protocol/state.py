"""The states of a connection, as a table: which message moves it where, and which may not come at all.

    state      what holds
    NEW        nothing was said yet
    GREETING   our hello is out, the peer's has not come
    OPEN       both hellos were read and fit; everything but a hello may come and go
    CLOSED     a last word was said by one side, or the bytes were bad; nothing may come or go

A message that is not in the row of the current state is an error of whoever sent it: ours is a bug, the
peer's ends the connection with code `order`. The shape is h11's `_state.py`: the rules are data, and the code
around them is dull.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType

from sync.protocol.messages import (
    Cards,
    Census,
    Delta,
    Ephemeral,
    Error,
    Forget,
    Goodbye,
    HaveObject,
    Hello,
    Keys,
    Object,
    Peers,
    Ping,
    Pong,
    Segments,
    Summary,
    Want,
    WantObject,
    WantSegments,
)


class State(Enum):
    """Where a connection is in its life."""

    NEW = auto()
    GREETING = auto()
    OPEN = auto()
    CLOSED = auto()


_Row = Mapping[type, State]

_WORK: dict[type, State] = dict.fromkeys(
    (
        Summary,
        Want,
        Delta,
        Keys,
        WantSegments,
        Segments,
        Ephemeral,
        Peers,
        Cards,
        Census,
        Forget,
        Ping,
        Pong,
        WantObject,
        Object,
        HaveObject,
    ),
    State.OPEN,
)
_LAST_WORDS: dict[type, State] = {Error: State.CLOSED, Goodbye: State.CLOSED}

ON_RECEIVE: Mapping[State, _Row] = MappingProxyType(
    {
        State.NEW: MappingProxyType({}),
        State.GREETING: MappingProxyType({Hello: State.OPEN, **_LAST_WORDS}),
        State.OPEN: MappingProxyType({**_WORK, **_LAST_WORDS}),
        State.CLOSED: MappingProxyType({}),
    }
)
"""state -> message from the peer -> next state."""

ON_SEND: Mapping[State, _Row] = MappingProxyType(
    {
        State.NEW: MappingProxyType({Hello: State.GREETING}),
        State.GREETING: MappingProxyType(_LAST_WORDS),
        State.OPEN: MappingProxyType({**_WORK, **_LAST_WORDS}),
        State.CLOSED: MappingProxyType({}),
    }
)
"""state -> message that we send -> next state."""
