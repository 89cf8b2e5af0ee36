"""A small world with a split, samples of one, and what stands on a report page."""

from __future__ import annotations

from xml.etree import ElementTree

from simulations.observer import NodeSample, NodeState
from simulations.page import page
from simulations.runner import Outcome
from simulations.scenario import Scenario, Workload
from simulations.timeline import Partition

XHTML, SVG = "{http://www.w3.org/1999/xhtml}", "{http://www.w3.org/2000/svg}"
SPLIT = Partition(at_s=2, for_s=3, groups=(("n0",), ("n1", "n2")))
SMALL = Scenario(name="small", nodes=3, duration_s=8, workload=Workload(operations_per_s=1.0), timeline=(SPLIT,))


def parsed(outcome: Outcome) -> ElementTree.Element:
    return ElementTree.fromstring(page(outcome, command="crdtgraph simulate run small --seed 1"))


def part(root: ElementTree.Element, name: str) -> ElementTree.Element:
    return next(each for each in root.iter() if each.get("id") == name)


def words(element: ElementTree.Element) -> str:
    return " ".join(" ".join(element.itertext()).split())


def classes(element: ElementTree.Element) -> set[str]:
    return set(element.get("class", "").split())


def bars(root: ElementTree.Element, strip: str) -> list[ElementTree.Element]:
    return [each for each in part(root, strip).iter(f"{SVG}rect") if "bar" in classes(each)]


def sample(at_s: float, digest: str, state: NodeState = NodeState.UP) -> NodeSample:
    return NodeSample(at_s, state, digest if state is not NodeState.DOWN else "", commits=int(at_s), heads=1)
