"""Segments of a stranger, and updates with anything in them."""

from __future__ import annotations

from crdtgraph import Commit
from crdtgraph.ids import SegmentKey
from crdtgraph.records import Count
from crdtgraph.segment import Records, pack
from crdtgraph.signing import Identity
from crdtgraph.update import Item, Update
from tests.crdtgraph.exchange.exchanging import PLANE

STRANGER = Identity(b"\x05" * 32, b"\x06" * 16)


def forged_segment(
    identity: Identity = STRANGER, seq: int = 0, plane: str = PLANE, supersedes: tuple[int, ...] = (), text: str = "x"
) -> tuple[SegmentKey, bytes]:
    commit = Commit((), "a", seq, text)
    records = Records([commit.id], [commit], [1], [], [Count(commit.id, (1,), 1)])
    data = pack(records, plane=plane, identity=identity, seq=seq, supersedes=supersedes)
    return SegmentKey(identity.writer, seq), data


def item(key: SegmentKey, data: bytes | None) -> bytes:
    return Update((Item(key, data),)).encode()


def changed(data: bytes, place: int) -> bytes:
    copy = bytearray(data)
    copy[place] ^= 1
    return bytes(copy)
