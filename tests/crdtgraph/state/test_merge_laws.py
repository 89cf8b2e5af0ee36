"""Laws of merging by policy: which side is which plays no part where it should not, and trivial merges are trivial."""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crdtgraph
from crdtgraph import CommitId, Graph, Host, LocalError, MergeFunction, MergePolicy, Reference, Value
from crdtgraph.ancestry import merge_bases
from crdtgraph.planes import LEDGER
from crdtgraph.state import PathConflict, merge_heads, merge_states
from crdtgraph.state.latest import Head, moments
from crdtgraph.state.policies import NO_POLICIES, Policies, read_policies
from crdtgraph.state.resolving import DIGITS_MAX
from crdtgraph.state.texts import merge_texts

SYMMETRIC = ("max", "min", "sum", "set-union", "text")
PATH = "p"

decimals = st.builds(
    lambda sign, whole, point, end: f"{sign}{whole}{point}{end}".encode(),
    st.sampled_from(["", "-", "+"]),
    st.integers(0, 30) | st.integers(0, 10**40),
    st.sampled_from(["", ".0", ".5", ".50", ".25"]),
    st.sampled_from(["", "\n"]),
)
texts = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"\n", "ä\n".encode()]), max_size=6).map(b"".join)
values = st.one_of(
    decimals, texts, st.binary(max_size=3), st.none(), st.just(Reference("s", b"d", 1)), st.sampled_from([b"", b"z"])
)


def state(value: Value) -> dict[str, Value]:
    return {} if value is None else {PATH: value}


def policies(policy: str | MergeFunction) -> Policies:
    return read_policies({"*": policy})


def merged(base: Value, ours: Value, theirs: Value, policy: str | MergeFunction) -> tuple[Value, list[PathConflict]]:
    """What becomes of one path."""
    sides = state(base), state(ours), state(theirs)
    before = [dict(side) for side in sides]
    changes, conflicts, settled = merge_states([sides[0]], sides[1], sides[2], policies=policies(policy))
    assert [dict(side) for side in sides] == before, "a state was changed"
    assert changes.keys() <= {PATH}
    assert [(each.path, each.value) for each in settled] in ([], [(PATH, changes.get(PATH, ours))])
    assert not (settled and conflicts)
    return changes.get(PATH, ours), conflicts


def swapped(conflicts: list[PathConflict]) -> list[PathConflict]:
    return [PathConflict(each.path, each.base, each.theirs, each.ours) for each in conflicts]


@settings(max_examples=600)
@given(st.sampled_from(SYMMETRIC), values, values, values)
def test_the_sides_of_a_symmetric_policy_may_be_swapped(policy: str, base: Value, ours: Value, theirs: Value) -> None:
    value, conflicts = merged(base, ours, theirs, policy)
    other, mirrored = merged(base, theirs, ours, policy)
    assert mirrored == swapped(conflicts)
    assert (value, other) == ((ours, theirs) if conflicts else (value, value))


@given(values, values, values)
def test_ours_and_theirs_mirror_each_other(base: Value, ours: Value, theirs: Value) -> None:
    assert merged(base, ours, theirs, "ours") == merged(base, theirs, ours, "theirs")
    if len({ours, theirs, base}) == 3:
        assert merged(base, ours, theirs, "ours") == (ours, [])
        assert merged(base, ours, theirs, "theirs") == (theirs, [])


@pytest.mark.parametrize("policy", list(MergePolicy))
@given(base=values, side=values)
def test_a_merge_with_oneself_or_the_base_is_trivial(policy: str, base: Value, side: Value) -> None:
    assert merged(side, side, side, policy) == (side, [])
    if policy != "sum":
        assert merged(base, side, side, policy) == (side, []), "what both changed alike"
    assert merged(base, base, side, policy) == (side, [])
    assert merged(base, side, base, policy) == (side, [])


@given(decimals | st.none(), decimals, decimals)
def test_numbers_are_those_of_exact_arithmetic(base: Value, ours: bytes, theirs: bytes) -> None:
    def number(value: Value) -> Decimal:
        return Decimal(value.decode().strip()) if isinstance(value, bytes) else Decimal(0)

    with localcontext() as context:
        context.prec = 200
        expected = {
            "max": max(number(ours), number(theirs)),
            "min": min(number(ours), number(theirs)),
            "sum": number(ours) + number(theirs) - number(base),
        }
        for policy, wanted in expected.items():
            if base in (ours, theirs) and policy != "sum":
                continue
            value, conflicts = merged(base, ours, theirs, policy)
            assert conflicts == []
            assert number(value) == wanted


lines = st.sets(st.sampled_from([b"a", b"b", b"c", b"d", b"\xff"]))


@given(lines, lines, lines)
def test_a_set_has_what_was_added_and_not_what_was_removed(
    base: set[bytes], ours: set[bytes], theirs: set[bytes]
) -> None:
    def written(held: set[bytes]) -> bytes:
        return b"".join(line + b"\n" for line in sorted(held))

    value, conflicts = merged(written(base), written(ours), written(theirs), "set-union")
    kept = {line for line in base | ours | theirs if (line in ours) == (line in theirs) or line not in base}
    expected = {line for line in kept if line in ours or line in theirs}
    assert (value, conflicts) == (written(expected), [])


@pytest.mark.parametrize(
    "policy, base, ours, theirs, expected",
    [
        ("max", b"0", b"3", b"12", b"12"),
        ("max", b"0", b"1.5", b"-2", b"1.5"),
        ("max", b"0", b"1.0", b"1", b"1.0"),
        ("max", b"0", b"12\n", b"3", b"12\n"),
        ("min", b"0", b"3", b"12", b"3"),
        ("min", None, b"-1", b"+1", b"-1"),
        ("sum", b"10", b"13", b"9", b"12"),
        ("sum", None, b"1", b"2", b"3"),
        ("sum", b"5", b"6", b"6", b"7"),
        ("sum", None, b"1", b"1", b"2"),
        ("sum", b"5", b"x", b"x", b"x"),
        ("sum", b"1", b"0.5", b"0.25", b"-0.25"),
        ("sum", b"0", b"0.5", b"-0.50", b"0.00"),
        ("sum", b"-1", b"-2", b"-3\n", b"-4\n"),
        ("sum", b"0", b"9" * DIGITS_MAX, b"1", b"1" + b"0" * DIGITS_MAX),
        ("set-union", b"a\nb\n", b"b\nc\n", b"a\nd", b"c\nd\n"),
        ("set-union", None, b"b\n", b"a\n\na\n", b"a\nb\n"),
        ("set-union", b"a\n", None, b"a\nb\n", b"b\n"),
        ("set-union", b"a\n", None, b"", None),
        ("set-union", b"a\nb\n", b"a\n", b"b\n", b""),
        ("text", b"1\n2\n3\n4\n", b"one\n2\n3\n4\n", b"1\n2\n3\nfour", b"one\n2\n3\nfour"),
        ("text", b"1\n2\n3\n", b"1\n2\n", b"2\n3\n", b"2\n"),
        ("text", b"1\r\n2\r\n3\r\n", b"1\r\n2\r\nx\r\n", b"y\r\n2\r\n3\r\n", b"y\r\n2\r\nx\r\n"),
        ("ours", b"0", None, b"1", None),
        ("theirs", b"0", b"1", None, None),
    ],
)
def test_what_a_policy_makes_of_values(policy: str, base: Value, ours: Value, theirs: Value, expected: Value) -> None:
    assert merged(base, ours, theirs, policy) == (expected, [])
    if policy in SYMMETRIC:
        assert merged(base, theirs, ours, policy) == (expected, [])


@pytest.mark.parametrize(
    "policy, base, ours, theirs",
    [
        ("conflict", b"0", b"1", b"2"),
        *((policy, b"0", b"1", wrong) for policy in ("max", "min", "sum") for wrong in (
            None, b"", b"\n", b" 2", b"2 ", b"2\n\n", b"1e3", b"nan", b"inf", b"0x1", b".5", b"5.", b"--1", b"1_000",
            "\N{ARABIC-INDIC DIGIT TWO}".encode(), b"9" * (DIGITS_MAX + 1), Reference("s", b"2", 1),
        )),
        ("sum", b"x", b"1", b"2"),
        ("sum", Reference("s", b"2", 1), b"1", b"2"),
        ("set-union", b"a\n", b"b\n", Reference("s", b"2", 1)),
        ("text", b"1\n", b"2\n", b"3\n"),
        ("text", b"1\n", b"2\n", None),
        ("text", None, b"2\n", b"3\n"),
        ("text", b"1\n2\n3\n", b"1\n2\n3\nx\xff\n", b"y\n2\n3\n"),
        ("text", b"1\n2\n3\n", b"1\n2\n3\nx\0\n", b"y\n2\n3\n"),
        ("text", b"\0\n2\n3\n", b"\0\n2\n3\nx\n", b"y\n2\n3\n"),
        ("text", Reference("s", b"2", 1), b"1\n", b"2\n"),
        ("latest", b"0", b"1", b"2"),
    ],
)  # fmt: skip
def test_what_a_policy_cannot_merge_is_a_conflict(policy: str, base: Value, ours: Value, theirs: Value) -> None:
    assert merged(base, ours, theirs, policy) == (ours, [PathConflict(PATH, base, ours, theirs)])
    assert merged(base, theirs, ours, policy) == (theirs, [PathConflict(PATH, base, theirs, ours)])


@pytest.mark.parametrize("policy", ["sum", "set-union", "text"])
def test_what_counts_from_the_base_needs_one(policy: str) -> None:
    bases = [{PATH: b"1\n"}, {PATH: b"2\n"}]
    sides = {PATH: b"1\n"}, {PATH: b"2\n"}
    assert merge_states(bases, *sides, policies=policies(policy))[:2] == (
        {},
        [PathConflict(PATH, b"1\n", b"1\n", b"2\n")],
    )
    assert merge_states(bases, *sides, policies=policies("max"))[:2] == ({PATH: b"2\n"}, [])


def test_a_sum_needs_one_merge_base_even_where_they_agree() -> None:
    """Two agreeing bases have each counted for itself: which of it both sides have already, no value says."""
    bases = [{PATH: b"6"}, {PATH: b"6"}]
    assert merge_states(bases, {PATH: b"7"}, {PATH: b"7"}, policies=policies("sum")) == ({}, [], [])
    changes, conflicts, _ = merge_states(bases, {PATH: b"8"}, {PATH: b"7"}, policies=policies("sum"))
    assert (changes, conflicts) == ({}, [PathConflict(PATH, b"6", b"8", b"7")])


def test_the_longest_sum_is_written_where_python_converts_least() -> None:
    whole, fraction = b"9" * DIGITS_MAX, b"0." + b"9" * (DIGITS_MAX - 1)
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(sys.int_info.str_digits_check_threshold)
    try:
        value, conflicts = merged(b"-" + whole, whole, fraction, "sum")
    finally:
        sys.set_int_max_str_digits(before)
    assert conflicts == []
    assert value == b"1" + b"9" * (DIGITS_MAX - 1) + b"8." + b"9" * (DIGITS_MAX - 1)


def test_texts_that_come_out_empty() -> None:
    assert merge_texts(b"a\n", b"a\n", b"") == b""
    assert merge_texts(b"a", b"", b"a") == b""
    assert merge_texts(b"", b"", b"") == b""


# Which side set a path last, and merges of several heads


def opened(seed: int) -> Graph:
    clock = itertools.count(1_700_000_000_000_000 + seed, 1_000)
    return crdtgraph.open("memory:", host=Host(lambda: next(clock), random.Random(seed).randbytes))


def history(graph: Graph, rng: random.Random, size: int) -> list[CommitId]:
    """Commits with merges among them, some of which take a path over from another parent; clocks that are wrong."""
    commits = [graph.commit(time=rng.randrange(9), message="root", changes={"p": b"0"})]
    for number in range(size):
        parents = rng.sample(commits, min(len(commits), rng.choice([1, 1, 2, 3])))
        changes: dict[str, Value] = {
            path: rng.choice([None, b"0", b"1", b"2", graph.state(rng.choice(parents)).get(path)])
            for path in rng.sample(["p", "q"], rng.randrange(3))
        }
        commits.append(graph.commit(parents=parents, time=rng.randrange(9), message=str(number), changes=changes))
    return commits


def setter(graph: Graph, commit: CommitId, path: str) -> CommitId | None:
    """Who set a path, said as the documentation says it."""
    content = graph.get(commit)
    changes = dict(content.changes)
    if path not in changes:
        return setter(graph, content.parents[0], path) if content.parents else None
    for parent in graph.parents(commit)[1:]:
        below = setter(graph, parent, path)
        if below is not None and graph.state(parent).get(path) == changes[path]:
            return below
    return commit


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 25))
def test_who_set_a_path_is_found_through_merges(seed: int, size: int) -> None:
    rng = random.Random(seed)
    with opened(seed) as graph:
        head = rng.choice(history(graph, rng, size))
        home = graph._planes[LEDGER]
        projection = home.projection
        where = Head(projection, home.contents, projection.nodes[head])
        for path in ("p", "q"):
            by = setter(graph, head, path)
            found = moments([where], {path: graph.state(head).get(path)})
            if by is None:
                assert found == {}
            else:
                node = projection.nodes[by]
                assert found == {path: (graph.get(by).time, projection.rank(node))}
            assert moments([where], {path: b"never"}) == {}


def heads_merged(
    graph: Graph, targets: tuple[CommitId, ...], given_: Policies
) -> tuple[dict[str, Value], list[PathConflict]]:
    home = graph._planes[LEDGER]
    ids = home.projection.ids
    commit, conflicts, _ = merge_heads(
        home.projection, home.contents, targets, lambda node: graph.state(ids[node]), given_
    )
    result: dict[str, Value] = dict(graph.state(targets[0]))
    for path, value in commit.changes:
        assert value != result.get(path), "only what differs from the first"
        result[path] = value
    return {path: value for path, value in result.items() if value is not None}, conflicts


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(2, 25), st.sampled_from(["latest", "max", "min", "sum", "set-union"]))
def test_two_heads_may_be_swapped(seed: int, size: int, policy: str) -> None:
    rng = random.Random(seed)
    with opened(seed) as graph:
        one, two = rng.sample(history(graph, rng, size), 2)
        state, conflicts = heads_merged(graph, (one, two), policies(policy))
        other, mirrored = heads_merged(graph, (two, one), policies(policy))
        assert mirrored == swapped(conflicts)
        apart = {conflict.path for conflict in conflicts}
        assert {path: state[path] for path in state.keys() - apart} == {
            path: other[path] for path in other.keys() - apart
        }
        assert policy != "latest" or not conflicts, "one of two commits is always the later"


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(4, 25), st.sampled_from(["conflict", "theirs", "max", "sum", "set-union"]))
def test_several_heads_are_merged_one_after_the_other(seed: int, size: int, policy: str) -> None:
    """By whole states, and all paths in them, it comes to the same."""
    rng = random.Random(seed)
    with opened(seed) as graph:
        commits = history(graph, rng, size)
        heads = tuple(rng.sample(commits, min(len(commits), 4)))
        projection = graph._planes[LEDGER].projection
        nodes = [projection.nodes[head] for head in heads]
        state: dict[str, Value] = dict(graph.state(heads[0]))
        conflicts: list[PathConflict] = []
        for place, node in enumerate(nodes[1:], 1):
            bases = sorted(merge_bases(projection.dag, nodes[:place], [node]), key=projection.rank)
            states = [graph.state(projection.ids[base]) for base in bases]
            step = merge_states(states, state, graph.state(heads[place]), policies=policies(policy))
            conflicts += step.conflicts
            state = {path: value for path, value in (state | step.changes).items() if value is not None}
        assert heads_merged(graph, heads, policies(policy)) == (state, conflicts)


def test_what_a_function_answers_is_checked() -> None:
    with pytest.raises(LocalError, match="the value of path 'p' is str"):
        merge_states([], {PATH: b"1"}, {PATH: b"2"}, policies=policies(lambda *_: "text"))  # type: ignore[arg-type,return-value]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(2, 20), st.sampled_from(["conflict", "latest", "theirs", "max"]))
def test_what_cannot_differ_is_never_looked_at(seed: int, size: int, policy: str) -> None:
    rng = random.Random(seed)
    with opened(seed) as graph:
        many: dict[str, Value] = {f"still/{number}": b"" for number in range(50)}
        start = graph.commit(message="start", changes=many)
        commits = [start]
        for number in range(size):
            changes = {path: rng.choice([None, b"0", b"1"]) for path in rng.sample(["p", "q"], rng.randrange(3))}
            parents = rng.sample(commits, min(len(commits), rng.choice([1, 2])))
            commits.append(graph.commit(parents=parents, message=str(number), changes=changes))
        one, two = rng.sample(commits, 2)
        home = graph._planes[LEDGER]
        ids, looked = home.projection.ids, set[str]()
        expected, *_ = merge_states(
            [graph.state(base) for base in sorted(graph.merge_bases(one, two), key=lambda c: rank(graph, c))],
            graph.state(one),
            graph.state(two),
            policies=policies(policy) if policy != "latest" else NO_POLICIES,
        )
        commit, *_ = merge_heads(
            home.projection,
            home.contents,
            (one, two),
            lambda node: Watched(graph.state(ids[node]), looked),
            policies(policy) if policy != "latest" else NO_POLICIES,
        )
        assert looked <= {"p", "q"}
        assert dict(commit.changes) == expected


def rank(graph: Graph, commit: CommitId) -> tuple[int, int, CommitId]:
    projection = graph._planes[LEDGER].projection
    return projection.rank(projection.nodes[commit])


class Watched(Mapping[str, Value]):
    """An immutable state that notes which paths are asked for, and cannot be gone through."""

    def __init__(self, values: Mapping[str, Value], looked: set[str]) -> None:
        self._values = values
        self._looked = looked

    def __getitem__(self, path: str) -> Value:
        self._looked.add(path)
        return self._values[path]

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("all paths were gone through")

    def __len__(self) -> int:
        raise AssertionError("all paths were counted")
