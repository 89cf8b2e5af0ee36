"""What revsets select: the examples of the guide, names, and several texts together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crdtgraph import AmbiguousError, Commit, CommitId, Graph, NotFoundError
from crdtgraph.revsets import RevsetError, evaluate, evaluate_steps, is_name, resolve_one, run
from crdtgraph.revsets import sets as sets_module
from crdtgraph.revsets.functions import FUNCTIONS
from tests.crdtgraph.revsets.graphs import NOW, open_graph, select

GUIDE = Path(__file__).parents[3] / "docs" / "revsets.md"

HOUR = 3_600_000_000


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
