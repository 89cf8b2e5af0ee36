"""How a store was opened is said: on stderr by commands, in `status` and by `doctor`."""

from __future__ import annotations

import pytest

import crdtgraph as library
from crdtgraph.store import Batch, Keyspace, open_store

from .conftest import CommandLine


def status(crdtgraph: CommandLine) -> dict[str, object]:
    answer = crdtgraph("status", "-o", "json").json
    assert isinstance(answer, dict)
    graph = answer["graph"]
    return {name: graph[name] for name in ("last_stop", "checkpoint", "covered", "folded")}


def doctor(crdtgraph: CommandLine) -> tuple[str, str]:
    outcome = crdtgraph("doctor", "-o", "json").json
    assert isinstance(outcome, list)
    [found] = [each for each in outcome if each["check"] == "recovery"]
    return found["verdict"], found["text"]


def test_a_store_that_was_not_closed(crdtgraph: CommandLine, store: str) -> None:
    before = status(crdtgraph)
    commits = before["folded"]
    assert isinstance(commits, int)
    assert before == {"last_stop": "clean", "checkpoint": "none", "covered": 0, "folded": commits}
    assert doctor(crdtgraph) == ("ok", "the last stop was a clean one, or there was none")
    graph = library.open(store)
    graph.commit(message="last words")
    graph.flush()
    graph.store.close()  # As a kill leaves it.
    assert status(crdtgraph)["last_stop"] == "unknown"
    assert "was not closed" in doctor(crdtgraph)[1]
    outcome = crdtgraph("commit", "-m", "more")
    assert outcome.code == 0
    assert outcome.err.startswith(f"warning: the last stop was not clean: {commits + 1} commits folded, ")
    assert len(outcome.out.splitlines()) == 1
    assert crdtgraph("commit", "-m", "more").err == ""


def test_a_checkpoint_that_does_not_verify(crdtgraph: CommandLine, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with library.open(store) as graph:
        assert graph.checkpoint()
    assert status(crdtgraph)["checkpoint"] == "used"
    opened = open_store(store)
    batch = Batch()
    for key, value in opened.scan(Keyspace.CHECKPOINTS):
        batch.put(Keyspace.CHECKPOINTS, key, value[:-1])
    opened.write(batch, sync=True)
    opened.close()
    outcome = crdtgraph("log")
    assert outcome.code == 0
    assert outcome.err.startswith("warning: the checkpoint was ignored, and all ")
    assert outcome.err.endswith(" commits folded: its manifest is damaged\n")
    verdict, text = doctor(crdtgraph)
    assert verdict == "warning"
    assert "did not verify" in text
    monkeypatch.setattr(crdtgraph_graph(), "CLOSING_WEIGHT_MIN", 1)
    crdtgraph("commit", "-m", "the next one takes its place")
    assert crdtgraph("log").err == ""
    assert status(crdtgraph)["checkpoint"] == "used"


def crdtgraph_graph() -> object:
    import crdtgraph.graph as module

    return module
