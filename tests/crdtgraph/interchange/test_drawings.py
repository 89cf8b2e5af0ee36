"""The graph as DOT and as GraphML, read back by something else than what wrote it."""

from __future__ import annotations

import html
import io
import re
import shutil
import subprocess

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph import Graph
from crdtgraph.interchange import dot_lines, graphml_lines
from crdtgraph.interchange.labels import SUBJECT_CHARACTERS_MAX, moment

from .replicas import everything, open_replica

NASTY = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    [
        '"',
        "\\",
        "\\N",
        'a\\"b',
        "]];",
        "&amp;",
        "<b>",
        "]]>",
        "\x00",
        "\x1b[31m",
        "\ufffe",
        "\U0001fffe",
        "a\rb",
        "\u2028",
    ]
)

TOKEN = re.compile(
    r"""\s* (?: "((?:[^"\\]|\\.)*)"
            | (->)
            | ([\[\]{};,=])
            | ([A-Za-z_][A-Za-z_0-9]* | -?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)) )""",
    re.X | re.S,
)


def read_dot(text: str) -> tuple[dict[str, dict[str, str]], set[tuple[str, str]]]:
    """Nodes with their attributes, and edges, by the grammar of the language as far as it is used."""
    tokens: list[str] = []
    at = 0
    while text[at:].strip():
        found = TOKEN.match(text, at)
        assert found, text[at : at + 40]
        tokens.append(next(part for part in found.groups() if part is not None))
        at = found.end()
    assert tokens[:3] == ["digraph", "crdtgraph", "{"]
    assert tokens[-1] == "}"
    nodes: dict[str, dict[str, str]] = {}
    edges: set[tuple[str, str]] = set()
    statement: list[str] = []
    for token in tokens[3:-1]:
        if token != ";":
            statement.append(token)
            continue
        if statement[1] == "->":
            edges.add((statement[0], statement[2]))
        elif statement[0] not in ("node", "edge"):
            rest = [each for each in statement[2:-1] if each not in (",", "=")]
            nodes[statement[0]] = dict(zip(rest[::2], rest[1::2], strict=True))
        statement = []
    assert not statement
    return nodes, edges


def edges_of(graph: Graph) -> set[tuple[str, str]]:
    return {(commit.hex(), parent.hex()) for commit in graph.topological() for parent in graph.parents(commit)}


def one_commit(message: str, author: str) -> Graph:
    graph = open_replica(1)
    graph.commit(message=message, author=author)
    return graph


@pytest.fixture(scope="module")
def graph() -> Graph:
    found = everything()
    heads = found.heads()
    found.commit(parents=heads[:3], message="octopus\n\nwith a body", ref="many")
    found.count(heads[0], [3, 4, 5])
    return found


# DOT


def test_dot_has_every_commit_and_every_edge(graph: Graph) -> None:
    nodes, edges = read_dot("\n".join(dot_lines(graph)))
    assert set(nodes) == {commit.hex() for commit in graph.topological()}
    assert edges == edges_of(graph)


def test_dot_shows_refs_conflicts_counters_and_what_was_discarded(graph: Graph) -> None:
    nodes, _ = read_dot("\n".join(dot_lines(graph)))
    assert "(many)" in nodes[graph.refs["many"].hex()]["label"]
    for target in graph.refs["main"].targets:
        assert "(main??)" in nodes[target.hex()]["label"]
        assert nodes[target.hex()]["fillcolor"] == "mistyrose"
    assert "octopus" in nodes[graph.refs["many"].hex()]["label"]
    assert "with a body" not in nodes[graph.refs["many"].hex()]["label"]
    dead = {commit.hex() for commit in graph.topological() if not graph.is_live(commit)}
    assert {name for name, each in nodes.items() if each.get("fontcolor") == "gray"} == dead
    assert dead
    assert any(each["label"].endswith(r"\n3 4 5") for each in nodes.values())


@given(NASTY, NASTY)
def test_no_text_gets_out_of_its_string(message: str, author: str) -> None:
    graph = one_commit(message, author)
    text = "\n".join(dot_lines(graph))
    assert not set(text) & {chr(code) for code in range(0x20)} - {"\n"}
    nodes, _ = read_dot(text)
    [(name, attributes)] = nodes.items()
    assert name == graph.heads()[0].hex()
    assert set(attributes) == {"label", "tooltip"}
    shown = message.strip().partition("\n")[0]
    if shown.isprintable():
        label = html.unescape(
            re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], attributes["label"])
        )
        assert label.partition("\n")[2] == shown


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_draws_it(graph: Graph) -> None:
    text = "\n".join(dot_lines(graph))
    done = subprocess.run(["dot", "-Tplain"], input=text.encode(), capture_output=True, check=True)
    assert done.stderr == b""
    assert len(re.findall(rb"^node ", done.stdout, re.M)) == len(graph)


# GraphML


def read_back(graph: Graph) -> networkx.DiGraph:
    return networkx.read_graphml(io.BytesIO("\n".join(graphml_lines(graph)).encode()))


def test_networkx_reads_the_same_nodes_and_edges(graph: Graph) -> None:
    found = read_back(graph)
    assert found.is_directed()
    assert not found.is_multigraph()
    assert set(found) == {commit.hex() for commit in graph.topological()}
    assert set(found.edges) == edges_of(graph)
    octopus = graph.refs["many"]
    order = {parent: data["parent"] for _, parent, data in found.out_edges(octopus.hex(), data=True)}
    assert order == {parent.hex(): place for place, parent in enumerate(graph.parents(octopus), 1)}


def test_the_attributes_are_those_of_the_commits(graph: Graph) -> None:
    found = read_back(graph)
    for commit in graph.topological():
        attributes = found.nodes[commit.hex()]
        assert attributes["short"] == graph.short(commit)
        assert attributes["time_us"] == graph.get(commit).time
        assert attributes["time"] == moment(graph.get(commit).time)
        assert attributes["live"] == graph.is_live(commit)
        counters = graph.counters(commit)
        assert attributes.get("counters", "") == " ".join(map(str, counters))
        assert [attributes[name] for name in ("visits", "value") if name in attributes] == list(counters[:2])
    assert found.nodes[graph.refs["many"].hex()]["refs"] == "many"
    assert found.nodes[graph.refs["many"].hex()]["subject"] == "octopus"
    assert {name for name, each in found.nodes(data=True) if each["refs"] == "main??"} == {
        target.hex() for target in graph.refs["main"].targets
    }


@given(NASTY, NASTY)
def test_any_text_is_xml(message: str, author: str) -> None:
    graph = one_commit(message, author)
    found = read_back(graph)
    [(_, attributes)] = found.nodes(data=True)
    if author.isprintable():
        assert attributes["author"] == author
    shown = message.strip().partition("\n")[0]
    if shown.isprintable():
        assert attributes["subject"] == shown


def test_an_empty_graph_is_drawn_as_one() -> None:
    graph = open_replica(1)
    assert read_dot("\n".join(dot_lines(graph))) == ({}, set())
    assert len(read_back(graph)) == 0


def test_totals_beyond_64_bits_and_times_beyond_the_calendar() -> None:
    graph = open_replica(1)
    commit = graph.commit(message="x" * 1_000, time=2**63 - 1)
    for _ in range(2):
        graph.count(commit, [2**63 - 1, 7])
    attributes = read_back(graph).nodes[commit.hex()]
    assert "visits" not in attributes
    assert attributes["value"] == 14
    assert attributes["counters"] == f"{2**64 - 2} 14"
    assert attributes["time"] == ""
    assert len(attributes["subject"]) == SUBJECT_CHARACTERS_MAX


def test_lines_come_before_the_whole_graph_was_read() -> None:
    graph = open_replica(1)
    commits = [graph.commit(message=str(number)) for number in range(2_500)]
    lines = dot_lines(graph)
    graph.get_many = None  # type: ignore[method-assign, assignment]
    assert next(lines).startswith("digraph")
    del graph.get_many
    assert sum(1 for line in lines if "label=" in line) == len(commits)
