"""Looking at a cluster again and again from a thread of its own, so that a slow answer holds up no key."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cli.cluster.members import Cluster
from cli.cluster.rates import Rates
from crdtgraph.errors import CrdtGraphError


@dataclass(frozen=True, slots=True)
class Seen:
    """The latest answer, when it came (monotonic), and why there has been no later one, if there should have been."""

    cluster: Cluster
    rates: Rates
    at: float
    failure: str = ""


class Watcher:
    """Asks every so many seconds. `news` is called, in the thread, after each answer and each failure.

    The first answer is given: whoever cannot be reached at all has no screen to show.
    """

    def __init__(self, ask: Callable[[], Cluster], first: Cluster, interval_s: float, news: Callable[[], None]) -> None:
        self._ask = ask
        self._interval_s = interval_s
        self._news = news
        self._stop = threading.Event()
        self._rates = Rates()
        self._rates.update(first)
        self.bug: Exception | None = None
        """What ended the thread against its will."""
        self.seen = Seen(first, self._rates, time.monotonic())
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more. An answer that is under way is not waited for."""
        self._stop.set()

    def _run(self) -> None:
        due = time.monotonic() + self._interval_s
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - whoever shows the screen raises it
                self.bug = error
                self._news()
                return
            due = max(due + self._interval_s, time.monotonic())

    def look(self) -> None:
        """Ask once."""
        before = self.seen
        try:
            cluster = self._ask()
        except CrdtGraphError as error:
            self.seen = Seen(before.cluster, before.rates, before.at, error.message)
        else:
            self._rates.update(cluster)
            self.seen = Seen(cluster, self._rates, time.monotonic())
        if not self._stop.is_set():
            self._news()
