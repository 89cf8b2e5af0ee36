"""A segment says what was packed into it and by whom, or it is refused: by its bytes alone, and cheaply."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph import segment as module
from crdtgraph.canonical import INT64_MAX, INT64_MIN, decode, encode, integer_column, read_integer_column
from crdtgraph.errors import RemoteError
from crdtgraph.ids import CommitId, Dot, SegmentKey, writer_id
from crdtgraph.records import (
    PARENTS_MAX,
    Assign,
    Commit,
    Count,
    Discard,
    Reference,
    ordered_changes,
)
from crdtgraph.segment import (
    Records,
    RemoteSegmentError,
    pack,
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
