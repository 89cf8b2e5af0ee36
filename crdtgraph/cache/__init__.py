"""A cache bounded by bytes, and what it goes by when it has to let something go."""

from crdtgraph.cache.base import Cache, Policy, Statistics
from crdtgraph.cache.counted import CountedHints
from crdtgraph.cache.features import Hints
from crdtgraph.cache.learned import LearnedPolicy
from crdtgraph.cache.lfu import LfuPolicy
from crdtgraph.cache.lru import LruPolicy

__all__ = ["Cache", "CountedHints", "Hints", "LearnedPolicy", "LfuPolicy", "LruPolicy", "Policy", "Statistics"]
