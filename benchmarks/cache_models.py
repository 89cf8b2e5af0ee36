"""The learned policy with a library's model in the place of its own: what hit rate, and at what price an access.

Needs `river` or `scikit-learn`, which nothing else here does; one that is not installed is left out. All see the same
features, lessons and candidates, and the same judge watches over them. The models of libraries get the buckets as
numbers (for linear models as indicators, which is what they are to our own), and are trained on the same pairs: one
example says read sooner, the other not.

`python -m benchmarks.cache_models [--share 0.05] [--events 20000] [NAME ...]`
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from math import log
from time import process_time
from typing import Any

from benchmarks.cache import beginning
from benchmarks.traces.optimum import belady_hits
from benchmarks.traces.record import ENDING, FOLDER, PLANS
from benchmarks.traces.replay import replay
from benchmarks.traces.trace import Trace, load
from crdtgraph.cache import Hints, LearnedPolicy, LruPolicy, Policy
from crdtgraph.cache.features import BUCKETS, FEATURES
from crdtgraph.cache.model import Model

Buckets = tuple[int, ...]


class OfRiver(Model):
    """A model of river's, one example at a time."""

    def __init__(self, model: Any, *, indicators: bool) -> None:
        super().__init__()
        self._model = model
        self._indicators = indicators

    def _features(self, node: Buckets) -> dict[int, int]:
        if self._indicators:
            return dict.fromkeys(node, 1)
        return {bucket // BUCKETS: bucket % BUCKETS for bucket in node}

    def score(self, node: Buckets) -> float:
        """See `Model.score`; a probability."""
        return float(self._model.predict_proba_one(self._features(node)).get(True, 0.5))

    def scores(self, nodes: list[Buckets]) -> list[float]:
        """See `Model.scores`; logarithms of odds, so that those of sizes can be taken off."""
        return [_log_odds(self.score(node)) for node in nodes]

    def learn(self, sooner: Buckets, later: Buckets) -> None:
        """See `Model.learn`."""
        self._model.learn_one(self._features(sooner), True)
        self._model.learn_one(self._features(later), False)


class OfScikit(Model):
    """A linear model of scikit-learn's, trained on a batch of pairs at a time, or it would take 300 us each."""

    PAIRS = 32

    def __init__(self, model: Any) -> None:
        super().__init__()
        self._numpy = import_module("numpy")
        self._model = model
        self._waiting: list[Buckets] = []
        self._fitted = False

    def scores(self, nodes: list[Buckets]) -> list[float]:
        """See `Model.scores`; those of LRU until the first batch was learned."""
        if not self._fitted:
            return super().scores(nodes)
        return list(self._model.decision_function(self._matrix(nodes)))

    def learn(self, sooner: Buckets, later: Buckets) -> None:
        """See `Model.learn`; a batch at a time."""
        self._waiting += (sooner, later)
        if len(self._waiting) >= 2 * self.PAIRS:
            answers = [1, 0] * (len(self._waiting) // 2)
            self._model.partial_fit(self._matrix(self._waiting), answers, classes=[0, 1])
            self._waiting.clear()
            self._fitted = True

    def _matrix(self, nodes: list[Buckets]) -> Any:
        matrix = self._numpy.zeros((len(nodes), BUCKETS * FEATURES))
        for row, node in enumerate(nodes):
            matrix[row, list(node)] = 1
        return matrix


def models() -> dict[str, Callable[[], Model]]:
    """What there is to compare, by name."""
    found: dict[str, Callable[[], Model]] = {"own": Model}
    try:
        linear, optim, tree = (import_module(f"river.{name}") for name in ("linear_model", "optim", "tree"))
        found["river logistic regression"] = lambda: OfRiver(
            linear.LogisticRegression(optim.SGD(0.05)), indicators=True
        )
        found["river Hoeffding tree"] = lambda: OfRiver(
            tree.HoeffdingTreeClassifier(grace_period=100), indicators=False
        )
        found["river Hoeffding adaptive tree"] = lambda: OfRiver(
            tree.HoeffdingAdaptiveTreeClassifier(grace_period=100, seed=1), indicators=False
        )
    except ImportError:
        print("river is not installed: left out")
    try:
        scikit = import_module("sklearn.linear_model")
        found["scikit-learn SGD"] = lambda: OfScikit(
            scikit.SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.05, alpha=1e-6, random_state=1)
        )
    except ImportError:
        print("scikit-learn is not installed: left out")
    return found


def policy_with(make: Callable[[], Model]) -> Callable[[Hints[int]], Policy[int]]:
    """The learned policy with another model in it."""

    def policy(hints: Hints[int]) -> Policy[int]:
        learned: LearnedPolicy[int] = LearnedPolicy(hints, model=make())
        return learned

    return policy


def timed(trace: Trace, bytes_max: int, policy: Callable[[Hints[int]], Policy[int]]) -> tuple[float, float]:
    """Hits and microseconds of the processor a read, with those that the replay itself takes."""
    start = process_time()
    hits = replay(trace, bytes_max, policy).hits
    return hits, (process_time() - start) * 1e6 / len(trace.reads())


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, 1e-6), 1 - 1e-6)
    return log(bounded / (1 - bounded))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cache_models")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PLANS)}; all if none is given")
    parser.add_argument("--share", type=float, default=0.05, help="of the bytes of all states (%(default)s)")
    parser.add_argument("--events", type=int, default=20_000, help="of each trace (%(default)s)")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in PLANS]
    if unknown:
        parser.error(f"no search is called {unknown[0]!r}; there are {', '.join(PLANS)}")
    if not 0 < options.share <= 1 or options.events <= 0:
        parser.error("--share is above 0 and at most 1, --events at least 1")
    for name in options.names or sorted(PLANS):
        trace = beginning(load(FOLDER / f"{name}{ENDING}"), options.events)
        bytes_max = int(trace.distinct_bytes * options.share)
        best = belady_hits(trace.reads(), trace.sizes, bytes_max)
        least, bare = timed(trace, bytes_max, lambda _: LruPolicy())
        for model, make in models().items():
            hits, micros = timed(trace, bytes_max, policy_with(make))
            row = (name, model, f"{hits / best:.3f}", f"{hits / least:.3f}", f"{micros - bare:.0f} us more than LRU")
            print(" | ".join(row), flush=True)


if __name__ == "__main__":
    main()
