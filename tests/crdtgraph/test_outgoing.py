"""What a critical write leaves for later: it is there for whoever looks, and told of in order."""

from __future__ import annotations

import crdtgraph
from crdtgraph.outgoing import ANNOUNCED_LATER_MAX
from crdtgraph.planes import LEDGER


def test_a_critical_write_leaves_the_announcement_to_whoever_said_so() -> None:
    with crdtgraph.open("memory:") as graph:
        told, hints = [], []
        stop = graph.on_durable(told.append, later=lambda: hints.append(len(told)))
        graph.commit(message="one", ref="main")
        graph.commit(message="two", ref="main")
        assert (told, hints) == ([], [0, 0])
        # Nobody who asks sees anything less than what is on disk.
        assert dict(graph.state_vector(LEDGER)) == {graph.writer: 2}
        assert told == []
        graph.announce()
        assert [dict(delta.base) for delta in told] == [{graph.writer: 0}, {graph.writer: 1}]
        graph.announce()
        assert len(told) == 2
        stop()


def test_a_flush_announces_what_was_left_before_its_own() -> None:
    with crdtgraph.open("memory:") as graph:
        told = []
        graph.on_durable(told.append, later=list)
        graph.commit(message="critical", ref="main")
        graph.commit(message="normal")
        graph.flush()
        assert [dict(delta.base) for delta in told] == [{graph.writer: 0}, {graph.writer: 1}]


def test_one_listener_who_does_not_wait_is_enough_to_tell_at_once() -> None:
    with crdtgraph.open("memory:") as graph:
        patient, prompt = [], []
        graph.on_durable(patient.append, later=list)
        graph.on_durable(prompt.append)
        graph.commit(message="one", ref="main")
        assert len(patient) == len(prompt) == 1


def test_no_more_than_so_many_wait() -> None:
    with crdtgraph.open("memory:") as graph:
        told = []
        graph.on_durable(told.append, later=list)
        for number in range(ANNOUNCED_LATER_MAX):
            graph.commit(message=str(number), ref="main")
        assert len(told) == ANNOUNCED_LATER_MAX


def test_a_commit_is_read_and_durable_before_it_is_announced() -> None:
    with crdtgraph.open("memory:") as graph:
        graph.on_durable(lambda _delta: None, later=list)
        commit = graph.commit(message="one", ref="main")
        assert graph.is_durable(commit)
        assert graph.get(commit).message == "one"
