"""What pycrdt writes is what we write, and an update that does anything but add segments never reaches a document."""

import json
from pathlib import Path

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph.ids import SegmentKey
from crdtgraph.update import (
    CLIENTS_MAX,
    CLOCK_MAX,
    Item,
    RemoteUpdateError,
    Update,
    decode_state_vector,
    decode_update,
    encode_state_vector,
    varint,
)

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "updates.json").read_text())
WRITER_MAX = (1 << 53) - 1
writers = st.one_of(st.integers(0, WRITER_MAX), st.sampled_from((0, 1, 127, 128, 1 << 32, WRITER_MAX)))


def document(client, root="segments", kind=pycrdt.Map):
    doc = pycrdt.Doc(client_id=client)
    return doc, doc.get(root, type=kind)


def key_text(writer, seq):
    return SegmentKey(writer, seq).text


@st.composite
def logs(draw):
    """Some writers' histories: values, then compactions, each a transaction of one addition and some deletions."""
    histories = {}
    for writer in draw(st.lists(writers, min_size=1, max_size=4, unique=True)):
        values = draw(st.lists(st.binary(max_size=150), min_size=1, max_size=5))
        left = set(range(len(values)))
        compactions = []
        for _ in range(draw(st.integers(0, 2))):
            doomed = draw(st.sets(st.sampled_from(sorted(left))))
            left = (left - doomed) | {len(values) + len(compactions)}
            # In any order: a transaction may delete the last one first.
            compactions.append((draw(st.permutations(sorted(doomed))), draw(st.binary(max_size=20))))
        histories[writer] = values, compactions
    return histories


def written(histories):
    """Each writer's document after its history, and what should be in it."""
    docs, items, deleted = {}, {}, set()
    for writer, (values, compactions) in histories.items():
        doc, segments = document(writer)
        for seq, value in enumerate(values):
            segments[key_text(writer, seq)] = value
            items[SegmentKey(writer, seq)] = value
        for seq, (doomed, value) in enumerate(compactions, len(values)):
            with doc.transaction():
                segments[key_text(writer, seq)] = value
                for old in doomed:
                    del segments[key_text(writer, old)]
            items[SegmentKey(writer, seq)] = value
            deleted |= {SegmentKey(writer, old) for old in doomed}
        docs[writer] = doc
    # Yjs lists clients in descending order, and what was deleted without its content.
    order = sorted(items, key=lambda key: (-key.writer, key.seq))
    return docs, tuple(Item(key, None if key in deleted else items[key]) for key in order), deleted


def covered(update):
    return {SegmentKey(writer, first + n) for writer, first, length in update.deletes for n in range(length)}


@pytest.mark.parametrize("vector", GOLDEN, ids=[vector["name"] for vector in GOLDEN])
def test_updates_are_the_same_for_ever(vector):
    data = bytes.fromhex(vector["update"])
    update = decode_update(data)
    items = [[key.writer, key.seq, value if value is None else value.hex()] for key, value in update.items]
    assert items == vector["items"]
    assert [list(run) for run in update.deletes] == vector["deletes"]
    assert update.encode() == data


@given(logs())
@settings(deadline=None)
def test_we_read_and_write_what_pycrdt_does_for_one_writer(histories):
    docs, items, deleted = written(histories)
    for writer, doc in docs.items():
        update = decode_update(doc.get_update())
        assert update.items == tuple(item for item in items if item.key.writer == writer)
        assert covered(update) == {key for key in deleted if key.writer == writer}
        assert update.encode() == doc.get_update()


@given(logs(), st.randoms(), st.data())
@settings(deadline=None)
def test_we_read_and_write_what_pycrdt_does_for_several_writers_merged(histories, random, data):
    docs, items, deleted = written(histories)
    updates = [doc.get_update() for doc in docs.values()]
    random.shuffle(updates)
    merged, _ = document(12345 if 12345 not in docs else 54321)
    for update in updates:
        merged.apply_update(update)
    for whole in (merged.get_update(), pycrdt.merge_updates(*updates)):
        update = decode_update(whole)
        assert update.items == items
        assert covered(update) == deleted
        assert update.encode() == whole
    known = {writer: data.draw(st.integers(0, sum(map(len, history)))) for writer, history in histories.items()}
    diff = merged.get_update(encode_state_vector(known))
    update = decode_update(diff)
    assert update.items == tuple(item for item in items if item.key.seq >= known[item.key.writer])
    assert covered(update) == deleted
    assert update.encode() == diff


@given(logs())
@settings(deadline=None)
def test_pycrdt_reads_what_we_write(histories):
    _, items, deleted = written(histories)
    # As the log and the wire carry it: item by item with its content, the deletions at the end.
    reader, segments = document(12345 if 12345 not in histories else 54321)
    for item in items:
        reader.apply_update(Update((Item(item.key, b"gone" if item.value is None else item.value),)).encode())
    reader.apply_update(Update((), tuple((key.writer, key.seq, 1) for key in deleted)).encode())
    present = {item.key.text: item.value for item in items if item.value is not None}
    assert {key: bytes(segments[key]) for key in segments.keys()} == present  # noqa: SIM118 - a pycrdt map
    again = decode_update(reader.get_update())
    assert again.items == items
    assert covered(again) == deleted


def test_deleted_runs_are_written_in_ascending_order_however_they_are_named():
    runs = ((9, 4, 1), (3, 7, 2), (9, 0, 3), (3, 0, 1))
    assert Update((), runs).encode() == Update((), tuple(sorted(runs))).encode()
    assert decode_update(Update((), runs).encode()).deletes == tuple(sorted(runs))


def test_the_base_of_an_update_with_a_gap_before_it_shows_the_gap():
    items = tuple(Item(SegmentKey(writer, seq), b"v") for writer, seq in ((9, 4), (9, 5), (3, 0)))
    update = decode_update(Update(items).encode())
    assert update.base() == {9: 4, 3: 0}
    assert decode_update(Update((), ((9, 1, 1),)).encode()).base() == {}


# Numbers and state vectors


@given(st.integers(0, (1 << 63) - 1))
def test_numbers_are_written_as_pycrdt_writes_them(number):
    data = varint(number)
    assert data == pycrdt.write_var_uint(number)
    assert len(data) <= 9


@given(st.dictionaries(writers, st.integers(1, CLOCK_MAX - 1), max_size=6))
def test_a_state_vector_reads_back(vector):
    assert decode_state_vector(encode_state_vector(vector)) == vector


@given(logs())
@settings(deadline=None)
def test_we_read_and_write_pycrdts_state_vectors(histories):
    docs, items, _ = written(histories)
    for writer, doc in docs.items():
        vector = decode_state_vector(doc.get_state())
        assert vector == {writer: sum(item.key.writer == writer for item in items)}
        assert encode_state_vector(vector) == doc.get_state()


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "data", [b"", b"\1", b"\1\5", b"\1\5\1\0", b"\0\0", varint(CLIENTS_MAX), varint(1 << 40), b"\xff" * 20]
)
def test_a_damaged_state_vector_is_refused(data):
    with pytest.raises(RemoteUpdateError):
        decode_state_vector(data)
