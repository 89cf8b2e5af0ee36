"""What is said on a control socket: calls of methods and the answers to them.

`callcodec.py` turns them into bytes and back, `methods/` is what can be called. Whoever calls in this process
(`requests.LocalCaller`) passes the same plain values. They stand apart from the messages of peers, which a command
that only asks a node has no use for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Plain: TypeAlias = "bool | int | float | str | bytes | list[Plain] | dict[str, Plain] | None"
"""What a request to a control socket and its answer consist of."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call on a control socket; answers carry the same `number`."""

    number: int
    method: str
    params: Mapping[str, Plain] = field(default_factory=dict)


class ReplyKind(StrEnum):
    """`part` is followed by more; `result` and `error` end the call."""

    PART = "part"
    RESULT = "result"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, or a part of one. The data of an error is [class name, message, hint]."""

    number: int
    kind: ReplyKind
    data: Plain
