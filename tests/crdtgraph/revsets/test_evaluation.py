"""What revsets select: against sets worked out by brute force, the examples of the guide, and laws of sets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crdtgraph
from crdtgraph import AmbiguousError, Commit, CommitId, CrdtGraphError, Graph, Host, NotFoundError
from crdtgraph.revsets import RevsetError, evaluate, evaluate_steps, is_name, parse, resolve_one, run
from crdtgraph.revsets import functions as functions_module
from crdtgraph.revsets import sets as sets_module
from crdtgraph.revsets.functions import FUNCTIONS

GUIDE = Path(__file__).parents[3] / "docs" / "revsets.md"
NOW = 1_764_000_000_000_000
HOUR = 3_600_000_000


def open_graph() -> Graph:
    counter = iter(range(1 << 30))
    host = Host(now_us=lambda: NOW + next(counter), random_bytes=lambda size: b"\x07" * size)
    return crdtgraph.open("memory:", host=host)


def select(graph: Graph, text: str) -> list[CommitId]:
    return list(evaluate(graph, text, now_us=NOW))


# The graph of the guide


@pytest.fixture(scope="module")
def guided() -> Graph:
    graph = open_graph()
    ids: dict[str, CommitId] = {}
    noon = 1_793_534_400_000_000  # 2026-11-01T12:00Z
    shape = {"A": "", "B": "A", "C": "B", "D": "B", "E": "CD", "F": "D"}
    paths = {"D": "docs/guide.md", "F": "docs/api.md"}
    for day, (message, parents) in enumerate(shape.items()):
        ids[message] = graph.commit(
            parents=[ids[parent] for parent in parents],
            message=message,
            author="w1" if message in "ABC" else "w3",
            time=noon + day * 24 * HOUR,
            changes={paths[message]: b"text"} if message in paths else {},
        )
    graph.set_ref("main", ids["E"])
    graph.set_ref("side", ids["F"])
    return graph


def examples() -> list[tuple[str, str]]:
    table = GUIDE.read_text(encoding="utf-8").partition("## Examples")[2].partition("At a terminal")[0]
    return re.findall(r"^\| `(.*)` \| ?([A-F, ]*) ?\|$", table, re.MULTILINE)


@pytest.mark.parametrize("text, expected", examples())
def test_examples_of_the_guide(guided: Graph, text: str, expected: str) -> None:
    found = [commit.message for commit in guided.get_many(select(guided, text))]
    assert found == [each for each in expected.strip().split(", ") if each]


def test_the_guide_uses_most_functions_in_examples() -> None:
    assert len(examples()) > 25
    used = set(re.findall(r"(\w+)\(", " ".join(text for text, _ in examples())))
    assert set(FUNCTIONS) - used == {"none", "descendants", "parents", "children", "origin", "discarded", "live"}


# Names


def test_names_are_refs_ids_prefixes_and_origins(guided: Graph) -> None:
    graph = open_graph()
    root = graph.commit(message="root", origin="git:00ff00ff", ref="main")
    tip = graph.commit(parents=[root], message="tip", ref="feature/x-1.0")
    for text in ("main", "git:00ff", root.hex(), root.hex()[:8], '"main"', "'main'", " main ", "(main)", "main|main"):
        assert select(graph, text) == [root]
        assert resolve_one(graph, text, now_us=NOW) == root
    assert select(graph, "feature/x-1.0-") == [root]
    assert select(graph, "feature/x-1.0") == [tip]


def test_a_ref_whose_name_is_no_revset_needs_no_quotes_alone() -> None:
    graph = open_graph()
    root = graph.commit(ref="my ref (old)")
    graph.commit(parents=[root], ref="c++")
    assert resolve_one(graph, "my ref (old)", now_us=NOW) == root
    assert select(graph, "my ref (old)") == [root]
    assert select(graph, '"my ref (old)"+') == select(graph, '"c++"')
    with pytest.raises(NotFoundError, match="'c' names no commit") as caught:
        select(graph, "c++")
    assert "put it into quotes" in caught.value.hint


def test_an_unknown_name_is_shown_in_its_place_with_what_was_meant(guided: Graph) -> None:
    with pytest.raises(NotFoundError) as caught:
        select(guided, "heads() | mian")
    assert caught.value.message == "revset, column 11: 'mian' names no commit"
    assert caught.value.hint.split("\n") == ["did you mean main?", "  heads() | mian", "            ^"]
    with pytest.raises(NotFoundError, match=r"^'mian' names no commit$") as alone:
        resolve_one(guided, "mian", now_us=NOW)
    assert alone.value.hint == "did you mean main?"
    with pytest.raises(NotFoundError) as empty:
        select(guided, '""')
    assert "empty text" in empty.value.hint
    with pytest.raises(NotFoundError) as as_in_git:
        select(guided, "main~2")
    assert "x--" in as_in_git.value.hint


def test_a_prefix_of_several_ids_lists_them_with_its_column() -> None:
    graph = open_graph()
    graph.commit_many(Commit((), "a", number, f"m{number}") for number in range(2_000))
    digits = [commit.hex()[:4] for commit in graph.topological()]
    twice = next(each for each in digits if digits.count(each) > 1)
    with pytest.raises(AmbiguousError) as caught:
        select(graph, f"all() & {twice}")
    assert caught.value.message.startswith("revset, column 9: ")
    assert "candidates" in caught.value.hint
    assert caught.value.hint.split("\n")[-2:] == [f"  all() & {twice}", "          ^"]


def test_one_commit_where_one_is_asked_for(guided: Graph) -> None:
    assert resolve_one(guided, "merges()", now_us=NOW) == guided.refs["main"]
    with pytest.raises(NotFoundError, match="selects no commit"):
        resolve_one(guided, "none()", now_us=NOW)
    with pytest.raises(AmbiguousError, match="selects several") as caught:
        resolve_one(guided, "all()", now_us=NOW)
    assert [line[-1] for line in caught.value.hint.splitlines()[1:]] == list("FEDCBA")
    with pytest.raises(RevsetError):
        resolve_one(guided, "main |", now_us=NOW)


def test_several_candidates_are_cut_off() -> None:
    graph = open_graph()
    graph.commit_many(Commit((), "a", number, f"m{number}") for number in range(50))
    with pytest.raises(AmbiguousError) as caught:
        resolve_one(graph, "all()", now_us=NOW)
    assert len(caught.value.hint.splitlines()) == 12
    assert caught.value.hint.endswith("and more")


def test_a_conflicted_ref_is_its_winner_and_conflicted_are_all_targets() -> None:
    graph = open_graph()
    root = graph.commit(message="root", ref="main")
    ours = graph.commit(parents=[root], message="ours")
    theirs = graph.commit(parents=[root], message="theirs", ref="main")
    graph.set_ref("main", ours, keep_others=True)
    graph.set_ref("other", root)
    assert set(select(graph, "conflicted()")) == {ours, theirs}
    assert select(graph, "main") == [graph.refs["main"]]
    assert set(select(graph, "refs(exact:main)")) == {ours, theirs}
    assert set(select(graph, "refs()")) == {ours, theirs, root}
    assert select(graph, "refs(glob:o*)") == [root]


def test_discarded_and_live() -> None:
    graph = open_graph()
    root = graph.commit(message="root")
    gone = graph.commit(parents=[root], message="gone")
    below = graph.commit(parents=[gone], message="below")
    graph.discard(gone)
    assert set(select(graph, "discarded()")) == {gone, below}
    assert select(graph, "live()") == [root]
    assert select(graph, "~live() & heads()") == [below]


def test_durations_count_back_from_the_time_that_is_given() -> None:
    graph = open_graph()
    old, young = graph.commit(message="old", time=NOW - 3 * HOUR), graph.commit(message="young", time=NOW - HOUR)
    assert select(graph, 'since("2h")') == [young]
    assert select(graph, "until(2h)") == [old]
    assert list(evaluate(graph, "since(2h)", now_us=NOW - 2 * HOUR)) == [young, old]
    assert select(graph, f"since(@{NOW - HOUR}) & until(@{NOW - HOUR})") == [young]


def test_a_child_that_is_dated_before_its_parent_does_not_hide_the_parent_from_since() -> None:
    graph = open_graph()
    young = graph.commit(message="young parent", time=NOW)
    old = graph.commit(parents=[young], message="old child", time=NOW - 9 * HOUR)
    for number in range(200):
        graph.commit(parents=[old], message=f"child {number}", time=NOW - 8 * HOUR)
    assert select(graph, "since(1h)") == [young]
    assert select(graph, "until(9h)") == [old]


def test_authors_are_compared_as_a_whole_and_in_their_parts() -> None:
    graph = open_graph()
    ada = graph.commit(author="Ada Byron <ada@example.org>")
    graph.commit(author="Adam <adam@example.org>")
    assert select(graph, 'author("exact:Ada Byron")') == [ada]
    assert select(graph, "author(exact:ada@example.org)") == [ada]
    assert select(graph, 'author("exact:Ada Byron <ada@example.org>")') == [ada]
    assert len(select(graph, "author(Ada)")) == 2
    assert select(graph, "author(substring-i:BYRON)") == [ada]


def test_paths_match_whole_names_and_what_is_below() -> None:
    graph = open_graph()
    at = {path: graph.commit(changes={path: b""}, message=path) for path in ("a", "a/b", "a/b/c", "ab", "b/a", "x y")}
    removed = graph.commit(parents=[at["a"]], changes={"a": None}, message="removed")
    assert set(select(graph, "path(a)")) == {at["a"], at["a/b"], at["a/b/c"], removed}
    assert set(select(graph, "path(a/)")) == {at["a"], at["a/b"], at["a/b/c"], removed}
    assert set(select(graph, "path(a/b)")) == {at["a/b"], at["a/b/c"]}
    assert set(select(graph, "path(exact:a)")) == {at["a"], removed}
    assert set(select(graph, "path(glob:*/b*)")) == {at["a/b"], at["a/b/c"]}
    assert select(graph, 'path("x y")') == [at["x y"]]


def test_origins_begin_with_the_text() -> None:
    graph = open_graph()
    one = graph.commit(origin="git:00ff", message="1")
    two = graph.commit(origin="hg:git", message="2")
    graph.commit(message="3")
    assert select(graph, 'origin("git")') == [one]
    assert select(graph, "origin(git:00)") == [one]
    assert set(select(graph, "origin()")) == {one, two}
    assert select(graph, "origin(glob:*git)") == [two]


def test_messages_match_without_the_line_end_that_git_leaves() -> None:
    graph = open_graph()
    made = graph.commit(message="Fix it\n\nAll of it.\n")
    assert select(graph, 'message("exact:Fix it\\n\\nAll of it.")') == [made]
    assert select(graph, "message('glob:Fix*it.')") == [made]
    assert select(graph, "message(fix)") == []
    assert select(graph, "message('')") == [made]


# Several texts


def test_several_texts_are_a_union_and_a_listing_takes_a_name_for_its_history(guided: Graph) -> None:
    def titles(texts: list[str], **options: bool) -> str:
        selection = run(evaluate_steps(guided, texts, now_us=NOW, **options))
        return "".join(commit.message for commit in guided.get_many(selection))

    assert titles(["main", "side-"]) == "ED"
    assert titles(["main"], with_history=True) == "EDCBA"
    assert titles(['"main"', "side"], with_history=True) == "FEDCBA"
    assert titles(["main-"], with_history=True) == "DC"
    assert titles(["side", "main-"], with_history=True) == "FDCBA"
    assert titles([]) == ""
    assert is_name("main")
    assert is_name('"my ref"')
    assert not is_name("main-")
    assert not is_name("main |")


def test_an_error_in_the_second_text_is_found_before_anything_is_worked_out(
    guided: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sets_module.Algebra, "members", lambda *_: pytest.fail("worked before it checked"))
    with pytest.raises(RevsetError, match="column 1: there is no function"):
        run(evaluate_steps(guided, ["heads(author(w3))", "hed()"], now_us=NOW))


# Against brute force


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
