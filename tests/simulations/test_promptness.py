"""When all is well nobody waits for news, and a world in which somebody does is found out."""

from __future__ import annotations

import random

import pytest
import trio
from msgspec.structs import replace

from simulations import timeline
from simulations.network import SimTransport
from simulations.promptness import Promptness
from simulations.runner import run
from simulations.scenario import Scenario, Topology, Workload
from simulations.trace import Trace
from simulations.wire import WireProperties
from sync.protocol.gossip import Gossip
from sync.protocol.messages import Delta
from sync.protocol.outbox import Outbox
from sync.protocol.replica import DeltaLike
from sync.transport import Address

LINE = Scenario(nodes=4, topology=Topology.LINE, duration_s=5.0, settings={"anti_entropy_s": 60.0})


def bound_s(scenario: Scenario) -> float:
    return Promptness(scenario, None, {}, Trace(), random.Random(0)).bound_s  # type: ignore[arg-type]


@pytest.mark.parametrize("topology", Topology)
def test_news_is_everywhere_at_once_also_where_queues_overflow(topology: Topology) -> None:
    scenario = replace(LINE, topology=topology, settings={"anti_entropy_s": 60.0, "queue_messages_max": 1})
    for seed in range(3):
        outcome = run(seed, scenario)
        assert not outcome.failure, outcome.failure
        assert sum(" is heard " in line for line in outcome.lines) == 2


def test_the_bound_is_far_below_the_time_between_two_comparisons_and_grows_with_the_way() -> None:
    assert bound_s(LINE) < 1.0
    assert bound_s(replace(LINE, nodes=7)) == pytest.approx(2 * bound_s(LINE))
    slow = WireProperties(latency_s=0.5, jitter_s=0.5)
    assert bound_s(replace(LINE, wire=slow)) > 3 * 4 * 1.0
    thin = WireProperties(bytes_per_s=10e3)
    assert bound_s(replace(LINE, wire=thin)) > 3 * 6.5


def test_news_that_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    push = Gossip.push

    def push_own(self: Gossip, delta: DeltaLike, *, source: int | None = None) -> None:
        if source is None:
            push(self, delta)

    monkeypatch.setattr(Gossip, "push", push_own)
    outcome = run(1, replace(LINE, workload=Workload(operations_per_s=0)))
    assert outcome.rule == "news travels at once"
    assert "did not hear" in outcome.failure


def test_a_queue_that_is_dropped_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Outbox, "push", lambda self, message: not isinstance(message, Delta))
    outcome = run(1, replace(LINE, nodes=2, workload=Workload(operations_per_s=0)))
    assert outcome.rule == "news travels at once"


def test_neighbours_that_do_not_find_each_other_again(monkeypatch: pytest.MonkeyPatch) -> None:
    dial = SimTransport.dial

    async def dial_early(self: SimTransport, address: Address) -> trio.abc.Stream:
        if trio.current_time() > 2:
            await trio.sleep_forever()
        return await dial(self, address)

    monkeypatch.setattr(SimTransport, "dial", dial_early)
    broken = timeline.Reset(at_s=3, node="n0", share=0.5)
    outcome = run(1, replace(LINE, nodes=3, topology=Topology.MESH, timeline=(broken,)))
    assert outcome.rule == "the mended world comes to rest"
    assert "not connected are n0 and" in outcome.failure


@pytest.mark.slow
def test_a_path_that_never_comes_to_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = Gossip._receive_summary

    def answer(self: Gossip, peer: object, summary: object, now: float) -> None:
        receive(self, peer, summary, now)  # type: ignore[arg-type]
        self.broadcast("chatter", self._rng.randbytes(20_000))

    monkeypatch.setattr(Gossip, "_receive_summary", answer)
    outcome = run(1, replace(LINE, settings={"anti_entropy_s": 0.5}))
    assert outcome.rule == "the mended world comes to rest"
    assert "much is on its way from" in outcome.failure
