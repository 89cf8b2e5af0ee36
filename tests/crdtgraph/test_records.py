"""A commit has one spelling, wrong ones are refused, and what we accept from a caller we accept from a peer."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph.canonical import INT64_MAX, INT64_MIN, RemoteEncodingError, encode
from crdtgraph.errors import LocalError
from crdtgraph.records import (
    NAME_BYTES_MAX,
    PARENTS_MAX,
    PATH_BYTES_MAX,
    VECTOR_LENGTH_MAX,
    Commit,
    Reference,
    changes_from_wire,
    check_commit,
    check_name,
    check_vector,
    ordered_changes,
    value_to_wire,
)

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "commits.json").read_text())
P1, P2 = bytes(range(32)), b"\xff" * 32

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
int64s = st.integers(INT64_MIN, INT64_MAX)
references = st.builds(Reference, texts, st.binary(max_size=40), st.integers(0, INT64_MAX))
values = st.one_of(st.none(), st.binary(max_size=60), references)
changes = st.dictionaries(texts.filter(bool), values, max_size=5).map(ordered_changes)
parents = st.lists(st.binary(min_size=32, max_size=32), max_size=4).map(tuple)
commits = st.builds(Commit, parents, texts, int64s, texts, changes, texts)


def wire(commit):
    pairs = [[path, value_to_wire(value)] for path, value in commit.changes]
    return [1, list(commit.parents), commit.author, commit.time, commit.message, pairs, commit.origin]


def from_json(fields):
    def value(found):
        if isinstance(found, list):
            return Reference(found[0], bytes.fromhex(found[1]), found[2])
        return None if found is None else bytes.fromhex(found)

    return Commit(
        tuple(bytes.fromhex(parent) for parent in fields["parents"]),
        fields["author"],
        fields["time"],
        fields["message"],
        tuple((path, value(found)) for path, found in fields["changes"]),
        fields["origin"],
    )


@pytest.mark.parametrize("vector", GOLDEN, ids=[vector["name"] for vector in GOLDEN])
def test_ids_are_the_same_for_ever(vector):
    commit = from_json(vector["commit"])
    assert commit.canonical().hex() == vector["canonical"]
    assert commit.id.hex() == vector["id"]
    assert Commit.from_canonical(bytes.fromhex(vector["canonical"])) == commit


@given(commits)
def test_every_commit_reads_back(commit):
    data = commit.canonical()
    assert data == encode(wire(commit))
    assert Commit.from_canonical(data) == commit
    check_commit(commit)


@given(commits, commits)
def test_different_commits_have_different_ids(one, other):
    assert (one.id == other.id) == (one == other)


@given(commits, st.data())
@settings(max_examples=300)
def test_a_changed_byte_gives_another_commit_or_an_encoding_error(commit, data):
    good = commit.canonical()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]
    try:
        other = Commit.from_canonical(bad)
    except RemoteEncodingError:
        return
    assert other != commit
    assert other.canonical() == bad


@given(commits)
@settings(max_examples=20)
def test_a_commit_cut_short_or_with_bytes_behind_it_is_refused(commit):
    good = commit.canonical()
    for size in range(len(good)):
        with pytest.raises(RemoteEncodingError):
            Commit.from_canonical(good[:size])
    with pytest.raises(RemoteEncodingError):
        Commit.from_canonical(good + b"\0")


GOOD = [1, [P1], "author", 5, "message", [["a", b"1"], ["b", None], ["c", ["git-blob", b"x", 9]]], "git:00"]


def changed(place, value):
    return [*GOOD[:place], value, *GOOD[place + 1 :]]


WRONG = {
    "no array": b"commit",
    "a number": 1,
    "none": None,
    "a field less": GOOD[:-1],
    "a field more": [*GOOD, ""],
    "empty": [],
    **{f"version {v!r}": changed(0, v) for v in (0, 2, -1, None, True, 1.0, "1", b"\1", [1], 1 << 63)},
    **{f"parents {v!r}": changed(1, v) for v in (None, 0, b"", P1, "p", True)},
    "parent of 31 bytes": changed(1, [P1[:31]]),
    "parent of 33 bytes": changed(1, [P1 + b"\0"]),
    "empty parent": changed(1, [b""]),
    "parent as text": changed(1, ["x" * 32]),
    "parent as array": changed(1, [[0] * 32]),
    "parent as none": changed(1, [None]),
    "a good parent and a bad one": changed(1, [P1, 5]),
    "too many parents": changed(1, [P1] * (PARENTS_MAX + 1)),
    **{f"{n} {v!r}": changed(p, v) for n, p in (("author", 2), ("message", 4), ("origin", 6)) for v in (None, b"a", 1)},
    "author as array": changed(2, ["a"]),
    "message as false": changed(4, False),
    **{f"time {v!r}": changed(3, v) for v in (None, "5", b"5", 5.0, True, [], INT64_MAX + 1, INT64_MIN - 1)},
    **{f"changes {v!r}": changed(5, v) for v in (None, "a", b"a", 0, False, ["a"], [["a"]], [["a", b"", b""]], [[]])},
    "change with a path of bytes": changed(5, [[b"a", b""]]),
    "change with no path": changed(5, [[None, b""]]),
    "empty path": changed(5, [["", b""]]),
    "path too long": changed(5, [["x" * (PATH_BYTES_MAX + 1), b""]]),
    "path too long in bytes": changed(5, [["é" * (PATH_BYTES_MAX // 2 + 1), b""]]),
    "a path twice": changed(5, [["a", b"1"], ["a", b"1"]]),
    "paths out of order": changed(5, [["b", b""], ["a", b""]]),
    # By code point U+FFFD comes before U+10000, by UTF-16 unit after it; bytes decide.
    "paths in the order of UTF-16": changed(5, [["\U00010000", b""], ["\ufffd", b""]]),
    **{f"value {v!r}": changed(5, [["a", v]]) for v in ("text", 1, True, 1.5, [], ["s"], ["s", b""], ["s", b"", 1, 1])},
    **{f"reference {v!r}": changed(5, [["a", v]]) for v in ([b"s", b"", 1], ["s", "", 1], ["s", b"", "1"])},
    **{f"size {v!r}": changed(5, [["a", ["s", b"", v]]]) for v in (-1, None, True, 1.0, INT64_MAX + 1)},
}


def test_the_commit_that_the_wrong_ones_derive_from_is_good():
    assert Commit.from_canonical(encode(GOOD)).canonical() == encode(GOOD)
    most = changed(1, [P1] * PARENTS_MAX)
    assert Commit.from_canonical(encode(most)).canonical() == encode(most)


@pytest.mark.parametrize("fields", WRONG.values(), ids=WRONG.keys())
def test_a_field_of_the_wrong_shape_is_refused(fields):
    with pytest.raises(RemoteEncodingError):
        Commit.from_canonical(encode(fields))


nonsense = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), int64s, st.text(max_size=3), st.binary(max_size=33)),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


@given(st.integers(0, 6), nonsense)
@settings(max_examples=300)
def test_nonsense_in_any_field_raises_nothing_but_the_encoding_error(place, value):
    try:
        data = encode(changed(place, value))
    except UnicodeEncodeError:
        return
    try:
        commit = Commit.from_canonical(data)
    except RemoteEncodingError:
        return
    assert commit.canonical() == data


@given(st.dictionaries(texts.filter(bool), values, max_size=6), st.randoms())
def test_the_order_in_which_a_caller_names_paths_changes_nothing(found, random):
    items = list(found.items())
    random.shuffle(items)
    assert ordered_changes(dict(items)) == ordered_changes(found)
    assert changes_from_wire([[p, value_to_wire(v)] for p, v in ordered_changes(found)]) == ordered_changes(found)


BAD_CHANGES = {
    "text for bytes": {"a": "text"},
    "a number": {"a": 1},
    "bytearray": {"a": bytearray(b"x")},
    "a list": {"a": []},
    "empty path": {"": b""},
    "path of bytes": {b"a": b""},
    "path too long": {"é" * 2049: b""},
    "surrogate in a path": {"\udc80": b""},
    "reference with a scheme of bytes": {"a": Reference(b"s", b"", 0)},
    "reference with a surrogate": {"a": Reference("\udc80", b"", 0)},
    "reference with a digest of text": {"a": Reference("s", "d", 0)},
    "reference of negative size": {"a": Reference("s", b"", -1)},
    "reference of size true": {"a": Reference("s", b"", True)},
    "reference of a size beyond 64 bits": {"a": Reference("s", b"", 1 << 63)},
    "reference of fractional size": {"a": Reference("s", b"", 1.0)},
}


@pytest.mark.parametrize("found", BAD_CHANGES.values(), ids=BAD_CHANGES.keys())
def test_changes_that_no_peer_would_read_are_refused_from_a_caller(found):
    with pytest.raises(LocalError):
        ordered_changes(found)
    with pytest.raises(LocalError):
        ordered_changes({"good": b"", **found})
    with pytest.raises(LocalError):
        check_commit(Commit((), "a", 0, "m", tuple(found.items())))


BAD_COMMITS = {
    "author of bytes": Commit((), b"a", 0, ""),
    "author with a surrogate": Commit((), "\udc80", 0, ""),
    "message of none": Commit((), "a", 0, None),
    "origin of none": Commit((), "a", 0, "", (), None),
    "time of text": Commit((), "a", "0", ""),
    "time of float": Commit((), "a", 0.0, ""),
    "time of bool": Commit((), "a", True, ""),
    "time too late": Commit((), "a", INT64_MAX + 1, ""),
    "time too early": Commit((), "a", INT64_MIN - 1, ""),
    "short parent": Commit((P1[:-1],), "a", 0, ""),
    "parent in hex": Commit((P1.hex(),), "a", 0, ""),
    "too many parents": Commit((P1,) * (PARENTS_MAX + 1), "a", 0, ""),
    "changes out of order": Commit((), "a", 0, "", (("b", b""), ("a", b""))),
    "a path twice": Commit((), "a", 0, "", (("a", b""), ("a", b""))),
}


@pytest.mark.parametrize("commit", BAD_COMMITS.values(), ids=BAD_COMMITS.keys())
def test_a_commit_that_no_peer_would_read_is_refused_from_a_caller(commit):
    with pytest.raises(LocalError):
        check_commit(commit)


@pytest.mark.parametrize(
    "vector", [(), (1,) * (VECTOR_LENGTH_MAX + 1), (1.0,), (True,), ("1",), (None,), (1 << 63,), (-(1 << 63) - 1,)]
)
def test_a_counter_that_is_no_vector_of_64_bit_integers_is_refused(vector):
    with pytest.raises(LocalError):
        check_vector(vector)


def test_the_extreme_counters_are_possible():
    edge = [INT64_MIN, 0, INT64_MAX]
    assert check_vector(iter(edge)) == tuple(edge)
    assert len(check_vector([1] * VECTOR_LENGTH_MAX)) == VECTOR_LENGTH_MAX


@pytest.mark.parametrize(
    "name", ["", None, b"main", 1, "a\nb", "\x1b[2J", "a\x00", "\x7f", "\udc80", "x" * 1025, "é" * 513]
)
def test_a_name_that_could_not_stand_on_a_line_is_refused(name):
    with pytest.raises(LocalError):
        check_name(name, "ref")


@pytest.mark.parametrize("name", ["main", "heads/é", " ", "x" * NAME_BYTES_MAX, "é" * (NAME_BYTES_MAX // 2)])
def test_any_other_name_is_possible(name):
    assert check_name(name, "ref") == name
