"""The drawing of the sides, read back: every line joins a commit and its parent, and all sides are there."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cli.diverging.picture import FORK_POINT, SEVERAL, drawn, picture_lines
from cli.diverging.report import Report, examine
from cli.places import Place
from crdtgraph import Graph
from sync.requests import LocalCaller
from tests.cli.drawing.reading import Drawing
from tests.crdtgraph.test_divergence_laws import joined, lived
from tests.sync.replicas import grow, replica

LETTERS = "ABCD"
ALL = 1_000


def report_of(*graphs: Graph) -> Report:
    places = [
        Place(letter, letter, LocalCaller(graph), graph.replica_id.hex(), graph.cluster, len(graph), "")
        for letter, graph in zip(LETTERS, graphs, strict=False)
    ]
    return examine(places, graphs)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(2, 4), st.integers(2, 40))
def test_every_line_joins_a_commit_and_its_parent(seed: int, count: int, steps: int) -> None:
    graphs = lived(seed, count, steps)
    union = joined(graphs)
    report = report_of(*graphs)
    rows = list(drawn(report, ALL))
    commits = [commit for commit, _ in rows]
    scattered = report.found.scattered
    assert sorted(commits) == sorted([*scattered.holders, *scattered.fork_points])
    text = [line for _, placed in rows for line in (placed[0], *placed[1])]
    read = Drawing(line.translate(str.maketrans(LETTERS + FORK_POINT + SEVERAL, "○" * 6)) for line in text)
    edges = {
        (commits.index(child), commits.index(parent)) for child in scattered.holders for parent in union.parents(child)
    }
    assert read.edges == edges
    for commit, placed in rows:
        holders = scattered.holders.get(commit, ())
        assert (LETTERS[holders[0]] if len(holders) == 1 else SEVERAL if holders else FORK_POINT) in placed[0]


def test_a_long_side_is_cut_and_a_dotted_line_leads_to_the_fork() -> None:
    a, b = replica("a"), replica("b")
    grow(a, 2)
    for delta in a.deltas("ledger", {}):
        b.receive("ledger", delta.update)
    grow(a, 9, "left ")
    grow(b, 1, "right ")
    lines = [line.rstrip() for line in picture_lines(report_of(a, b), 2)]
    assert lines[0] == "A A  B B"
    assert [line.partition("  ")[0] for line in lines[1:]] == ["A", "A", "┊", "┊ B", "├─╯", "│", "=", "~"]
    assert lines[1].endswith("a left 8")
    assert "all  " in lines[7]
