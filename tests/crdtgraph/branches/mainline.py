"""The name of a branch, and where `main` stands."""

from __future__ import annotations

from crdtgraph import CommitId, Graph

NAME = "agents/planner/fix-17"


def main(graph: Graph) -> CommitId:
    return graph.refs.require("main").targets[0]
