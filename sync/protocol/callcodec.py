"""Calls on a control socket and their answers to bytes and back: msgpack rows of plain values.

Whatever the bytes are, only `RemoteMessageError` comes out of `decode_request` and `decode_reply`.
"""

from __future__ import annotations

from typing import cast

from crdtgraph.errors import LocalError
from sync.protocol.calls import Plain, Reply, ReplyKind, Request
from sync.protocol.limits import CONTROL_DEPTH_MAX, TEXT_BYTES_MAX
from sync.protocol.packing import RemoteMessageError, pack, unpack_whole

NAME_BYTES_MAX = TEXT_BYTES_MAX * 8
"""Of a parameter, or of a field of a table."""

_LEAVES = frozenset((type(None), bool, int, float, str, bytes))
_REPLY_KINDS = frozenset(kind.value for kind in ReplyKind)


def encode_request(request: Request) -> bytes:
    """The payload of a control request: [number, method, params]."""
    return _pack([request.number, request.method, dict(request.params)])


def decode_request(payload: bytes) -> Request:
    """Read a control request; raises RemoteMessageError."""
    row = _unpack(payload)
    match row:
        case [int() as number, str() as method, dict() as params] if not isinstance(number, bool):
            return Request(number, method, params)
    raise RemoteMessageError("a control request is not [number, method, params]")


def encode_reply(reply: Reply) -> bytes:
    """The payload of a control answer: [number, "part" | "result" | "error", data]."""
    return _pack([reply.number, reply.kind.value, reply.data])


def decode_reply(payload: bytes) -> Reply:
    """Read a control answer; raises RemoteMessageError."""
    row = _unpack(payload)
    match row:
        case [int() as number, str() as kind, data] if kind in _REPLY_KINDS and not isinstance(number, bool):
            return Reply(number, ReplyKind(kind), data)
    raise RemoteMessageError("a control answer is not [number, kind, data]")


def _pack(row: list[Plain]) -> bytes:
    try:
        return pack(list(row))
    except (TypeError, ValueError, OverflowError) as error:
        raise LocalError(f"a control message cannot be encoded: {error}") from error


def _unpack(payload: bytes) -> Plain:
    value = unpack_whole(payload)
    _check(value, CONTROL_DEPTH_MAX)
    return cast("Plain", value)


def _check(value: object, depth: int) -> None:
    """Raise RemoteMessageError unless a value is plain. Batches have thousands of leaves: the loops pass over them."""
    kind = type(value)
    if depth and kind is list:
        for each in cast("list[object]", value):
            if type(each) not in _LEAVES:
                _check(each, depth - 1)
    elif depth and kind is dict:
        for key, each in cast("dict[object, object]", value).items():
            if type(key) is not str or len(key) > NAME_BYTES_MAX or len(key.encode()) > NAME_BYTES_MAX:
                raise RemoteMessageError(f"a control message holds a table with the key {key!r:.60}")
            if type(each) not in _LEAVES:
                _check(each, depth - 1)
    elif kind not in _LEAVES:
        raise RemoteMessageError(f"a control message holds {kind.__name__}, or is nested too deep")
