"""What revsets select, against sets worked out by brute force, by laws of sets, and for any text at all."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph import CommitId, CrdtGraphError
from crdtgraph.revsets import evaluate, parse, resolve_one
from crdtgraph.revsets import functions as functions_module
from crdtgraph.revsets import sets as sets_module
from tests.crdtgraph.revsets.graphs import NOW, open_graph

shapes = st.lists(st.lists(st.integers(1, 6), max_size=3, unique=True), min_size=1, max_size=24)
times = st.lists(st.integers(0, 40), min_size=24, max_size=24)
TEXTS = ["r0", "r1", "r2", "r3"]


class Model:
    """A graph and the same as plain sets of numbers. Refs r0 to r3 stand at some of its commits."""

    def __init__(self, shape: list[list[int]], times: list[int]) -> None:
        self.graph = open_graph()
        self.ids: list[CommitId] = []
        self.parents: list[set[int]] = []
        for number, backs in enumerate(shape):
            self.parents.append({number - back for back in backs if back <= number})
            parents = [self.ids[parent] for parent in sorted(self.parents[-1])]
            author = f"w{number % 3}"
            self.ids.append(self.graph.commit(parents=parents, message=str(number), author=author, time=times[number]))
        self.all = set(range(len(shape)))
        self.refs = {f"r{place}": len(shape) * place // 4 for place in range(4)}
        for name, number in self.refs.items():
            self.graph.set_ref(name, self.ids[number])
        self.above: list[set[int]] = []
        for parents in self.parents:
            self.above.append(set().union(parents, *(self.above[parent] for parent in parents)))

    def select(self, text: str) -> set[int]:
        selection = evaluate(self.graph, text, now_us=NOW)
        listed = list(selection)
        nodes = {self.graph.node(commit) for commit in listed}
        assert selection.nodes == nodes
        assert len(nodes) == len(listed)
        assert listed == [commit for commit in self.graph.newest_first() if commit in set(listed)]
        return nodes

    def reach(self, of: set[int]) -> set[int]:
        return of.union(*(self.above[number] for number in of))

    def follow(self, of: set[int]) -> set[int]:
        return of | {number for number in self.all if self.above[number] & of}

    def heads(self, of: set[int]) -> set[int]:
        return {number for number in of if not any(number in self.above[other] for other in of)}

    def roots(self, of: set[int]) -> set[int]:
        return {number for number in of if not self.above[number] & of}

    def date(self, number: int) -> tuple[int, int, bytes]:
        commit = self.ids[number]
        return self.graph.get(commit).time, self.graph.generation(commit), commit

    def near(self, of: set[int], steps: int) -> set[int]:
        found = set(of)
        for _ in range(steps):
            found |= {parent for number in found for parent in self.parents[number]}
        return found


models = st.builds(Model, shapes, times)


@pytest.fixture(params=["small", "large"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every way to work something out is tried: those for few commits, and those for many, in small steps."""
    if request.param == "large":
        for module, name, value in (
            (functions_module, "INDEPENDENT_MAX", 0),
            (functions_module, "PAIRWISE_MAX", 0),
            (sets_module, "STEP_NODES", 2),
            (sets_module, "STEP_READS", 1),
            (sets_module, "BATCH_NODES_MIN", 1),
        ):
            monkeypatch.setattr(module, name, value)
    return


operands = st.sampled_from(
    [
        "r0",
        "r1",
        "r2",
        "r3",
        "::r2",
        "r1::",
        "all()",
        "none()",
        "author(w1)",
        "merges()",
        "r3-",
        "r1+",
        "r0|r3",
        "until(@20)",
    ]
)


@pytest.mark.usefixtures("way")
@given(models, operands, operands, operands, st.integers(0, 3))
@settings(max_examples=40)
def test_operators_and_functions_are_those_of_plain_sets(model: Model, x: str, y: str, z: str, n: int) -> None:
    select, a, b, c = model.select, model.select(x), model.select(y), model.select(z)
    everything = model.all
    assert select(f"({x}) | ({y}) | ({z})") == a | b | c
    assert select(f"({x}) & ({y}) & ({z})") == a & b & c
    assert select(f"({x}) ~ ({y}) ~ ({z})") == a - b - c
    assert select(f"~({x})") == everything - a
    assert select(f"::({x})") == model.reach(a)
    assert select(f"({x})::") == model.follow(a)
    assert select(f"({x})::({y})") == model.follow(a) & model.reach(b)
    assert select(f"({x})..({y})") == model.reach(b) - model.reach(a)
    assert select(f"({x})..") == everything - model.reach(a)
    assert select(f"({x})-") == {parent for number in a for parent in model.parents[number]}
    assert select(f"({x})+") == {number for number in everything if model.parents[number] & a}
    assert select(f"parents({x}) | children({x})") == select(f"({x})- | ({x})+")
    assert select(f"heads({x})") == model.heads(a)
    assert select(f"heads(::({x}))") == model.heads(a)
    assert select(f"roots({x})") == model.roots(a)
    assert select(f"ancestors({x})") == model.reach(a)
    assert select(f"ancestors({x}, {n})") == model.near(a, n)
    assert select(f"descendants({x})") == model.follow(a)
    assert select(f"descendants({x}, {n})") == {number for number in everything if model.near({number}, n) & a}
    assert select(f"only({x}, {y})") == model.reach(a) - model.reach(b)
    assert select(f"merge_base({x}, {y})") == model.heads(model.reach(a) & model.reach(b))
    common = set.intersection(*(model.reach({number}) for number in a)) if a else set()
    assert select(f"fork_point({x})") == model.heads(common)
    listed = select(f"limit(({x}) | ({y}), {n})")
    assert listed == {model.graph.node(each) for each in islice(evaluate(model.graph, f"({x}) | ({y})", now_us=NOW), n)}
    latest = sorted(a, key=model.date, reverse=True)
    assert select(f"latest({x}, {n})") == set(latest[:n])


leaves = st.sampled_from(
    [
        "r0",
        "r2",
        "all()",
        "heads()",
        "author(w0)",
        "author(w2)",
        "merges()",
        "since(@15)",
        "until(@30)",
        "live()",
        "::r3",
    ]
)
revsets = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds("({})-".format, inner),
        st.builds("::({})".format, inner),
        st.builds("({})::".format, inner),
        st.builds("~({})".format, inner),
        st.builds("({}) & ({})".format, inner, inner),
        st.builds("({}) | ({})".format, inner, inner),
        st.builds("({}) ~ ({})".format, inner, inner),
        st.builds("({})..({})".format, inner, inner),
        st.builds("heads({})".format, inner),
        st.builds("limit({}, 3)".format, inner),
    ),
    max_leaves=5,
)


@pytest.mark.usefixtures("way")
@given(models, revsets, revsets)
@settings(max_examples=40)
def test_laws_of_sets_hold_for_any_revsets(model: Model, x: str, y: str) -> None:
    select = model.select
    assert select(f"~(({x}) | ({y}))") == select(f"~({x}) & ~({y})") == model.all - select(x) - select(y)
    assert select(f"~(({x}) & ({y}))") == select(f"~({x}) | ~({y})")
    assert select(f"~~({x})") == select(x)
    assert select(f"({x}) ~ ({y})") == select(f"({x}) & ~({y})") == select(x) - select(y)
    assert select(f"({x}) & ({y})") == select(f"({y}) & ({x})") == select(x) & select(y)
    assert select(f"({x}) | ({y})") == select(f"({y}) | ({x})") == select(x) | select(y)
    assert select(f"only({x}, {y})") == select(f"::({x}) ~ ::({y})") == select(f"({y})..({x})")
    assert select(f"::heads({x})") == select(f"::({x})")
    assert select(f"roots({x})::") == select(f"({x})::")
    assert select(str(parse(x))) == select(x)


WORDS = [
    "r0",
    "r1",
    "x",
    "-",
    "+",
    "~",
    "&",
    "|",
    "(",
    ")",
    ",",
    "..",
    "::",
    "heads(",
    "author(",
    "2",
    "since(",
    '"',
    " ",
]
soup = st.lists(st.sampled_from(WORDS), max_size=12).map("".join)
MODEL = Model([[], [1], [1, 2], [1]], [3, 1, 2, 4] * 6)


@given(st.one_of(soup, st.text(max_size=12)))
def test_any_text_selects_or_is_an_error_of_ours_with_a_remedy(text: str) -> None:
    for ask in (evaluate, resolve_one):
        failure = None
        try:
            ask(MODEL.graph, text, now_us=NOW)
        except CrdtGraphError as raised:
            failure = raised
        assert failure is None or (failure.message and failure.hint)
