"""The driver's loop: sites come, work, and are lost; the budget is given out and comes back.

A site goes through `Stage` and has one call under way at most, so whatever a call ends with says what is next. Sites
start one after the other, each told of all that are there, so every two of them are connected by the later one.

Nothing here knows Ray: the cluster is behind `Cluster`, and time is handed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Protocol

from crdtgraph.errors import CrdtGraphError, LocalError
from crdtgraph.mcts.budget import Budget, Meter, Stop
from sync.fleet.allotment import lease, spread
from sync.fleet.errors import FleetLostError, HeadLostError, SiteLostError
from sync.fleet.plan import Arrived, Pace, Place, Report

STARTS_MAX = 3
"""Sites of one node that may be lost one after the other, with no lease in between; then the node is left out."""

HURRIED = Pace(answer_s=4.0, agree_s=3.0)
"""When the head is gone: 60 s after it was, Ray ends this process, unless all is over by then."""


class Cluster(Protocol):
    """What a driver needs of Ray; see `actors.Cluster`."""

    def places(self) -> Mapping[str, Place]:
        """The nodes that are alive, by id. Raises HeadLostError."""

    def start_site(self, node: str, plan: object) -> Any:
        """Begin to start a process on a node."""

    def call(self, site: Any, method: str, *arguments: object) -> Any:
        """Begin a call."""

    def wait(self, calls: Sequence[Any], timeout_s: float) -> Sequence[Any]:
        """Those of the calls that are done, as soon as there is one or the time is over."""

    def result(self, call: Any) -> Any:
        """What a call returned or raised; SiteLostError when nobody is left to answer it."""

    def kill(self, site: Any) -> None:
        """End the process of a site."""


class Stage(Enum):
    """How far a site is."""

    BOOTING = "its process is being started"
    BOOTED = "its process is there"
    STARTING = "its replica is being opened"
    READY = "it has nothing to do"
    WORKING = "it has a lease"


@dataclass(slots=True)
class Site:
    """A site as the driver knows it.

    `granted` are the iterations of its lease, `under_way` those that its workers had at the last report, and `since`
    is when its call was begun.
    """

    node: str
    actor: Any
    stage: Stage = Stage.BOOTING
    arrived: Arrived | None = None
    granted: int = 0
    under_way: int = 0
    workers: int = 0
    since: float = 0.0
    report: Report | None = None

    @property
    def visits(self) -> int:
        """What its tree held at the last report."""
        return self.report.visits if self.report is not None else 0


@dataclass(slots=True)
class Tally:
    """What happened to a fleet: nodes that came and were lost, workers that were lost."""

    sites_started: int = 0
    sites_lost: int = 0
    workers_lost: int = 0
    last_loss: str = ""
    left_out: set[str] = field(default_factory=set)


class Drive:
    """One run of a fleet.

    Args:
        cluster: where sites run.
        plan: given to each (the value, or where Ray has it).
        feed: the ledger, likewise.
        workers: how many, and what each takes.
        version: of this software; that of a site must be the same.
        budget: what the run may take; its seconds are those of `now`, from the first result on.
        pace: the times.
        looked: called with the driver, some times a second.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        plan: object,
        feed: object,
        workers: int,
        cpus_per_worker: float,
        version: str,
        budget: Budget,
        now: Callable[[], float],
        pace: Pace,
        looked: Callable[[Drive], None] = lambda _: None,
    ) -> None:
        self._cluster = cluster
        self._plan = plan
        self._feed = feed
        self._workers = workers
        self._cpus_per_worker = cpus_per_worker
        self._version = version
        self._now = now
        self.pace = pace
        self._looked = looked
        self._calls: dict[Any, Site] = {}
        self._failures: dict[str, int] = {}
        self._places: Mapping[str, Place] = {}
        self._began_at = self._heard_at = self._looked_at = now()
        self._budget = budget
        self._end = math.inf
        # Its time begins with the first result.
        self.meter = Meter(budget, math.inf)
        self.sites: dict[str, Site] = {}
        self.tally = Tally()

    # The loop

    def run(self) -> Stop:
        """Work until the budget is used up. Raises what `sync.fleet.errors` says, and what a problem raised."""
        self._look()
        while True:
            self._start_next()
            stop = self.meter.stop(self._now())
            if stop is not None:
                return stop
            if self._is_exhausted():
                return Stop.PROVEN
            self._give_leases()
            for call in self._cluster.wait([*self._calls], self.pace.lease_s):
                self._take(call)
            self._looked(self)
            if self._now() - self._looked_at >= self.pace.look_s:
                self._look()
            self._check_anybody_works()

    def settle(self) -> None:
        """Wait for the leases that are under way, which end by themselves. Whoever does not answer by then is lost."""
        for site in [site for site in self.sites.values() if site.stage is not Stage.WORKING]:
            self._drop_calls(site)
        end = self._now() + self.pace.lease_s + self.pace.answer_s
        while self._calls and self._now() < end:
            for call in self._cluster.wait([*self._calls], self.pace.lease_s):
                self._take(call, replace=False)
        for site in [*self._calls.values()]:
            self._lose(site, "its last lease did not end")

    def hurry(self) -> None:
        """Wait for nobody longer than some seconds from now on."""
        answer_s, agree_s = min(self.pace.answer_s, HURRIED.answer_s), min(self.pace.agree_s, HURRIED.agree_s)
        self.pace = replace(self.pace, answer_s=answer_s, agree_s=agree_s)

    def ask(self, sites: Sequence[Site], method: str, *arguments: object, timeout_s: float) -> list[tuple[Site, Any]]:
        """Call all of these sites, and return what they answer in that time, in their order; the others are lost."""
        calls = {self._cluster.call(site.actor, method, *arguments): site for site in sites}
        answers: dict[str, Any] = {}
        end = self._now() + timeout_s
        while calls and self._now() < end:
            for call in self._cluster.wait([*calls], max(0.0, end - self._now())):
                site = calls.pop(call)
                try:
                    answers[site.node] = self._cluster.result(call)
                except SiteLostError as error:
                    self._lose(site, error.message)
        for site in calls.values():
            self._lose(site, f"no answer to {method!r} within {timeout_s:g} s")
        return [(site, answers[site.node]) for site in sites if site.node in answers]

    def kill(self, site: Site) -> None:
        """End a site, whatever it is at."""
        self._drop_calls(site)
        self._cluster.kill(site.actor)

    def ready(self) -> list[Site]:
        """The sites that answered last time."""
        return [site for site in self.sites.values() if site.stage is Stage.READY]

    # Who is there

    def _look(self) -> None:
        self._looked_at = self._now()
        try:
            self._places = self._cluster.places()
        except HeadLostError:
            if self._now() - self._heard_at >= self.pace.head_s:
                raise
            return
        self._heard_at = self._now()
        for node in [*self.sites.keys() - self._places.keys()]:
            self._lose(self.sites[node], "the node left the cluster")
        for site in [*self.sites.values()]:
            silent_s = self._now() - site.since - self.pace.lease_s
            if site.stage is Stage.WORKING and silent_s > self.pace.answer_s:
                self._lose(site, f"it did not answer for {silent_s:.0f} s")
        for node in self._places:
            if node not in self.sites and node not in self.tally.left_out:
                self._start(node)

    def _start(self, node: str) -> None:
        actor = self._cluster.start_site(node, self._plan)
        site = self.sites[node] = Site(node, actor)
        self._begin(site, "hello")

    def _start_next(self) -> None:
        """One after the other, so that of two sites the second knows the first."""
        if any(site.stage is Stage.STARTING for site in self.sites.values()):
            return
        site = next((site for site in self.sites.values() if site.stage is Stage.BOOTED), None)
        if site is not None:
            site.stage = Stage.STARTING
            peers = [each.arrived.address for each in self.sites.values() if each.arrived is not None]
            self._begin(site, "start", peers, self._feed)

    def _drop_calls(self, site: Site) -> None:
        for call in [call for call, each in self._calls.items() if each is site]:
            del self._calls[call]

    def _lose(self, site: Site, reason: str) -> None:
        self._drop_calls(site)
        del self.sites[site.node]
        self._cluster.kill(site.actor)
        self.tally.sites_lost += 1
        self.tally.last_loss = reason
        self._failures[site.node] = self._failures.get(site.node, 0) + 1
        if self._failures[site.node] >= STARTS_MAX:
            self.tally.left_out.add(site.node)
        if not self.sites and self._places.keys() <= self.tally.left_out:
            raise FleetLostError(f"no node of the fleet is left: {reason}", hint="see `ray status` and its logs")

    def _check_anybody_works(self) -> None:
        if self.meter.iterations == 0 and self._now() - self._began_at > self.pace.start_s:
            raise FleetLostError(
                f"no worker has answered within {self.pace.start_s:g} s",
                hint="are CPUs free for them? see `ray status`; fewer workers or a smaller cpus_per_worker may fit",
            )

    # Who does what

    def _give_leases(self) -> None:
        shares = self._shares()
        for site in self.ready():
            left = self._left()
            granted = (1 << 30) if left is None else lease(left, len(self.sites))
            share = shares.get(site.node, 0)
            if (granted <= 0 and not site.under_way) or (share == 0 and site.workers == 0):
                continue
            site.workers = share
            site.granted = granted
            site.stage = Stage.WORKING
            self._begin(site, "lease", granted, self._lease_s(), share)

    def _begin(self, site: Site, method: str, *arguments: object) -> None:
        site.since = self._now()
        self._calls[self._cluster.call(site.actor, method, *arguments)] = site

    def _shares(self) -> dict[str, int]:
        rooms = {node: place.cpus for node, place in self._places.items() if node not in self.tally.left_out}
        return spread(self._workers, rooms, self._cpus_per_worker)

    def _left(self) -> int | None:
        """Iterations that nobody has."""
        left = self.meter.left()
        if left is None:
            return None
        return left - sum(site.granted + site.under_way for site in self.sites.values())

    def _lease_s(self) -> float:
        return max(0.0, min(self.pace.lease_s, self._end - self._now()))

    def _is_exhausted(self) -> bool:
        return any(site.report is not None and site.report.work.exhausted for site in self.sites.values())

    def _take(self, call: Any, *, replace: bool = True) -> None:
        site = self._calls.pop(call, None)
        if site is None:
            return
        try:
            result = self._cluster.result(call)
            if site.stage is Stage.BOOTING:
                self._check_version(site, result)
        except SiteLostError as error:
            self._lose(site, error.message)
            if replace:
                # Another is started if the node is still there.
                self._look()
            return
        except CrdtGraphError as error:
            if site.stage is Stage.WORKING or not self.meter.iterations:
                raise
            # A node that came late and is not fit for it does not end what the others do.
            self.tally.left_out.add(site.node)
            self._lose(site, error.message)
            return
        if site.stage is Stage.BOOTING:
            site.stage = Stage.BOOTED
        elif site.stage is Stage.STARTING:
            site.arrived, site.stage = result, Stage.READY
            self.tally.sites_started += 1
        else:
            self._note(site, result)

    def _note(self, site: Site, report: Report) -> None:
        site.stage, site.report = Stage.READY, report
        site.granted, site.under_way = 0, report.work.under_way
        if report.work.done and not self.meter.iterations:
            self.meter = Meter(self._budget, self._now())
            self._end = self._now() + (self._budget.seconds or math.inf)
        self.meter.iterations += report.work.done
        self.tally.workers_lost += report.work.lost
        if report.work.done:
            self._failures.pop(site.node, None)
        if self.meter.watches_leader():
            self.meter.note_leader(report.leader, report.lead)

    def _check_version(self, site: Site, version: str) -> None:
        if version != self._version:
            raise LocalError(
                f"Ray node {site.node[:8]} has crdtgraph {version}, and this process {self._version}",
                hint="install the same version on all nodes",
            )
