"""Records of episodes: their bytes, and what becomes of those that are damaged, newer or too many."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import crdtgraph as library
from crdtgraph import CorruptError
from crdtgraph.canonical import encode
from crdtgraph.episodes import (
    CONFLICTS_MAX,
    EPISODES_MAX,
    MEMBERS_MAX,
    VERSION,
    Episode,
    Side,
    read_episodes,
    read_open,
    stored,
    write_episode,
)
from crdtgraph.ids import ReplicaId
from crdtgraph.store import Batch, Keyspace, open_store

A, B = (Side(ReplicaId(bytes([number]) * 16), name) for number, name in enumerate("ab", 1))
OPEN = Episode(1_700_000_000_000_000, "silent for 30.0 s", (A,), (B,), base=((7, 3), (9, 1 << 40)))
OVER = replace(
    OPEN,
    returned_us=1_700_000_060_000_000,
    to_us=1_700_000_061_000_000,
    commits_ours=3,
    commits_theirs=5,
    exact=False,
    conflicts=("main",),
    conflicts_total=1,
    ended="reconnected",
    base=(),
)
GOLDEN = {
    "open": "8e011b00060a24181e40007173696c656e7420666f722033302e302073818250010101010101010101010101010101016161"
    "818250020202020202020202020202020202026162f6f60000018000608282070382091b0000010000000000",
    "over": "8e011b00060a24181e40007173696c656e7420666f722033302e302073818250010101010101010101010101010101016161"
    "8182500202020202020202020202020202020261621b00060a241bb1c7001b00060a241bc1094003050081646d61696e016b"
    "7265636f6e6e656374656480",
}
integers = st.integers(-(1 << 63), (1 << 63) - 1)
sides = st.lists(st.builds(Side, st.binary(min_size=16, max_size=16).map(ReplicaId), st.text()), max_size=4).map(tuple)
episodes = st.builds(
    Episode,
    integers,
    st.text(),
    sides,
    sides,
    returned_us=st.none() | integers,
    to_us=st.none() | integers,
    commits_ours=integers,
    commits_theirs=integers,
    exact=st.booleans(),
    conflicts=st.lists(st.text(), max_size=4).map(tuple),
    conflicts_total=integers,
    ended=st.text(),
    base=st.lists(st.tuples(integers, integers), max_size=4).map(tuple),
)


@given(episodes)
def test_there_and_back(episode: Episode) -> None:
    assert Episode.from_bytes(episode.to_bytes()) == episode


def test_golden_bytes() -> None:
    assert OPEN.to_bytes().hex() == GOLDEN["open"]
    assert OVER.to_bytes().hex() == GOLDEN["over"]


@given(st.data())
def test_damage_is_said_and_never_anything_else(data: st.DataObject) -> None:
    whole = bytearray(OVER.to_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    for damaged in (bytes(whole), bytes(whole[:place]), bytes(whole) + b"\0"):
        with suppress(CorruptError):
            Episode.from_bytes(damaged)


@pytest.mark.parametrize("row", [[], 3, [VERSION], [VERSION + 1, "anything"], ["1"], {"a": 1}])
def test_what_is_no_record_or_a_newer_one(row: object) -> None:
    with pytest.raises(CorruptError):
        Episode.from_bytes(encode(row))


def test_a_record_stays_small_however_much_there_was() -> None:
    many = replace(OVER, theirs=(B,) * 500, conflicts=tuple(f"ref {n}" for n in range(500)), conflicts_total=500)
    read = Episode.from_bytes(many.to_bytes())
    assert (len(read.theirs), len(read.conflicts), read.conflicts_total) == (MEMBERS_MAX, CONFLICTS_MAX, 500)


def test_the_oldest_make_room_and_numbers_go_on() -> None:
    store = open_store("memory:")
    for number in range(EPISODES_MAX + 20):
        write_episode(store, number, OVER)
    assert [number for number, _ in stored(store)] == list(range(20, EPISODES_MAX + 20))
    write_episode(store, 500, None)
    assert len(list(read_episodes(store))) == EPISODES_MAX - 1
    assert read_open(store) == ([], EPISODES_MAX + 20)


def test_flaps_that_leave_nothing_push_nothing_out_and_what_goes_on_stays() -> None:
    store = open_store("memory:")
    write_episode(store, 0, OPEN)
    write_episode(store, 1, OVER)
    for number in range(2, 2 * EPISODES_MAX):
        write_episode(store, number, OPEN)
        write_episode(store, number, None)
    assert [number for number, _ in stored(store)] == [0, 1]
    for number in range(2 * EPISODES_MAX, 3 * EPISODES_MAX):
        write_episode(store, number, OVER)
    numbers = [number for number, _ in stored(store)]
    assert (numbers[0], len(numbers)) == (0, EPISODES_MAX)
    assert 1 not in numbers


def test_a_damaged_record_is_found_by_fsck_and_keeps_no_node_from_starting() -> None:
    with library.open("memory:") as graph:
        write_episode(graph.store, 0, OVER)
        write_episode(graph.store, 1, OPEN)
        assert [finding.problem for finding in graph.fsck() if finding.problem] == []
        batch = Batch()
        batch.put(Keyspace.META, b"episode\0" + bytes(7) + b"\0", b"\x80")
        graph.store.write(batch, sync=False)
        assert read_open(graph.store) == ([(1, OPEN)], 2)
        [problem] = [finding.problem for finding in graph.fsck() if finding.problem]
        assert problem.startswith("episode 0: ")
        with pytest.raises(CorruptError):
            list(read_episodes(graph.store))
