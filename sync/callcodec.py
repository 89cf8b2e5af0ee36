"""Calls on a control socket and their answers to bytes and back: msgpack rows of plain values.

Whatever the bytes are, only `RemoteMessageError` comes out of `decode_request` and `decode_reply`.
"""

from __future__ import annotations

from crdtgraph.errors import LocalError
from sync.calls import Plain, Reply, ReplyKind, Request
from sync.limits import CONTROL_DEPTH_MAX, TEXT_BYTES_MAX
from sync.packing import RemoteMessageError, pack, unpack_whole

NAME_BYTES_MAX = TEXT_BYTES_MAX * 8
"""Of a parameter, or of a field of a table."""

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
    return _plain(unpack_whole(payload), CONTROL_DEPTH_MAX)


def _plain(value: object, depth: int) -> Plain:
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    if depth and isinstance(value, list):
        return [_plain(each, depth - 1) for each in value]
    if depth and isinstance(value, dict):
        return {_name(key): _plain(each, depth - 1) for key, each in value.items()}
    raise RemoteMessageError(f"a control message holds {type(value).__name__}, or is nested too deep")


def _name(value: object) -> str:
    if not isinstance(value, str) or len(value.encode()) > NAME_BYTES_MAX:
        raise RemoteMessageError(f"a control message holds a table with the key {value!r:.60}")
    return value
