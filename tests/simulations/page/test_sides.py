"""Who was on which side of a split, and what each side had."""

from __future__ import annotations

from simulations.observer import NodeSample, NodeState
from simulations.page.colours import moments
from simulations.page.sides import eras
from simulations.scenario import Scenario, Topology
from simulations.timeline import Partition
from tests.simulations.page.pages import SMALL


def sides(scenario: Scenario, end_s: float = 60.0) -> list[tuple[float, float, list[str]]]:
    return [
        (each.from_s, each.to_s, ["".join(side.nodes) for side in each.sides]) for each in eras(scenario, [], end_s)
    ]


def test_partitions_that_overlap_cut_into_what_is_left_of_each() -> None:
    first = Partition(at_s=10, for_s=20, groups=(("n0", "n1"), ("n2", "n3")))
    second = Partition(at_s=20, for_s=20, groups=(("n0", "n2"), ("n1", "n3")))
    assert sides(Scenario(nodes=4, timeline=(first, second))) == [
        (0, 10, ["n0n1n2n3"]),
        (10, 20, ["n0n1", "n2n3"]),
        (20, 30, ["n0", "n1", "n2", "n3"]),
        (30, 40, ["n0n2", "n1n3"]),
        (40, 60, ["n0n1n2n3"]),
    ]


def test_who_is_connected_only_through_others_is_cut_off_with_them() -> None:
    middle = Partition(at_s=10, for_s=10, groups=(("n1",), ("n0", "n2")))
    assert sides(Scenario(nodes=3, topology=Topology.LINE, timeline=(middle,)))[1][2] == ["n0", "n1", "n2"]
    assert sides(Scenario(nodes=3, timeline=(middle,)))[1][2] == ["n0n2", "n1"]


def test_a_machine_in_no_group_is_with_nobody() -> None:
    scenario = Scenario(nodes=4, timeline=(Partition(at_s=10, for_s=10, groups=(("n0", "n1"),)),))
    assert sides(scenario)[1][2] == ["n0n1", "n2", "n3"]


def test_the_planned_end_mends_a_split_and_the_end_of_a_run_cuts_it_short() -> None:
    scenario = Scenario(nodes=2, duration_s=50, timeline=(Partition(at_s=40, for_s=99, groups=(("n0",), ("n1",))),))
    assert sides(scenario)[1:] == [(40, 50, ["n0", "n1"]), (50, 60, ["n0n1"])]
    assert sides(scenario, 45.0)[1:] == [(40, 45, ["n0", "n1"])]
    assert sides(scenario, 40.0) == [(0, 40, ["n0n1"])]


def test_a_side_has_what_any_of_its_machines_shows_from_the_cut_to_the_heal() -> None:
    found = {
        "n0": [NodeSample(0, NodeState.UP, "a", 5, 1), NodeSample(3, NodeState.UP, "b", 9, 4)],
        "n1": [NodeSample(0, NodeState.UP, "a", 5, 1), NodeSample(4, NodeState.DOWN)],
        "n2": [NodeSample(0, NodeState.UP, "a", 5, 1), NodeSample(4.5, NodeState.UP, "c", 6, 2)],
    }
    split = eras(SMALL, [*moments(found)], 8.0)[1]
    assert [[(each.commits, each.heads) for each in side.points] for side in split.sides] == [
        [(5, 1), (9, 4)],
        [(5, 1), (6, 2)],
    ]
    assert split.sides[0].points[0].at_s == split.from_s == 2
