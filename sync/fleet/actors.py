"""The only module that knows Ray: nodes, actors on them, calls to them, and what their failures mean.

A *site* is an actor pinned to its node that takes no CPUs; its workers are actors of its own on the same node, so when
a site dies its workers go with it. None of them is restarted by Ray: whoever notices a loss starts another, because it
knows what was lost.

Calls between actors need no head. Whoever asks the head for something (the list of nodes) and finds it gone waits, and
after 60 s of that Ray ends the process; so a process of its own asks (`lookout.py`).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

from crdtgraph.errors import CrdtGraphError, LocalError
from crdtgraph.mcts import Task
from sync.fleet.crew import Crew
from sync.fleet.errors import HeadLostError, SiteLostError, WorkerLostError
from sync.fleet.evaluating import Evaluator
from sync.fleet.lookout import Lookout, alive
from sync.fleet.plan import Arrived, Feed, Found, Place, Plan, Report
from sync.fleet.searching import Searching
from sync.transport import Address
from sync.version import software_version

HEAD_TIMEOUT_S = 2.0
"""For the head to take a connection."""
TEXT_MAX = 400
"""Of what Ray says of a failure; the rest of it are addresses of processes."""
LOOPBACK = "127.0.0.1"
LOCAL, AUTO = "local", "auto"
"""Addresses that only Ray understands: of a new cluster, of the one on this machine."""
REQUIREMENT = "pip install 'crdtgraph[ray]'"

Call = Any
"""A call of a site that was begun."""
Actor = Any
"""A handle of an actor."""


@cache
def _ray() -> Any:
    """Ray, which is imported when a fleet is first made."""
    try:
        import ray
        import ray.cloudpickle
        import ray.util
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise LocalError(f"a fleet needs Ray, which cannot be imported: {error}", hint=REQUIREMENT) from error
    return ray


def pickled(value: object) -> bytes:
    """A value as bytes that other processes can read; classes of a script go along by value. Raises what it raises."""
    data: bytes = _ray().cloudpickle.dumps(value)
    return data


class Cluster:
    """The Ray cluster that this process is connected to, or a local one that is started for it.

    Args:
        address: of a cluster to connect to, if this process is not connected to any: `auto`, `HOST:PORT`, or None for a
            local one.

    Raises:
        LocalError: Ray is not installed, or nothing answers at the address.
    """

    def __init__(self, address: str | None = None) -> None:
        ray = _ray()
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            _connect(LOCAL if address is None else address)
        self._head = Address.parse(ray.get_runtime_context().gcs_address)
        self._places = alive()
        self._lookout: Actor
        self._asked: Call = None
        self._is_looking = False
        self._look_out()

    def close(self, *, headless: bool = False) -> None:
        """Disconnect, if it was this object that connected, or if the head is gone; that takes some seconds then.

        Nothing of this object may be used any more: Ray would look for another cluster by itself.
        """
        if not headless:
            _ray().kill(self._lookout)
        if self._is_ours or headless:
            _ray().shutdown()

    def head_answers(self) -> bool:
        """Whether the head of the cluster takes a connection."""
        return _answers(self._head)

    def places(self) -> dict[str, Place]:
        """The nodes that are alive, by id. Raises HeadLostError when the head does not answer."""
        if not self.head_answers():
            raise self._headless()
        ray = _ray()
        if self._asked is None:
            self._asked = self._lookout.places.remote()
        done, _ = ray.wait([self._asked], timeout=HEAD_TIMEOUT_S if self._is_looking else 0)
        if done:
            asked, self._asked = self._asked, None
            try:
                self._places, self._is_looking = ray.get(asked), True
            except ray.exceptions.RayError:
                self._look_out()
        elif self._is_looking:
            raise self._headless()
        return self._places

    def _look_out(self) -> None:
        """Start the process that asks the head. Until it is there the nodes are those of now."""
        here = _ray().get_runtime_context().get_node_id()
        self._lookout = _on(here, Lookout, cpus=0.0).remote()
        self._asked, self._is_looking = None, False

    def _headless(self) -> HeadLostError:
        return HeadLostError(f"the head of the Ray cluster at {self._head.text} does not answer")

    def share(self, value: object) -> object:
        """Put a value where all nodes can get it; it is given to calls in place of the value."""
        return _ray().put(value)

    def start_site(self, node: str, plan: object) -> Actor:
        """An actor on a node, whose process is being started."""
        return _on(node, _Site, cpus=0.0).remote(node, plan)

    def call(self, site: Actor, method: str, *arguments: object) -> Call:
        """Begin a call."""
        return getattr(site, method).remote(*arguments)

    def wait(self, calls: Sequence[Call], timeout_s: float) -> list[Call]:
        """Those of the calls that are done, as soon as there is one or the time is over."""
        if not calls:
            time.sleep(timeout_s)
            return []
        done: list[Call] = _ray().wait([*calls], num_returns=1, timeout=timeout_s)[0]
        return done

    def result(self, call: Call) -> Any:
        """What a call returned or raised; SiteLostError when there is nobody to answer it any more."""
        exceptions = _ray().exceptions
        try:
            return _ray().get(call)
        except exceptions.RayTaskError as error:
            if isinstance(error.cause, CrdtGraphError):
                raise error.cause from None
            raise
        except exceptions.RayError as error:
            raise SiteLostError(_first_lines(error)) from error

    def kill(self, site: Actor) -> None:
        """End a site and its workers, whatever they are at."""
        _ray().kill(site)


class _Site:
    """The actor of one node."""

    def __init__(self, name: str, plan: Plan) -> None:
        self._name = name
        self._plan = plan
        self._searching: Searching
        self._crew: Crew[Task, tuple[int, object], Any]

    def hello(self) -> str:
        """That the process is there, and the version of the software in it."""
        return software_version()

    def start(self, peers: Sequence[str], feed: Feed) -> Arrived:
        """Open the replica and talk to these peers."""
        plan = self._plan
        host = _ray().util.get_node_ip_address() if plan.beyond_loopback else LOOPBACK
        self._searching = Searching(plan, name=self._name, host=host, peers=peers, feed=feed)
        self._crew = Crew(
            _RayPool(plan), self._searching, batch=plan.batch, now=time.monotonic, patience_s=plan.patience_s
        )
        return self._searching.arrived()

    def lease(self, iterations: int, seconds: float, workers: int) -> Report:
        """Have so many workers, and work."""
        self._crew.employ(workers)
        return self._searching.report(self._crew.lease(iterations, seconds))

    def rest(self) -> None:
        """End the workers, and make all that was counted ready for the peers."""
        self._crew.stop()
        self._searching.rest()

    def digest(self) -> bytes:
        """Of the search here."""
        return self._searching.digest()

    def promote(self) -> Found:
        """Promote the best line to the ledger, durably, and end the search."""
        return self._searching.promote()

    def ledger(self, state_vector: dict[int, int]) -> Feed:
        """What a replica with that state vector lacks of the ledger."""
        return self._searching.ledger(state_vector)

    def close(self) -> None:
        """Close the replica."""
        self._searching.close()


class _RayPool:
    """Workers on the node of this process."""

    def __init__(self, plan: Plan) -> None:
        ray = _ray()
        self._plan = plan
        self._node = ray.get_runtime_context().get_node_id()
        self._matter = ray.put(plan.matter)
        self._workers: dict[int, Actor] = {}
        self._hired = 0

    def hire(self, number: int) -> None:
        self._hired += 1
        seed = f"{self._plan.seed} {self._node} {self._hired}"
        maker = _on(self._node, Evaluator, cpus=self._plan.cpus_per_worker)
        self._workers[number] = maker.remote(self._matter, seed)

    def dismiss(self, number: int) -> None:
        _ray().kill(self._workers.pop(number))

    def submit(self, number: int, tasks: Sequence[Any]) -> Any:
        return self._workers[number].evaluate.remote(tasks)

    def wait(self, tickets: Sequence[Any], timeout_s: float) -> list[Any]:
        done: list[Any] = _ray().wait([*tickets], num_returns=1, timeout=timeout_s)[0]
        return done

    def results(self, ticket: Any) -> Any:
        exceptions = _ray().exceptions
        try:
            return _ray().get(ticket)
        except exceptions.RayTaskError as error:
            if isinstance(error.cause, CrdtGraphError):
                raise error.cause from None
            raise
        except exceptions.RayError as error:
            raise WorkerLostError(_first_lines(error)) from error


def _on(node: str, kind: type, *, cpus: float) -> Any:
    """What makes an actor on a node, and there only."""
    affinity = _ray().util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
    return _remote(kind).options(num_cpus=cpus, max_restarts=0, max_task_retries=0, scheduling_strategy=affinity)


@cache
def _remote(kind: type) -> Any:
    # Ray takes a class to the head the first time only.
    return _ray().remote(kind)


def _connect(where: str) -> None:
    """Connect this process to a cluster, or start one."""
    # Ray itself takes minutes to find out that nobody is there.
    if where not in (LOCAL, AUTO) and not _answers(Address.parse(where)):
        raise LocalError(f"no Ray cluster answers at {where}", hint="see `ray status` there, or leave the address out")
    try:
        _ray().init(address=where, include_dashboard=False, log_to_driver=False, logging_level="warning")
    except Exception as error:
        raise LocalError(
            f"no Ray cluster can be used at {where}: {error}", hint="see `ray status`, or leave the address out"
        ) from error


def _answers(address: Address) -> bool:
    try:
        socket.create_connection((address.host, address.port), timeout=HEAD_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _first_lines(error: BaseException) -> str:
    """The beginning of one of Ray's messages, in one line."""
    return " ".join(str(error).split())[:TEXT_MAX]
