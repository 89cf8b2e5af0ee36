"""Worlds for `crdtgraph simulate`, and what it says of them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from simulations.runner import Outcome as World
from tests.cli.conftest import Outcome

WORLD = """
about = "Two machines, cut in two for a second."
nodes = 2
duration_s = 4
seed = 3

[[timeline]]
event = "partition"
at_s = 1
for_s = 1
groups = [["n0"], ["n1"]]
"""
FAILING = WORLD + "\n[expect]\ncommits_min = 1000000\n"
LONG = "nodes = 5\nduration_s = 20000\n"
WORLD_KEYS = {
    "scenario", "seed", "passed", "rule", "failure", "nodes", "topology", "events", "commits", "lost", "pending",
    "conflicts", "bytes_sent", "duration_s", "simulated_s", "converged_after_s", "wall_s", "trace_hash",
}  # fmt: skip


def table(outcome: Outcome) -> dict[str, object]:
    found = outcome.json
    assert isinstance(found, dict)
    return found


def title(page: Path) -> str:
    root = ElementTree.fromstring(page.read_text())
    return "".join(next(each for each in root.iter() if each.tag.endswith("title")).itertext())


def never(*_arguments: object, **_options: object) -> World:
    raise AssertionError("nothing may run")
