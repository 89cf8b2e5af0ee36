"""What nodes know of each other in a mended world: everybody, by a card of its present process; and nobody as lost.

Cards spread beside the graph and nothing else depends on them, so a world that only has to agree hides members that are
lost, or known by what they were before a restart. Cards go with each round of anti-entropy, and at once where a link
opens; after one round and the time that news takes everyone must be known everywhere. By then each node must also have
seen that it agrees with every peer that it had lost, so that no episode goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import trio

from crdtgraph.episodes import read_episodes
from simulations.checkers import ViolationError
from simulations.process import Process
from sync.protocol.limits import JITTER, MEMBERS_MAX

POLL_S = 0.25


async def check_acquaintance(processes: Mapping[str, Process], anti_entropy_s: float, news_s: float) -> None:
    """Wait until all know all, for one round and `news_s`; ViolationError if somebody is not known somewhere then."""
    if len(processes) > MEMBERS_MAX:
        return
    bound_s = anti_entropy_s * (1 + JITTER) + news_s
    with trio.move_on_after(bound_s):
        # Nobody is told when a simulated node learns something.
        while next(_unknown(processes), "") or next(_lost(processes), ""):  # noqa: ASYNC110
            await trio.sleep(POLL_S)
    unknown, lost = next(_unknown(processes), ""), next(_lost(processes), "")
    if unknown:
        raise ViolationError("members know each other", f"{unknown} after {bound_s:.1f} s")
    if lost:
        raise ViolationError("every episode ends", f"{lost} after {bound_s:.1f} s")


def _unknown(processes: Mapping[str, Process]) -> Iterator[str]:
    """Who does not know whom, in words."""
    nodes = {name: process.node for name, process in processes.items() if process.node is not None}
    for here, knower in nodes.items():
        for there, node in nodes.items():
            member = knower.members.table.members.get(node.replica_id)
            if member is None:
                yield f"{here} has never heard of {there}"
            elif member.card.nonce != node.members.nonce or member.card.leaving:
                yield f"{here} knows {there} only as it was before it restarted"


def _lost(processes: Mapping[str, Process]) -> Iterator[str]:
    """Who takes whom for lost, in words."""
    nodes = {name: process.node for name, process in processes.items() if process.node is not None}
    names = {node.replica_id: name for name, node in nodes.items()}
    for here, node in nodes.items():
        for _, episode in read_episodes(node.graph.store):
            away = [names[side.replica] for side in episode.theirs if side.replica in names]
            if away and not episode.ended:
                yield f"{here} still takes {', '.join(away)} for lost"
