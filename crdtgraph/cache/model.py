"""Which of two nodes is read sooner, learned while it happens.

Whenever a node is read again, it was the one to keep, and a node drawn at that moment, from the cache or
from what was let go lately, was not. A
logistic regression on such pairs learns one weight for each bucket of each feature, and the sum of a node's weights
then orders nodes by how soon they are read: the logarithm of the hazard, as in Cox's proportional hazards (Cox 1972),
fitted to case and control by stochastic gradient descent. That is all that has to be known to choose a victim.

One step costs as many additions as there are features. The weights start as those of LRU, so that it is LRU until it
has seen better.
"""

from __future__ import annotations

from math import exp

from crdtgraph.cache.features import BUCKETS, FEATURES

RATE = 0.05
"""Of learning. Anything from 0.02 to 0.3 measured alike."""


class Model:
    """The weights."""

    __slots__ = ("weights",)

    def __init__(self) -> None:
        self.weights = [0.0] * (BUCKETS * FEATURES)
        for age in range(BUCKETS):
            self.weights[age] = -0.3 * age

    def score(self, node: tuple[int, ...]) -> float:
        """Larger for a node that is read sooner."""
        return sum(map(self.weights.__getitem__, node))

    def scores(self, nodes: list[tuple[int, ...]]) -> list[float]:
        """Of each of some nodes."""
        weight_of = self.weights.__getitem__
        return [sum(map(weight_of, node)) for node in nodes]

    def learn(self, sooner: tuple[int, ...], later: tuple[int, ...]) -> None:
        """One pair: the first was read while the other was not."""
        margin = self.score(sooner) - self.score(later)
        if margin > 30:
            return
        step = RATE / (1 + exp(margin))
        weights = self.weights
        for bucket in sooner:
            weights[bucket] += step
        for bucket in later:
            weights[bucket] -= step
