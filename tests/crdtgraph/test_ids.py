"""Names have one spelling each, and nobody can take another's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.ids import CommitId, SegmentKey, replica_id, unique_prefix, writer_id

keys = st.builds(SegmentKey, st.integers(0, (1 << 53) - 1), st.integers(0, (1 << 32) - 1))
# Few distinct bytes, so that ids share long prefixes.
ids = st.lists(st.sampled_from((0, 1, 16, 17)), min_size=32, max_size=32).map(lambda parts: CommitId(bytes(parts)))


@given(keys)
def test_a_segment_key_reads_back(key):
    assert SegmentKey.parse(key.text) == key


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", "1-", "-1", "1", "-1-2", "1--2", "1-+2", "+1-2", "1-2-3", "1-2-"),
        *("01-2", "1-02", "1-00", "0x1-2", "A-1", "1-F", "1_0-1", " 1-2", "1-2 ", "1-2\n", "g-1"),
        *("\uff11-2", "\u0661-1", "20000000000000-0", "0-100000000", "f" * 40 + "-0", "0-" + "f" * 5000),
    ],
)
def test_another_spelling_of_a_segment_key_is_refused(text):
    with pytest.raises(ValueError, match=r"segment key|base 16"):
        SegmentKey.parse(text)


@given(st.text(st.sampled_from("0123456789abcdefABx-+_ "), max_size=8))
def test_whatever_parses_is_spelled_as_text_spells_it(text):
    try:
        key = SegmentKey.parse(text)
    except ValueError:
        return
    assert key.text == text
    assert key.writer >= 0 and key.seq >= 0  # noqa: PT018 - one claim


def test_writer_and_replica_ids_are_pinned():
    assert writer_id(bytes(32), bytes(16)) == 0x1E16461A29AF73
    assert replica_id(bytes(32)).hex() == "66687aadf862bd776c8fc18b8e9f8e20"


def test_each_incarnation_and_each_key_writes_under_its_own_number():
    numbers = {writer_id(bytes([k]) * 32, bytes([i]) * 16) for k in range(8) for i in range(8)}
    assert len(numbers) == 64
    assert all(0 <= number < 1 << 53 for number in numbers)


@pytest.mark.parametrize("wanted", range(3))
def test_a_short_id_differs_from_its_neighbours_on_either_side(wanted):
    found = [CommitId(bytes([7] * 10 + [n]) + bytes(21)) for n in (0x10, 0x11, 0x20)]
    assert unique_prefix(found, found[wanted]) == found[wanted].hex()[: (22, 22, 21)[wanted]]


@given(st.lists(ids, min_size=1, max_size=12, unique=True), st.data(), st.integers(1, 64))
def test_a_short_id_is_the_shortest_prefix_that_nobody_else_has(found, data, digits_min):
    wanted = data.draw(st.sampled_from(found))
    held = sorted(found) if data.draw(st.booleans()) else sorted(set(found) - {wanted})
    short = unique_prefix(held, wanted, digits_min)
    others = [other.hex() for other in held if other != wanted]
    assert len(short) >= digits_min
    assert wanted.hex().startswith(short)
    assert not any(other.startswith(short) for other in others)
    if len(short) > digits_min:
        assert any(other.startswith(short[:-1]) for other in others)
