"""A segment says what was packed into it and by whom, or it is refused: by its bytes alone, and cheaply."""

import copy
import hashlib
import json
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph import segment as module
from crdtgraph.canonical import INT64_MAX, INT64_MIN, decode, encode, integer_column, read_integer_column
from crdtgraph.errors import LocalError, RemoteError
from crdtgraph.ids import CommitId, Dot, SegmentKey, writer_id
from crdtgraph.records import (
    NAME_BYTES_MAX,
    PARENTS_MAX,
    RECORD_BYTES_MAX,
    VECTOR_LENGTH_MAX,
    Assign,
    Commit,
    Count,
    Discard,
    Reference,
    ordered_changes,
)
from crdtgraph.segment import (
    LONE_PAYLOAD_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    RECORDS_MAX,
    SEGMENT_BYTES_MAX,
    SUPERSEDES_MAX,
    Records,
    RemoteSegmentError,
    pack,
    reading,
    unpack,
)
from crdtgraph.signing import Identity

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "segment.json").read_text())
ME = Identity(bytes(range(32)), bytes(range(16)))
OTHER = Identity(bytes(range(1, 33)), bytes(range(16)))
INTEGER_COLUMNS = (0, 1, 4, 5, 7, 11)
OUTSIDE = [CommitId(bytes([n]) * 32) for n in range(5)]


def records_of(commits=(), stamps=None, assigns=(), counts=(), discards=()):
    commits = list(commits)
    ids = [commit.id for commit in commits]
    return Records(ids, commits, list(stamps or range(len(commits))), list(assigns), list(counts), list(discards))


def a_chain(length, **fields):
    """Commits that follow each other, the first of them a root."""
    commits = []
    for n in range(length):
        parents = (commits[-1].id,) if commits else ()
        commits.append(Commit(parents, "Ada", n, f"m{n}", **fields))
    return commits


def a_bit_of_all():
    """A small segment in which every column and every kind of record holds something."""
    root = Commit((), "Ada", -5, "root", (("a", b"1"), ("b", None)))
    child = Commit((root.id, OUTSIDE[0]), "Grace", 7, "child", (("c", Reference("git-blob", b"x", 9)),), "git:00")
    merge = Commit((child.id, OUTSIDE[1], root.id, OUTSIDE[0]), "Ada", 6, "merge")
    return records_of(
        [root, child, merge],
        [10, 12, 11],
        [
            Assign("ref", "main", merge.id, Dot(ME.writer, 0), (Dot(3, 1), Dot(4, 0)), 13),
            Assign("meta", "gone", None, Dot(ME.writer, 1), (), 14),
        ],
        [Count(root.id, (1, -2), 15)],
        [Discard(child.id, 16)],
    )


def payload_of(records):
    """The payload that `pack` would compress, as nested lists, integer columns among them."""
    payload = decode(
        zstandard.ZstdDecompressor().decompress(decode(pack(records, plane="ledger", identity=ME, seq=3))[1])
    )
    for column in INTEGER_COLUMNS:
        payload[0][column] = read_integer_column(payload[0][column])
    return payload


def to_bytes(payload):
    """A payload as `payload_of` gives it, encoded: what can be an integer column becomes one again."""
    if not isinstance(payload, list) or not payload or not isinstance(payload[0], list):
        return encode(payload)
    columns = list(payload[0])
    for place in INTEGER_COLUMNS:
        if place < len(columns) and isinstance(columns[place], list):
            with suppress(TypeError, OverflowError):
                columns[place] = integer_column(columns[place])
    return encode([columns, *payload[1:]])


def craft(payload, *, records=..., size=..., identity=ME, compressed=None, **header):
    """A segment around any payload (nested lists, or bytes) with a valid signature: what a hostile writer can make."""
    raw = payload if isinstance(payload, bytes) else to_bytes(payload)
    if records is ...:
        records = len(payload[0][0]) + sum(len(kind) for kind in payload[1:])
    fields = {
        "version": 1,
        "plane": "ledger",
        "key": identity.public_key,
        "incarnation": identity.incarnation,
        "seq": 3,
        "supersedes": [],
        "records": records,
        "size": len(raw) if size is ... else size,
    }
    fields.update(header)
    if compressed is None:
        compressed = zstandard.ZstdCompressor().compress(raw)
    return seal(encode(list(fields.values())), compressed, identity)


def seal(header, compressed, identity=ME):
    return encode([header, compressed, identity.sign(module.signed_message(header, compressed))])


PAYLOAD = payload_of(a_bit_of_all())


def refused(data, match=None):
    with pytest.raises(RemoteError, match=match):
        unpack(data)


# Round trips

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
int64s = st.one_of(st.integers(INT64_MIN, INT64_MAX), st.integers(-3, 3), st.sampled_from((INT64_MIN, INT64_MAX)))
naturals = st.one_of(st.integers(0, INT64_MAX), st.integers(0, 3))
values = st.one_of(
    st.none(), st.binary(max_size=9), st.builds(Reference, texts, st.binary(max_size=4), st.integers(0, INT64_MAX))
)
changes = st.dictionaries(texts.filter(bool), values, max_size=3).map(ordered_changes)
commit_ids = st.one_of(st.sampled_from(OUTSIDE), st.binary(min_size=32, max_size=32))
dots = st.lists(st.builds(Dot, naturals, naturals), max_size=3, unique=True).map(lambda found: tuple(sorted(found)))
ref_assigns = st.builds(
    Assign, st.just("ref"), names, st.none() | commit_ids, st.builds(Dot, st.just(ME.writer), naturals), dots, naturals
)
other_assigns = st.builds(
    Assign,
    names.filter(lambda name: name != "ref"),
    names,
    st.none() | st.binary(max_size=8),
    st.builds(Dot, st.just(ME.writer), naturals),
    dots,
    naturals,
)
counts = st.builds(Count, commit_ids, st.lists(int64s, min_size=1, max_size=4).map(tuple), naturals)
discards = st.builds(Discard, commit_ids, naturals)


@st.composite
def batches(draw):
    """Any records: commits with parents inside and outside, parents that stand twice, commits that stand twice."""
    commits = []
    for _ in range(draw(st.integers(0, 6))):
        if commits and draw(st.integers(0, 9)) == 0:
            commits.append(draw(st.sampled_from(commits)))
            continue
        known = [*OUTSIDE, *(commit.id for commit in commits)]
        parents = tuple(draw(st.lists(st.sampled_from(known), max_size=4)))
        author = draw(st.sampled_from(("Ada", "Grace", "")))
        commits.append(Commit(parents, author, draw(int64s), draw(texts), draw(changes), draw(texts)))
    stamps = [draw(naturals) for _ in commits]
    assigns = draw(st.lists(ref_assigns | other_assigns, max_size=3))
    rest = draw(st.lists(counts, max_size=3)), draw(st.lists(discards, min_size=not (commits or assigns), max_size=3))
    return records_of(commits, stamps, assigns, *rest)


@given(batches(), st.integers(0, (1 << 32) - 1), names)
@settings(deadline=None)
def test_whatever_is_packed_is_unpacked(records, seq, plane):
    data = pack(records, plane=plane, identity=ME, seq=seq)
    found = unpack(data)
    assert found.records() == records
    assert len(found) == len(records)
    assert found.ids == [commit.id for commit in records.commits]
    assert found.key == SegmentKey(ME.writer, seq)
    assert (found.plane, found.replica_id, found.supersedes) == (plane, ME.replica_id, ())
    assert found.parents == [commit.parents for commit in records.commits]
    assert found.times == [commit.time for commit in records.commits]
    assert [found.commit(n).id for n in range(len(found.ids))] == found.ids
    assert [found.changes(n) for n in range(len(found.ids))] == [commit.changes for commit in records.commits]
    assert [found.origin(n) for n in range(len(found.ids))] == [commit.origin for commit in records.commits]
    assert unpack(pack(found.records(), plane=plane, identity=ME, seq=seq)).digest == found.digest


def test_the_extreme_times_lie_beside_each_other():
    commits = [Commit((), "a", time, "") for time in (INT64_MIN, INT64_MAX, INT64_MIN, 0, INT64_MAX)]
    records = records_of(commits, [INT64_MAX, 0, INT64_MAX, 0, 5])
    assert unpack(pack(records, plane="p", identity=ME, seq=0)).records() == records


def test_a_merge_of_a_thousand_parents_reads_back():
    parents = tuple(CommitId(n.to_bytes(32, "big")) for n in range(PARENTS_MAX))
    records = records_of([Commit(parents, "a", 0, "octopus")])
    assert unpack(pack(records, plane="p", identity=ME, seq=0)).ids == records.ids


def test_superseded_seqs_read_back():
    data = pack(a_bit_of_all(), plane="p", identity=ME, seq=9, supersedes=(0, 4, 8))
    assert unpack(data).supersedes == tuple(SegmentKey(ME.writer, seq) for seq in (0, 4, 8))


def test_a_segment_of_an_earlier_release_is_still_read():
    # Decoding is pinned, packing is not: another zstd may compress the same payload to other bytes.
    found = unpack(bytes.fromhex(GOLDEN["segment"]))
    assert found.key.text == GOLDEN["key"]
    assert found.plane == GOLDEN["plane"]
    assert [commit_id.hex() for commit_id in found.ids] == GOLDEN["ids"]
    assert [seq for _, seq in found.supersedes] == GOLDEN["supersedes"]
    assert found.digest.hex() == GOLDEN["digest"]
    assert to_bytes(payload_of(found.records())) == bytes.fromhex(GOLDEN["payload"])
    assert found.records() == a_bit_of_all()


# Damage and forgery


def test_each_changed_byte_is_noticed():
    data = pack(a_bit_of_all(), plane="ledger", identity=ME, seq=3)
    for at in range(len(data)):
        for change in (1, 0x80, 0xFF):
            refused(data[:at] + bytes([data[at] ^ change]) + data[at + 1 :])


def test_each_truncation_is_noticed():
    data = pack(a_bit_of_all(), plane="ledger", identity=ME, seq=3)
    for size in range(len(data)):
        refused(data[:size])


@pytest.mark.parametrize("more", [b"\0", b"\xff", b"\x80", b"x" * 100])
def test_bytes_behind_a_segment_are_noticed(more):
    refused(pack(a_bit_of_all(), plane="ledger", identity=ME, seq=3) + more)


def test_unsigned_reading_still_finds_structural_damage():
    data = craft([*PAYLOAD, []], records=7)
    with pytest.raises(RemoteSegmentError):
        unpack(data, check_signature=False)


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_remote_errors(data):
    refused(data)


@given(st.binary(max_size=100), st.binary(max_size=40), st.binary(max_size=64))
def test_random_parts_raise_nothing_but_remote_errors(header, payload, signature):
    refused(encode([header, payload, signature]))


@pytest.mark.parametrize(
    "parts",
    [None, 1, [], [b"", b""], [b"", b"", b"", b""], [b"", b"", "x"], [None, b"", b""], [[], b"", b""], b"x", "x", True],
)
def test_a_segment_that_is_not_three_byte_strings_is_refused(parts):
    refused(encode(parts))


def test_a_signature_by_another_replica_is_refused():
    header, compressed, _ = decode(pack(a_bit_of_all(), plane="ledger", identity=ME, seq=3))
    refused(encode([header, compressed, OTHER.sign(module.signed_message(header, compressed))]), "signature")


@pytest.mark.parametrize("signature", [b"", bytes(64), bytes(63), bytes(65), b"\xff" * 64])
def test_no_signature_is_refused(signature):
    header, compressed, _ = decode(pack(a_bit_of_all(), plane="ledger", identity=ME, seq=3))
    refused(encode([header, compressed, signature]), "signature")


def test_what_is_held_is_read_once():
    data = pack(a_bit_of_all(), plane="ledger", identity=ME, seq=3)
    held = unpack(data)
    assert unpack(bytes(bytearray(data))) is held
    assert unpack(data, check_signature=False) is held
    digest = held.digest
    del held
    assert unpack(data).digest == digest


def test_what_was_read_without_a_look_at_its_signature_is_not_verified_by_that():
    header, compressed, _ = decode(pack(a_bit_of_all(), plane="ledger", identity=ME, seq=3))
    forged = encode([header, compressed, bytes(64)])
    held = unpack(forged, check_signature=False)
    assert unpack(forged, check_signature=False) is held
    refused(forged, "signature")


def test_a_signature_does_not_move_to_another_segment():
    one = decode(pack(a_bit_of_all(), plane="ledger", identity=ME, seq=3))
    two = decode(pack(a_bit_of_all(), plane="ledger", identity=ME, seq=4))
    three = decode(pack(records_of(a_chain(2)), plane="ledger", identity=ME, seq=3))
    refused(encode([one[0], one[1], two[2]]), "signature")
    refused(encode([two[0], one[1], one[2]]), "signature")
    refused(encode([one[0], three[1], one[2]]), "signature")


def test_a_byte_cannot_move_from_the_header_to_the_payload_under_one_signature():
    header, compressed, signature = decode(pack(a_bit_of_all(), plane="ledger", identity=ME, seq=3))
    assert module.signed_message(header, compressed) != module.signed_message(header[:-1], header[-1:] + compressed)
    refused(encode([header[:-1], header[-1:] + compressed, signature]))


def test_another_key_or_incarnation_writes_under_another_number():
    stolen = craft(PAYLOAD, identity=OTHER, key=ME.public_key)
    refused(stolen, "signature")
    assert unpack(craft(PAYLOAD, identity=OTHER)).key.writer == OTHER.writer != ME.writer
    again = bytes(16)
    data = craft(PAYLOAD, incarnation=again)
    assert unpack(data).key.writer == writer_id(ME.public_key, again) != ME.writer


def test_dots_are_always_the_signers_own():
    # A row holds no writer, so nobody can assign under another's dot.
    assert {a.dot.writer for a in unpack(craft(PAYLOAD, identity=OTHER)).assigns} == {OTHER.writer}


@pytest.mark.parametrize("key", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32, b"\xec" + b"\xff" * 30 + b"\x7f"])
def test_a_degenerate_key_is_no_way_to_write_under_anothers_number(key):
    header, compressed, _ = decode(craft(PAYLOAD, key=key))
    for signature in (bytes(64), b"\x01" + bytes(63), key + bytes(32)):
        try:
            found = unpack(encode([header, compressed, signature]))
        except RemoteError:
            continue
        assert found.key.writer == writer_id(key, ME.incarnation)


# A hostile writer with a good key

HEADERS = {
    **{f"version {v!r}": {"version": v} for v in (0, 2, -1, None, True, "1", b"1", 1.0, [], (1 << 64) - 1)},
    **{f"plane {v!r}": {"plane": v} for v in ("", b"ledger", None, 1, [])},
    "long plane": {"plane": "x" * (NAME_BYTES_MAX + 1)},
    "long plane in bytes": {"plane": "é" * (NAME_BYTES_MAX // 2 + 1)},
    **{f"key {v!r:.9}": {"key": v} for v in (b"", ME.public_key[:-1], ME.public_key + b"\0", "x" * 32, None, 1)},
    **{f"incarnation {v!r:.9}": {"incarnation": v} for v in (b"", bytes(15), bytes(17), "x" * 16, None)},
    **{f"seq {v!r}": {"seq": v} for v in (-1, 1 << 32, (1 << 64) - 1, None, True, "0", 0.0)},
    **{f"supersedes {v!r}": {"supersedes": v} for v in (None, 0, b"", ["0"], [None], [True], [[0]], [0.0])},
    **{f"supersedes {v!r}, seq 3": {"supersedes": v} for v in ([3], [4], [-1], [1, 1], [2, 1], [0, 3], [-1, 0])},
    "supersedes too many": {"supersedes": list(range(SUPERSEDES_MAX + 1)), "seq": SUPERSEDES_MAX + 1},
    **{f"records {v!r}": {"records": v} for v in (0, -1, 1, 6, 8, RECORDS_MAX + 1, None, True, "7", 7.0)},
    **{f"size {v!r}": {"size": v} for v in (0, -1, 1, None, True, "9", 9.0, (1 << 64) - 1)},
}


@pytest.mark.parametrize("fields", HEADERS.values(), ids=HEADERS.keys())
def test_a_signed_header_with_a_wrong_field_is_refused(fields):
    refused(craft(PAYLOAD, **fields))


def test_the_segment_that_the_wrong_ones_derive_from_is_good():
    assert unpack(craft(PAYLOAD)).records() == a_bit_of_all()
    most = craft(PAYLOAD, supersedes=list(range(SUPERSEDES_MAX)), seq=SUPERSEDES_MAX)
    assert len(unpack(most).supersedes) == SUPERSEDES_MAX


@pytest.mark.parametrize("place", range(8))
def test_a_signed_header_with_a_field_less_or_more_is_refused(place):
    header, compressed, _ = decode(craft(PAYLOAD))
    fields = decode(header)
    refused(seal(encode(fields[:place] + fields[place + 1 :]), compressed))
    refused(seal(encode([*fields[:place], 0, *fields[place:]]), compressed))


@pytest.mark.parametrize(
    "header", [b"", b"\xf6", b"\x80", b"\x01", b"\xa0", b"\x81\x01", b"\x88" + b"\xf6" * 8, b"\xff"]
)
def test_a_signed_header_that_is_no_header_is_refused(header):
    refused(seal(header, decode(craft(PAYLOAD))[1]))


def test_a_signed_header_in_another_spelling_is_refused():
    header, compressed, _ = decode(craft(PAYLOAD))
    assert header[:2] == b"\x88\x01"
    refused(seal(b"\x88\x18\x01" + header[2:], compressed), "canonical")
    refused(seal(b"\x98\x08" + header[1:], compressed), "canonical")
    refused(seal(header + b"\0", compressed))


def test_a_signed_payload_in_another_spelling_is_refused():
    raw = to_bytes(PAYLOAD)
    assert raw[0] == 0x84
    for other in (b"\x98\x04" + raw[1:], b"\x9f" + raw[1:] + b"\xff", raw + b"\0", b"\xd9\xd9\xf7" + raw):
        refused(craft(other, records=7))
    assert unpack(craft(raw, records=7)).records() == a_bit_of_all()


def test_a_signed_payload_that_grows_when_it_is_written_again_is_refused():
    bomb = b"\x84\xd8\x1c\x94" + b"\0" * 20
    for level in range(3):
        bomb += b"\xd8\x1c\x94" + (b"\xd8\x1d" + bytes([level])) * 20
    refused(craft(bomb, records=1), "tag")


def test_a_number_too_long_to_print_is_refused_like_any_other():
    # Python refuses to print integers of more than 4,300 digits, with a ValueError.
    huge = b"\xc2\x59\x10\x00" + b"\xff" * 4096
    for raw in (huge, encode([*PAYLOAD[:3], 0])[:-1] + b"\x81\x82" + encode(OUTSIDE[0]) + huge):
        refused(craft(raw, records=7))
    refused(seal(b"\x88" + huge + bytes(7), decode(craft(PAYLOAD))[1]))


@pytest.mark.parametrize(
    "payload", [None, 0, b"", "", [], PAYLOAD[:3], [*PAYLOAD, []], [1, 2, 3, 4], [[]] * 4, [{}] * 4]
)
def test_a_signed_payload_of_another_shape_is_refused(payload):
    refused(craft(encode(payload), records=7))


COLUMNS = ("parent counts", "links", "externals", "authors", "numbers", "time steps", "messages")
COLUMNS += ("change counts", "paths", "values", "origins", "stamp steps")
KINDS = (int, int, bytes, str, int, int, str, int, str, object, str, int)
NO_KIND = (None, True, 1.5, [], [[]])
SHORTER_AND_LONGER = [(place, name) for place, name in enumerate(COLUMNS)]
LOOKED_UP = {"externals", "authors"}


def with_column(place, column):
    payload = copy.deepcopy(PAYLOAD)
    payload[0][place] = column
    return craft(payload, records=7)


def test_every_column_is_under_test():
    assert len(PAYLOAD[0]) == len(COLUMNS)
    assert all(PAYLOAD[0])


@pytest.mark.parametrize("place, name", SHORTER_AND_LONGER)
def test_a_column_that_is_too_short_or_too_long_is_refused(place, name):
    column = PAYLOAD[0][place]
    for size in range(len(column)):
        refused(with_column(place, column[:size]))
    if name not in LOOKED_UP:
        refused(with_column(place, [*column, column[-1]]))


@pytest.mark.parametrize("place, kind", list(enumerate(KINDS)), ids=COLUMNS)
def test_a_column_with_anything_of_another_type_is_refused(place, kind):
    column = PAYLOAD[0][place]
    # What is no integer cannot stand in an integer column; the whole column is then an array, and that is refused.
    wrong = [v for v in (*NO_KIND, 0, b"x", "x") if type(v) is not kind and not (kind is int and type(v) is bool)]
    if kind is object:
        wrong = [True, 1.5, 0, "x", [], [[]], [b"s", b"", 1], ["s", b"", -1], ["s", b"", INT64_MAX + 1]]
    for at in range(len(column)):
        for value in wrong:
            refused(with_column(place, [*column[:at], value, *column[at + 1 :]]))


@pytest.mark.parametrize("place", range(12), ids=COLUMNS)
@pytest.mark.parametrize("column", [None, 0, b"", "", True, 1.5], ids=repr)
def test_a_column_that_is_no_array_is_refused(place, column):
    refused(with_column(place, column))


@pytest.mark.parametrize("place", range(13))
def test_a_column_less_or_more_is_refused(place):
    columns = PAYLOAD[0]
    refused(craft([[*columns[:place], [], *columns[place:]], *PAYLOAD[1:]], records=7))
    if place < 12:
        refused(craft([columns[:place] + columns[place + 1 :], *PAYLOAD[1:]], records=7))


PARENT_COUNTS, LINKS, EXTERNALS, AUTHORS, NUMBERS, TIME_STEPS, _, CHANGE_COUNTS, PATHS, _, _, STAMP_STEPS = range(12)
HUGE = (INT64_MAX, INT64_MIN, (1 << 64) - 1, -(1 << 64))


@pytest.mark.parametrize("link", [0, 3, 4, 1000, -3, -4, -1000, *HUGE])
def test_a_parent_link_that_points_nowhere_is_refused(link):
    links = PAYLOAD[0][LINKS]
    for at in range(len(links)):
        refused(with_column(LINKS, [*links[:at], link, *links[at + 1 :]]), "nowhere|external parents|byte string")


def test_a_commit_cannot_be_its_own_parent_or_that_of_an_earlier_one():
    payload = payload_of(records_of(a_chain(3)))
    assert payload[0][LINKS] == [1, 1]
    for links in ([0, 1], [1, 0], [2, 1], [1, 3]):
        payload[0][LINKS] = links
        refused(craft(payload), "nowhere")


@pytest.mark.parametrize("column", [PARENT_COUNTS, NUMBERS, CHANGE_COUNTS])
@pytest.mark.parametrize("number", [-1, 9, 1001, *HUGE])
def test_a_count_or_a_number_out_of_bounds_is_refused(column, number):
    values = PAYLOAD[0][column]
    for at in range(len(values)):
        refused(with_column(column, [*values[:at], number, *values[at + 1 :]]))


@pytest.mark.parametrize(
    "column, values",
    [
        (PARENT_COUNTS, [-1, 3, 4]),
        (PARENT_COUNTS, [7, -1, 0]),
        (CHANGE_COUNTS, [-1, 4, 0]),
        (CHANGE_COUNTS, [4, -1, 0]),
    ],
)
def test_counts_below_zero_do_not_make_up_for_others(column, values):
    assert sum(values) == sum(PAYLOAD[0][column])
    refused(with_column(column, values))


def test_a_parent_count_below_zero_does_not_let_two_commits_share_a_link():
    parents = (OUTSIDE[0], OUTSIDE[1])
    commits = [Commit(parents, "a", 0, ""), Commit((), "a", 1, ""), Commit((), "a", 2, "")]
    payload = payload_of(records_of(commits))
    assert payload[0][PARENT_COUNTS] == [2, 0, 0]
    payload[0][PARENT_COUNTS] = [2, -1, 1]
    refused(craft(payload))


def test_a_commit_of_too_many_parents_is_refused():
    payload = payload_of(records_of([Commit((OUTSIDE[0],) * PARENTS_MAX, "a", 0, "")]))
    assert len(unpack(craft(payload)).parents[0]) == PARENTS_MAX
    payload[0][PARENT_COUNTS] = [PARENTS_MAX + 1]
    payload[0][LINKS].append(-1)
    refused(craft(payload), "parents")


@pytest.mark.parametrize("external", [b"", bytes(31), bytes(33)])
def test_an_external_parent_that_is_no_id_is_refused(external):
    refused(with_column(EXTERNALS, [external, OUTSIDE[1]]))


def test_an_external_parent_that_stands_twice_is_refused():
    refused(with_column(EXTERNALS, [OUTSIDE[1], OUTSIDE[1]]))


@pytest.mark.parametrize("times", [(INT64_MIN, INT64_MAX, INT64_MIN), (INT64_MAX, -1, INT64_MIN), (0, INT64_MIN, 1)])
def test_a_step_between_the_ends_of_64_bits_wraps_around(times):
    records = records_of(Commit((), "a", time, "") for time in times)
    assert unpack(pack(records, plane="p", identity=ME, seq=0)).records() == records


@pytest.mark.parametrize("column", INTEGER_COLUMNS)
def test_an_integer_column_in_another_width_is_refused(column):
    narrow = integer_column(PAYLOAD[0][column])
    assert narrow[0] == 1
    wide = bytes([2]) + b"".join(value.to_bytes(2, "little", signed=True) for value in PAYLOAD[0][column])
    refused(with_column(column, wide), "wide")
    refused(with_column(column, narrow + b"\0"))
    refused(with_column(column, b"\3" + narrow[1:]), "column of integers")


def test_a_stamp_below_zero_is_refused():
    refused(with_column(STAMP_STEPS, [5, -6, 7]), "stamp")


@pytest.mark.parametrize(
    "paths", [["b", "a", "c"], ["a", "a", "c"], ["", "b", "c"], ["a", "b", ""], ["x" * 4097, "b", "c"]]
)
def test_paths_out_of_order_are_refused(paths):
    refused(with_column(PATHS, paths), "path")


def test_each_commit_starts_its_paths_anew():
    assert unpack(with_column(PATHS, ["x", "y", "a"])).changes(1)[0][0] == "a"


ASSIGN = ["meta", "key", b"value", 5, [[1, 2], [1, 3], [2, 0]], 9]
ROWS = {
    "assign": {
        "namespace": (0, ("", None, 1, b"meta", "x" * 1025, "a\n", "\x1b[2J", "\x7f")),
        "key": (1, ("", None, 1, b"key", "é" * 513, "a\x00", "\t")),
        "value": (2, ("text", 1, True, [], 1.5)),
        "counter": (3, (-1, None, True, "5", 1.0, INT64_MAX + 1)),
        "supersedes": (
            4,
            (
                None,
                0,
                b"",
                "",
                [1, 2],
                [[1]],
                [[1, 2, 3]],
                [[]],
                [["1", 2]],
                [[1, True]],
                [[-1, 0]],
                [[0, -1]],
                [None],
                [[1, 2], [1, 2]],
                [[1, 3], [1, 2]],
                [[2, 0], [1, 9]],
                [[0, INT64_MAX + 1]],
            ),
        ),
        "stamp": (5, (-1, None, True, "9", 1.0, INT64_MAX + 1)),
    },
    "count": {
        "commit": (0, (None, b"", bytes(31), bytes(33), "x" * 32, 0)),
        "vector": (
            1,
            (
                None,
                0,
                b"\x01",
                [],
                [None],
                [True],
                [1.0],
                ["1"],
                [[1]],
                [1] * (VECTOR_LENGTH_MAX + 1),
                [INT64_MAX + 1],
                [INT64_MIN - 1],
                [0, (1 << 64) - 1],
            ),
        ),
        "stamp": (2, (-1, None, False, "9", 1.0, INT64_MAX + 1)),
    },
    "discard": {
        "commit": (0, (None, b"", bytes(31), bytes(33), "x" * 32, 0)),
        "stamp": (1, (-1, None, True, "9", 1.0, INT64_MAX + 1)),
    },
}
GOOD_ROWS = {"assign": ASSIGN, "count": [OUTSIDE[0], [1, 2], 9], "discard": [OUTSIDE[0], 9]}
KIND_PLACES = {"assign": 1, "count": 2, "discard": 3}


def with_row(kind, row):
    payload = [[[] for _ in COLUMNS], [], [], []]
    payload[KIND_PLACES[kind]] = [row]
    return craft(payload, records=1)


@pytest.mark.parametrize("kind, field", [(kind, field) for kind, fields in ROWS.items() for field in fields])
def test_a_record_with_a_wrong_field_is_refused(kind, field):
    good = GOOD_ROWS[kind]
    assert len(unpack(with_row(kind, good))) == 1
    place, wrong = ROWS[kind][field]
    for value in wrong:
        refused(with_row(kind, [*good[:place], value, *good[place + 1 :]]))


@pytest.mark.parametrize("kind", GOOD_ROWS)
def test_a_record_of_another_shape_is_refused(kind):
    good = GOOD_ROWS[kind]
    for row in (None, 0, b"", "", [], good[:-1], [*good, 0], [good]):
        refused(with_row(kind, row))
    for rows in (None, 0, b"", "x", True, {}):
        payload = [[[] for _ in COLUMNS], [], [], []]
        payload[KIND_PLACES[kind]] = rows
        refused(craft(encode(payload), records=1))


@pytest.mark.parametrize("value", [b"", bytes(31), bytes(33), b"main"])
def test_a_ref_that_points_at_something_else_than_a_commit_is_refused(value):
    refused(with_row("assign", ["ref", "main", value, 0, [], 0]), "commit id")
    assert unpack(with_row("assign", ["meta", "main", value, 0, [], 0])).assigns[0].value == value


nonsense = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.floats(),
        st.integers(-3, 3),
        st.integers(-(1 << 64), (1 << 64) - 1),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
        st.binary(max_size=3),
        st.just(OUTSIDE[0]),
    ),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=12,
)


@st.composite
def misshapen(draw):
    """The good payload with one to three of its parts, at any depth, replaced by nonsense."""
    payload = copy.deepcopy(PAYLOAD)
    for _ in range(draw(st.integers(1, 3))):
        part = payload
        while True:
            at = draw(st.integers(0, len(part) - 1))
            if type(part[at]) is list and part[at] and draw(st.booleans()):
                part = part[at]
                continue
            part[at] = draw(nonsense)
            break
    return payload


@given(misshapen(), st.sampled_from((1, 6, 7, 8)))
@settings(max_examples=400, deadline=None)
def test_nonsense_anywhere_in_a_signed_payload_raises_nothing_but_remote_errors(payload, records):
    try:
        found = unpack(craft(encode(payload), records=records))
    except RemoteError:
        return
    again = pack(found.records(), plane="ledger", identity=ME, seq=3)
    assert unpack(again).records() == found.records()
    assert found.ids == [commit.id for commit in found.records().commits]


# Size


def test_a_thousand_records_are_the_most():
    full = payload_of(records_of(discards=[Discard(OUTSIDE[0], n) for n in range(RECORDS_MAX)]))
    assert len(unpack(craft(full))) == RECORDS_MAX
    full[3].append([OUTSIDE[0], 0])
    refused(craft(full), "out of bounds")
    for claim in (1, RECORDS_MAX):
        refused(craft(full, records=claim), "claims")


def two_commits(bytes_in_all):
    commits = [Commit((), "a", 0, "x" * 100), Commit((), "a", 0, "")]
    slack = bytes_in_all - len(to_bytes(payload_of(records_of(commits))))
    # The head of a text of 64 KiB or more takes four bytes more than that of an empty one.
    commits[1] = Commit((), "a", 0, "y" * (slack - 4))
    return payload_of(records_of(commits))


def test_256_kib_are_the_most_for_several_records():
    payload = two_commits(PAYLOAD_BYTES_MAX)
    assert len(to_bytes(payload)) == PAYLOAD_BYTES_MAX
    assert len(unpack(craft(payload))) == 2
    payload[0][6][0] += "x"
    assert len(to_bytes(payload)) == PAYLOAD_BYTES_MAX + 1
    refused(craft(payload), "limit")


def test_pack_refuses_what_nobody_could_read_again():
    with pytest.raises(LocalError, match="at most"):
        two_commits(PAYLOAD_BYTES_MAX + 1)


def test_the_largest_record_travels_alone():
    commit = Commit((), "a", 0, "m", (("p", bytes(RECORD_BYTES_MAX - 60)),))
    assert RECORD_BYTES_MAX - 60 < len(commit.canonical()) <= RECORD_BYTES_MAX
    data = pack(records_of([commit]), plane="ledger", identity=ME, seq=0)
    assert unpack(data).ids == [commit.id]


def test_the_largest_record_travels_alone_even_when_it_does_not_compress():
    noise = hashlib.shake_256(b"noise").digest(RECORD_BYTES_MAX - 60)
    commit = Commit((), "a", 0, "m", (("p", noise),))
    data = pack(records_of([commit]), plane="ledger", identity=ME, seq=0)
    assert len(data) > RECORD_BYTES_MAX
    assert unpack(data).ids == [commit.id]


def test_a_lone_record_beyond_the_limit_is_refused():
    payload = payload_of(records_of([Commit((), "a", 0, "")]))
    payload[0][6] = ["x" * LONE_PAYLOAD_BYTES_MAX]
    refused(craft(payload), "limit")


def test_a_segment_beyond_the_limit_is_refused_before_it_is_read(monkeypatch):
    def fail(data):
        raise AssertionError("it was read")

    monkeypatch.setattr(reading, "decode", fail)
    refused(bytes(SEGMENT_BYTES_MAX + 1), "at most")


def peak_of(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


ZEROS = bytes(32 << 20)
BOMB = zstandard.ZstdCompressor().compress(ZEROS)


def frame_claiming(size):
    """The frame of 32 MiB with another content size in its head (four bytes behind magic, descriptor and window)."""
    assert BOMB[4] >> 5 == 0b100  # a content size of four bytes, several segments
    assert int.from_bytes(BOMB[6:10], "little") == len(ZEROS)
    return BOMB[:6] + size.to_bytes(4, "little") + BOMB[10:]


def test_a_bomb_is_not_unfolded():
    size = len(encode(PAYLOAD))
    for data in (
        craft(PAYLOAD, compressed=BOMB),  # the frame is honest, the header lies
        craft(PAYLOAD, compressed=BOMB, size=len(ZEROS)),  # both are honest, and it is too much
        craft(PAYLOAD, compressed=frame_claiming(size)),  # both lie
        craft(PAYLOAD, compressed=frame_claiming(PAYLOAD_BYTES_MAX), size=PAYLOAD_BYTES_MAX),
        craft(PAYLOAD, compressed=frame_claiming((1 << 32) - 1)),
    ):
        assert peak_of(lambda data=data: refused(data)) < 4 << 20


def test_a_frame_that_hides_its_size_is_refused():
    compressed = zstandard.ZstdCompressor(write_content_size=False).compress(encode(PAYLOAD))
    refused(craft(PAYLOAD, compressed=compressed), "claims")


def test_a_payload_other_than_its_one_frame_is_refused():
    good = zstandard.ZstdCompressor().compress(encode(PAYLOAD))
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    empty = zstandard.ZstdCompressor().compress(b"")
    for compressed in (b"", b"x", good[:-1], good + b"\0", good + good, skippable, skippable + good, good + skippable):
        refused(craft(PAYLOAD, compressed=compressed))
    refused(craft(PAYLOAD, compressed=empty + good))
    refused(craft(PAYLOAD, compressed=good, size=len(encode(PAYLOAD)) + 1))
    refused(craft(PAYLOAD, compressed=good, size=len(encode(PAYLOAD)) - 1))


def test_a_damaged_frame_raises_nothing_but_remote_errors():
    good = zstandard.ZstdCompressor().compress(encode(PAYLOAD))
    for at in range(len(good)):
        data = craft(PAYLOAD, compressed=good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1 :])
        try:
            unpack(data)
        except RemoteError:
            continue  # some flips give another valid payload: a hostile writer may sign what it likes


def test_taking_records_back_leaves_what_was_there():
    records = a_bit_of_all()
    before = copy.deepcopy(records)
    lengths = records.lengths()
    records.extend(a_bit_of_all())
    assert len(records) == 2 * len(before)
    records.truncate(lengths)
    assert records == before
