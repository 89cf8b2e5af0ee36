"""Scenarios as files: what is written reads back, and every mistake is named with its place and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from crdtgraph import LocalError, NotFoundError
from simulations.files import find, parse, read, shipped, write
from simulations.scenario import Scenario, Topology
from simulations.swarm import draw


@pytest.mark.parametrize("seed", range(200))
def test_a_drawn_scenario_reads_back_as_it_was_written(seed: int) -> None:
    scenario = draw(seed)
    assert parse(write(scenario, "a comment\nin two lines"), "here") == scenario


def test_the_same_seed_draws_the_same_scenario_and_another_seed_another() -> None:
    assert draw(5) == draw(5)
    assert draw(5) != draw(6)


def test_what_is_as_by_default_is_not_written() -> None:
    assert write(Scenario()) == ""
    assert write(Scenario(nodes=7)) == "nodes = 7\n"


@pytest.mark.parametrize(
    "text, words",
    [
        ("nodes = 'three'", ["`int`", "$.nodes"]),
        ("nodes = 0", ["$.nodes", ">= 1"]),
        ("knodes = 3", ["knodes"]),
        ("topology = 'tree'", ["tree", "$.topology"]),
        ("[[timeline]]\nevent = 'earthquake'\nat_s = 1", ["earthquake", "$.timeline[0]"]),
        ("[[timeline]]\nevent = 'kill'\nat_s = 1\nnode = 'n0'", ["for_s"]),
        ("[[timeline]]\nevent = 'kill'\nat_s = -1\nfor_s = 1\nnode = 'n0'", [">= 0", "at_s"]),
        ("[[timeline]]\nevent = 'kill'\nat_s = 1\nfor_s = 1\nnode = 'n9'", ["timeline[0] (kill)", "'n9'"]),
        ("[[timeline]]\nevent = 'reset'\nat_s = 99\nnode = 'n0'", ["99 s", "60 s"]),
        (
            "[[timeline]]\nevent = 'partition'\nat_s = 1\nfor_s = 1\ngroups = [['n0'], ['n0', 'n1']]",
            ["two groups"],
        ),
        ("[[timeline]]\nevent = 'flapping'\nat_s = 1\nfor_s = 1\nbetween = ['n1', 'n1']", ["itself"]),
        ("[[timeline]]\nevent = 'do'\nat_s = 1\nnodes = ['n0']\noperation = 'dance'", ["'dance'"]),
        ("[[timeline]]\nevent = 'do'\nat_s = 1\nnodes = ['n0']\noperation = 'commit_many'\ncommits = 0", [">= 1"]),
        (
            "[[timeline]]\nevent = 'do'\nat_s = 1\nnodes = ['n0']\noperation = 'merge'\ncommits = 5",
            ["`commits` to merge"],
        ),
        ("[[timeline]]\nevent = 'do'\nat_s = 1\nnodes = ['n0']\noperation = 'count'\nref = 'main'", ["`ref` to count"]),
        ("[[links]]\nbetween = ['n0', 'x']", ["links[0]", "'x'"]),
        ("[[clocks]]\nnode = 'x'", ["clocks", "'x'"]),
        ("[workload.mix]\ndance = 1", ["'dance'"]),
        ("[settings]\npatience_s = 1", ["'patience_s'"]),
        ("nodes = = 3", ["TOML"]),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, words: list[str]) -> None:
    with pytest.raises(LocalError) as caught:
        parse(text, "world.toml")
    assert all(word in str(caught.value) for word in ["world.toml", *words]), str(caught.value)


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no scenario file"):
        read(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(LocalError, match="cannot be read"):
        read(tmp_path / "binary.toml")
    with pytest.raises(LocalError, match="cannot be read"):
        read(tmp_path)


@pytest.mark.parametrize("topology", Topology)
@pytest.mark.parametrize("nodes", [1, 2, 3, 5, 16])
def test_everyone_is_connected_and_nobody_dials_itself(topology: Topology, nodes: int) -> None:
    scenario = Scenario(nodes=nodes, topology=topology)
    assert all(name not in scenario.peers(name) for name in scenario.names)
    assert 1 <= scenario.diameter <= nodes


def test_a_link_differs_where_it_says_so_and_nowhere_else() -> None:
    text = "[wire]\nlatency_s = 0.01\n[[links]]\nbetween = ['n0', 'n1']\nlatency_s = 0.5\none_way = true"
    scenario = parse(text, "world.toml")
    assert scenario.path("n0", "n1").latency_s == 0.5
    assert scenario.path("n1", "n0").latency_s == scenario.path("n0", "n2").latency_s == 0.01
    both = replace(scenario, links=(replace(scenario.links[0], one_way=False),))
    assert both.path("n1", "n0").latency_s == 0.5


def test_a_shipped_scenario_is_found_by_its_name() -> None:
    for name, scenario in shipped().items():
        assert find(name) == scenario
        assert scenario.about
