"""The end of a run: all nodes hear each other's last words, one promotes the best line, and it is carried home.

What comes home is the ledger, as deltas like those that peers exchange, through Ray. The driver's own replica then has
the answer, on its own disk; nothing depends on the nodes any more.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from crdtgraph import LEDGER, Durability, Graph
from crdtgraph.errors import CrdtGraphError
from sync.fleet.driving import Drive, Site
from sync.fleet.errors import FleetLostError
from sync.fleet.plan import Feed, Found

AGREE_SPACING_S = 0.02
"""Between two looks whether the nodes agree."""


def feed_of(graph: Graph) -> Feed:
    """All of a ledger, for replicas that have nothing of it."""
    graph.flush()
    return [(delta.plane, delta.update) for delta in graph.deltas(LEDGER, {})]


def bring_home(drive: Drive, graph: Graph, ref: str) -> Found:
    """Have the best line promoted, and take it into this ledger, durably.

    The ref moves to it; should somebody have moved it elsewhere meanwhile, it is in conflict, and nothing is lost.

    Raises FleetLostError when no node answers any more, and what promoting raised when all refuse.
    """
    drive.settle()
    rested = drive.ask(drive.ready(), "rest", timeout_s=drive.pace.answer_s)
    sites = [site for site, _ in rested]
    _agree(drive, sites)
    failure: CrdtGraphError | None = None
    # Whoever knows most; if they all agree, that is any of them.
    for site in sorted(sites, key=lambda site: -site.visits):
        try:
            found = _promoted(drive, site, graph)
        except CrdtGraphError as error:
            failure = failure or error
            continue
        if found is not None:
            graph.set_ref(ref, found.commit, keep_others=True, durability=Durability.CRITICAL)
            return found
    if failure is not None:
        raise failure
    raise FleetLostError(
        f"no node of the fleet is left that could say what was found; the last was lost so: {drive.tally.last_loss}",
        hint="see `ray status` and its logs; the ledger is as it was before the search",
    )


def part(drive: Drive) -> None:
    """Close all replicas, and end the actors in any case."""
    sites = [*drive.sites.values()]
    with suppress(CrdtGraphError):
        drive.ask([site for site in sites if site.arrived is not None], "close", timeout_s=drive.pace.agree_s)
    for site in sites:
        drive.kill(site)


def _agree(drive: Drive, sites: Sequence[Site]) -> None:
    """Wait until all have the same search, but not for ever: one may not be reached by the others."""
    end = time.monotonic() + drive.pace.agree_s
    while time.monotonic() < end:
        digests = {digest for _, digest in drive.ask(sites, "digest", timeout_s=drive.pace.answer_s)}
        if len(digests) <= 1:
            return
        time.sleep(AGREE_SPACING_S)


def _promoted(drive: Drive, site: Site, graph: Graph) -> Found | None:
    vector = dict(graph.state_vector(LEDGER))
    for _, found in drive.ask([site], "promote", timeout_s=drive.pace.answer_s):
        assert isinstance(found, Found)
        for _, feed in drive.ask([site], "ledger", vector, timeout_s=drive.pace.answer_s):
            for plane, update in feed:
                graph.receive(plane, update)
            graph.flush()
            return found
    return None
