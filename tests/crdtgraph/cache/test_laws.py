"""What holds for the cache under every policy, whatever is done to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.cache import Cache, Hints, LearnedPolicy, LfuPolicy, LruPolicy, Policy
from crdtgraph.errors import LocalError

KEYS = 40


class Chain:
    """Hints for a tree in which the parent of n is n // 2, visited the more the closer to the root."""

    def visits(self, key: int) -> int:
        return KEYS // (key + 1)

    def value(self, key: int) -> float:
        return key / KEYS

    def depth(self, key: int) -> int:
        return key.bit_length()

    def parent(self, key: int) -> int | None:
        return key // 2 if key else None

    def best_child(self, key: int) -> int | None:
        return 2 * key + 1


HINTS: Hints[int] = Chain()
POLICIES: dict[str, Callable[[], Policy[int]]] = {
    "lru": LruPolicy,
    "lfu": LfuPolicy,
    "learned": lambda: LearnedPolicy(HINTS),
    "unhinted": lambda: LearnedPolicy(),
}
every_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES.keys())

# What is done to which key; for a put, with which size.
Step = tuple[str, int, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(["read", "read", "put", "prefetch", "discard"]), st.integers(0, KEYS), st.integers(0, 30)
    ),
    max_size=300,
)


def do(cache: Cache[int, str], step: Step) -> None:
    what, key, size = step
    if what == "read":
        if cache.get(key) is None:
            cache.put(key, f"value {key}", size)
    elif what == "put":
        cache.put(key, f"value {key}", size)
    elif what == "prefetch":
        for other in cache.prefetch(key):
            cache.put(other, f"value {other}", size, prefetched=True)
    else:
        cache.discard(key)


@every_policy
@given(done=steps, bytes_max=st.integers(0, 200))
def test_it_never_holds_more_than_its_bytes_and_counts_them(
    policy: Callable[[], Policy[int]], done: list[Step], bytes_max: int
) -> None:
    cache: Cache[int, str] = Cache(bytes_max=bytes_max, policy=policy())
    sizes: dict[int, int] = {}
    for step in done:
        before = {key for key in range(3 * KEYS) if key in cache}
        do(cache, step)
        here = {key for key in range(3 * KEYS) if key in cache}
        sizes |= dict.fromkeys(here - before, step[2])
        if step[0] == "put" and step[1] in here:
            sizes[step[1]] = step[2]
        assert cache.bytes == sum(sizes[key] for key in here) <= bytes_max
        assert len(cache) == len(here)


@every_policy
@given(done=steps)
def test_what_is_neither_let_go_nor_discarded_is_returned(policy: Callable[[], Policy[int]], done: list[Step]) -> None:
    cache: Cache[int, str] = Cache(bytes_max=150, policy=policy())
    for step in done:
        do(cache, step)
        here = [key for key in range(3 * KEYS) if key in cache]
        assert [cache.get(key) for key in here] == [f"value {key}" for key in here]


@every_policy
@given(done=steps, bytes_max=st.integers(0, 200))
def test_the_counts_add_up(policy: Callable[[], Policy[int]], done: list[Step], bytes_max: int) -> None:
    cache: Cache[int, str] = Cache(bytes_max=bytes_max, policy=policy())
    reads = discarded = 0
    for step in done:
        before = len(cache)
        reads += step[0] == "read"
        if step[0] == "put" and step[1] in cache:
            discarded += 1
        do(cache, step)
        discarded += before - len(cache) if step[0] == "discard" else 0
    counted = cache.statistics
    assert counted.hits + counted.misses == reads
    assert counted.insertions - counted.evictions - discarded == len(cache)
    assert counted.prefetch_hits <= min(counted.hits, counted.prefetches)
    assert counted.hit_rate == (counted.hits / reads if reads else 0)


@every_policy
@given(done=steps)
def test_equal_calls_have_equal_victims(policy: Callable[[], Policy[int]], done: list[Step]) -> None:
    first: Cache[int, str] = Cache(bytes_max=120, policy=policy())
    second: Cache[int, str] = Cache(bytes_max=120, policy=policy())
    for step in done:
        do(first, step)
        do(second, step)
        assert [key in first for key in range(3 * KEYS)] == [key in second for key in range(3 * KEYS)]


@every_policy
def test_a_value_larger_than_the_cache_is_refused_and_nothing_goes(policy: Callable[[], Policy[int]]) -> None:
    cache: Cache[int, str] = Cache(bytes_max=100, policy=policy())
    for key in range(10):
        assert cache.put(key, "small", 10)
    assert not cache.put(10, "large", 101)
    assert 10 not in cache
    assert len(cache) == 10
    assert (cache.statistics.refusals, cache.statistics.evictions) == (1, 0)
    # Under a name that is here already it replaces nothing by nothing: the old value is not what was put.
    assert not cache.put(3, "large", 101)
    assert cache.get(3) is None


@every_policy
def test_a_read_of_what_was_prefetched_is_a_prefetch_hit_once(policy: Callable[[], Policy[int]]) -> None:
    cache: Cache[int, str] = Cache(bytes_max=100, policy=policy())
    cache.put(1, "early", 10, prefetched=True)
    assert (cache.get(1), cache.get(1)) == ("early", "early")
    assert (cache.statistics.hits, cache.statistics.prefetches, cache.statistics.prefetch_hits) == (2, 1, 1)


def test_negative_bytes_are_an_error_that_says_so() -> None:
    with pytest.raises(LocalError, match="-1 bytes"):
        Cache(bytes_max=-1, policy=LruPolicy())
    cache: Cache[int, str] = Cache(bytes_max=1, policy=LruPolicy())
    with pytest.raises(LocalError, match="-2 bytes"):
        cache.put(1, "value", -2)
