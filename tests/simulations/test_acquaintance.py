"""In a mended world all know all, and a world in which somebody does not is found out."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from simulations import timeline
from simulations.runner import run
from simulations.scenario import Scenario, Topology
from sync.protocol.cards import Card
from sync.protocol.membership import Link, Membership
from sync.protocol.messages import HeldCard

LINE = Scenario(nodes=4, topology=Topology.LINE, duration_s=5.0)


@pytest.mark.parametrize("topology", Topology)
def test_members_know_each_other_across_hops_restarts_and_clocks_that_are_set_back(topology: Topology) -> None:
    restart = timeline.Kill(at_s=2, for_s=1, node="n3")
    slow = timeline.ClockJump(at_s=1.5, node="n3", by_s=-3_600.0)
    outcome = run(3, replace(LINE, topology=topology, timeline=(slow, restart)))
    assert not outcome.failure, outcome.failure


def test_cards_that_are_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Membership._keep

    def keep_to_itself(self: Membership, card: Card, issued_at: float, source: Link | None) -> None:
        links, self._links = self._links, {} if source is not None else self._links
        keep(self, card, issued_at, source)
        self._links = links

    monkeypatch.setattr(Membership, "_keep", keep_to_itself)
    outcome = run(1, LINE)
    assert outcome.rule == "members know each other"
    assert "has never heard of" in outcome.failure


def test_a_restart_that_is_outranked_by_its_own_past(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = Membership._receive_card

    def deaf_to_its_past(self: Membership, held: HeldCard, link: Link, now: float) -> None:
        if held.card.replica != self._replica:
            receive(self, held, link, now)

    monkeypatch.setattr(Membership, "_receive_card", deaf_to_its_past)
    restart = timeline.Kill(at_s=3, for_s=1, node="n3")
    slow = timeline.ClockJump(at_s=2.5, node="n3", by_s=-3_600.0)
    outcome = run(1, replace(LINE, timeline=(slow, restart)))
    assert outcome.rule == "members know each other"
    assert "only as it was before it restarted" in outcome.failure
