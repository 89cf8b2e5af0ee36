"""Drawings say exactly what the graph is: read back, every line joins a parent and its child, and none is missing."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

import crdtgraph
from cli.drawing import ASCII, Layout
from crdtgraph import Graph
from crdtgraph.drawing import Drawn, drawing_order

from .reading import Drawing


def random_history(seed: int) -> list[tuple[int, ...]]:
    """Parents by commit: up to 12 lines side by side, merges, octopus merges, criss-crosses, several roots."""
    rng = random.Random(seed)
    width = rng.randint(1, 12)
    history: list[tuple[int, ...]] = []
    tips: list[int] = []
    for number in range(rng.randint(1, 60)):
        roll = rng.random()
        if not tips or (roll < 0.08 and len(tips) < width):
            parents: list[int] = []
        elif roll < 0.30 and len(tips) > 1:
            parents = rng.sample(tips, min(len(tips), rng.choice([2, 2, 2, 3, 5, 8])))
        else:
            parents = [rng.choice(tips)]
        history.append(tuple(parents))
        if parents and (len(tips) >= width or rng.random() < 0.6):
            for parent in parents[: rng.randint(1, len(parents))]:
                tips.remove(parent)
        tips.append(number)
        while len(tips) > width:
            tips.pop(rng.randrange(len(tips) - 1))
    return history


def grown(graph: Graph, history: Sequence[Sequence[int]]) -> None:
    made = []
    for number, parents in enumerate(history):
        made.append(
            graph.commit(parents=[made[parent] for parent in parents], time=1_000_000 * number, message=str(number))
        )


def drawn(drawing: list[Drawn]) -> list[str]:
    layout: Layout[int] = Layout()
    rows = []
    for each in drawing:
        row, below = layout.place(each.node, "○", each.direct, each.indirect, is_cut_off=each.is_cut_off)
        rows += [row, *below]
    return rows


def as_numbers(drawing: list[Drawn], edges: set[tuple[int, int]]) -> set[tuple[int, int]]:
    return {(drawing[child].node, drawing[parent].node) for child, parent in edges}


@pytest.mark.parametrize("seed", range(50))
def test_every_line_joins_a_parent_and_its_child(seed: int) -> None:
    with crdtgraph.open("memory:") as graph:
        grown(graph, random_history(seed))
        projection = graph._plane(crdtgraph.LEDGER).projection
        order = list(drawing_order(projection))
        edges = {(node, parent) for node in graph.dag for parent in projection.dag.parents(node)}
    assert sorted(each.node for each in order) == list(range(len(order)))
    read = Drawing(drawn(order))
    assert as_numbers(order, read.edges) == edges
    assert not read.open
    assert not read.cut_off
    assert not read.dotted


@given(st.integers(0, 10**9), st.floats(0.1, 1))
def test_a_selection_is_joined_through_what_it_leaves_out(seed: int, share: float) -> None:
    rng = random.Random(seed)
    with crdtgraph.open("memory:") as graph:
        grown(graph, random_history(seed))
        projection = graph._plane(crdtgraph.LEDGER).projection
        dag = projection.dag
        selected = {node for node in graph.dag if rng.random() < share}
        order = list(drawing_order(projection, selected))
        assert {each.node for each in order} == selected
        edges, cut_off = set(), set()
        for node in selected:
            for parent in dag.parents(node):
                shown = nearest(dag.parents, parent, selected)
                edges |= {(node, below) for below in shown}
                if not shown:
                    cut_off.add(node)
        parents = {(node, parent) for node in selected for parent in dag.parents(node)}
    read = Drawing(drawn(order))
    assert as_numbers(order, read.edges) == edges
    assert {order[number].node for number in read.cut_off} == cut_off
    with_children = {parent for node, parent in parents}
    assert as_numbers(order, read.dotted) == {(node, below) for node, below in edges if below not in with_children}


def nearest(parents_of, node: int, selected: set[int]) -> set[int]:  # type: ignore[no-untyped-def]
    if node in selected:
        return {node}
    return {found for parent in parents_of(node) for found in nearest(parents_of, parent, selected)}


def test_all_selected_is_drawn_like_all() -> None:
    with crdtgraph.open("memory:") as graph:
        grown(graph, random_history(7))
        projection = graph._plane(crdtgraph.LEDGER).projection
        assert list(drawing_order(projection)) == list(drawing_order(projection, set(graph.dag)))


def test_a_merged_branch_stands_right_below_its_merge() -> None:
    with crdtgraph.open("memory:") as graph:
        grown(graph, [(), (0,), (0,), (1, 2), (3,)])
        order = list(drawing_order(graph._plane(crdtgraph.LEDGER).projection))
    assert [each.node for each in order] == [4, 3, 2, 1, 0]
    assert drawn(order) == ["○", "○", "├─╮", "│ ○", "○ │", "├─╯", "○"]


def test_unrelated_roots_never_look_joined() -> None:
    with crdtgraph.open("memory:") as graph:
        grown(graph, [(), (), (), (2,)])
        order = list(drawing_order(graph._plane(crdtgraph.LEDGER).projection))
    assert drawn(order) == ["○", "○", "  ○", "○"]


def test_an_octopus_and_lines_that_pass_under_others() -> None:
    layout: Layout[str] = Layout()
    rows = []
    for key, parents in [("m", "abc"), ("c", "r"), ("x", "a"), ("a", "r"), ("b", "r")]:
        row, below = layout.place(key, "○", list(parents))
        rows += [row, *below]
    assert rows == [
        "○",
        "├─┬─╮",
        "│ │ ○",
        "│ │ │ ○",
        "├─│─│─╯",
        "○ │ │",
        "├─│─╯",
        "│ ○",
        "├─╯",
    ]


@pytest.mark.parametrize("seed", range(50))
def test_a_line_stays_in_its_column_until_it_ends(seed: int) -> None:
    layout: Layout[int] = Layout()
    with crdtgraph.open("memory:") as graph:
        grown(graph, random_history(seed))
        order = list(drawing_order(graph._plane(crdtgraph.LEDGER).projection))
    before: dict[int, int] = {}
    for each in order:
        row, _ = layout.place(each.node, "○", each.direct)
        column = row.index("○") // 2
        assert before.pop(each.node, column) == column
        after = dict(layout._columns)
        moved = {node for node, at in before.items() if after[node] != at}
        assert moved <= set(each.direct[:1])
        assert all(after[node] == column < before[node] for node in moved)
        before = after


def test_ascii_says_the_same() -> None:
    assert ASCII.table is not None
    assert "├─│─┼─╮".translate(ASCII.table) == "+-|-+-."
    assert "╰─┊─┴─┤".translate(ASCII.table) == "'-:-'-+"


@pytest.mark.parametrize("broken", [["○", "│ ○"], ["○", "├─╮", "○"], ["○", "├─┼"], ["○", "├ ╮"]])
def test_the_reader_of_drawings_refuses_what_is_wrong(broken: list[str]) -> None:
    with pytest.raises((AssertionError, KeyError, ValueError)):
        refuse_open_ends(broken)


def refuse_open_ends(rows: list[str]) -> None:
    assert not Drawing(rows).open
