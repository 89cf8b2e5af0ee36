"""The bytes of a state in flight, and payloads that are none."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.ids import CommitId
from sync.protocol.inflightcodec import VERSION, InFlightState, decode_inflight, encode_inflight
from sync.protocol.inflightexchange import InFlightExchange
from sync.protocol.limits import INFLIGHT_COUNT_MAX, INFLIGHT_HOPS_MAX
from sync.protocol.packing import RemoteMessageError, pack
from tests.sync.inflight.exchanging import EVERY_S, STATE


def test_the_bytes_of_a_state_are_pinned() -> None:
    assert encode_inflight(STATE).hex() == (
        "9801a76d6f7665203132" + "4d" + "05" + "01" + "28" + "c440" + "07" * 32 + "09" * 32 + "9203cd012c"
    )
    assert decode_inflight(encode_inflight(STATE)) == STATE


@given(
    st.dictionaries(st.binary(min_size=32, max_size=32), st.integers(1, INFLIGHT_COUNT_MAX), max_size=30),
    st.text(max_size=30),
    st.integers(0, (1 << 53) - 1),
    st.integers(0, (1 << 63) - 1),
)
def test_a_state_survives_the_wire(counts: dict[bytes, int], search: str, writer: int, sequence: int) -> None:
    try:
        search.encode()
    except UnicodeEncodeError:
        return
    state = InFlightState(search, writer, sequence, 3, 7, {CommitId(each): count for each, count in counts.items()})
    assert decode_inflight(encode_inflight(state)) == state


def test_a_cut_payload_or_one_with_more_behind_it_is_refused() -> None:
    whole = encode_inflight(STATE)
    for length in range(len(whole)):
        with pytest.raises(RemoteMessageError):
            decode_inflight(whole[:length])
    with pytest.raises(RemoteMessageError):
        decode_inflight(whole + b"\0")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_state_or_a_mistake_of_the_peer(payload: bytes) -> None:
    with suppress(RemoteMessageError):
        decode_inflight(payload)


GOOD: list[object] = [VERSION, "s", 1, 1, 0, 0, bytes([1] * 32 + [2] * 32), [1, 2]]


@pytest.mark.parametrize(
    "place, value",
    [
        (0, 0), (0, True), (0, "1"), (1, b"s"), (1, "x" * 129), (2, -1), (2, 1 << 53), (2, True), (3, -1), (3, 1 << 63),
        (4, INFLIGHT_HOPS_MAX + 1), (5, -1), (5, 0.0), (5, 1 << 40),
        (6, "x"), (6, bytes(63)), (6, bytes([2] * 32 + [1] * 32)), (6, bytes([1] * 64)),
        (7, [1]), (7, [1, 0]), (7, [1, -1]), (7, [1, INFLIGHT_COUNT_MAX + 1]), (7, [1, 1.0]), (7, [1, True]), (7, None),
    ],
)  # fmt: skip
def test_a_field_that_is_wrong_is_the_peers_mistake(place: int, value: object) -> None:
    row = [*GOOD]
    assert decode_inflight(pack(row)) is not None
    row[place] = value
    with pytest.raises(RemoteMessageError):
        decode_inflight(pack(row))


def test_a_later_version_is_passed_by() -> None:
    node = InFlightExchange(0, EVERY_S)
    node.join(1, lambda: None)
    node.receive(1, pack([VERSION + 1, "whatever", {"may": "come"}]), 0.0)
    assert node.refused == 1
