"""Each policy against a plain model of it, and what the learned one is for."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.cache import Cache, LearnedPolicy, LfuPolicy, LruPolicy
from crdtgraph.cache.features import BUCKETS, FEATURES, Entry, buckets
from crdtgraph.cache.learned import GHOSTS_MIN, GHOSTS_PER_KEY
from crdtgraph.cache.model import Model
from tests.crdtgraph.cache.test_laws import HINTS

reads = st.lists(st.integers(0, 12), max_size=200)


def read(cache: Cache[int, int], key: int) -> bool:
    """Whether it was a hit; all sizes are 1."""
    if cache.get(key) is not None:
        return True
    cache.put(key, key, 1)
    return False


@given(reads, st.integers(1, 8))
def test_lru_is_a_list_in_order_of_reads(done: list[int], room: int) -> None:
    cache: Cache[int, int] = Cache(bytes_max=room, policy=LruPolicy())
    model: list[int] = []
    for key in done:
        assert read(cache, key) == (key in model)
        model = [other for other in model if other != key][-(room - 1) :] if room > 1 else []
        model.append(key)
    assert {key for key in range(13) if key in cache} == set(model)


@given(reads, st.integers(1, 8))
def test_lfu_lets_the_least_read_go_and_the_oldest_among_equals(done: list[int], room: int) -> None:
    cache: Cache[int, int] = Cache(bytes_max=room, policy=LfuPolicy())
    model: dict[int, tuple[int, int]] = {}
    for now, key in enumerate(done):
        assert read(cache, key) == (key in model)
        model[key] = (model.get(key, (0, 0))[0] + 1, now)
        if len(model) > room:
            del model[min(model, key=lambda each: model[each])]
    assert {key for key in range(13) if key in cache} == set(model)


@given(st.lists(st.integers(0, 60), max_size=400))
def test_the_buckets_of_a_feature_are_its_own(done: list[int]) -> None:
    entries: dict[int, Entry[int]] = {}
    for now, key in enumerate(done):
        entries.setdefault(key, Entry(key, now)).read(now, HINTS)
    for entry in entries.values():
        for hints in (HINTS, None):
            found = buckets(entry, 1 << 40, hints)
            features = [bucket // BUCKETS for bucket in found]
            assert features == sorted(set(features))
            assert all(0 <= bucket < BUCKETS * FEATURES for bucket in found)


def test_a_model_that_has_seen_nothing_is_lru() -> None:
    model = Model()
    ages = [model.score((age.bit_length(), BUCKETS + 1, 2 * BUCKETS)) for age in (16, 40, 100, 5_000)]
    assert ages == sorted(ages, reverse=True)
    assert len(set(ages)) == len(ages)


def test_a_model_learns_which_is_read_sooner() -> None:
    model = Model()
    often, seldom = (5, BUCKETS + 9), (5, BUCKETS + 1)
    for _ in range(100):
        model.learn(often, seldom)
    assert model.score(often) > model.score(seldom) + 1


def test_a_scan_does_not_flush_what_is_read_again_and_again() -> None:
    """A hundred keys are read in turns with ten thousand that come once: LRU keeps none of the hundred."""
    dice = Random(7)
    hits = {"lru": 0, "learned": 0}
    for name, policy in (("lru", LruPolicy[int]()), ("learned", LearnedPolicy[int]())):
        cache: Cache[int, int] = Cache(bytes_max=120, policy=policy)
        for number in range(10_000):
            hits[name] += read(cache, dice.randrange(100) if number % 3 == 0 else 1_000 + number)
    assert hits["learned"] > 1.5 * hits["lru"]


def held_by_lru(done: list[int], sizes: list[int], room: int) -> set[int]:
    cache: Cache[int, int] = Cache(bytes_max=room, policy=LruPolicy())
    for key in done:
        if cache.get(key) is None:
            cache.put(key, key, sizes[key])
    return {key for key in range(13) if key in cache}


class Contrary(Model):
    """Sure of the opposite of all that it was taught."""

    def scores(self, nodes: list[tuple[int, ...]]) -> list[float]:
        return [-score for score in super().scores(nodes)]


@given(reads, st.integers(1, 6), st.integers(6, 20))
def test_before_there_is_evidence_it_lets_go_what_lru_does(done: list[int], size: int, room: int) -> None:
    sizes = [size] * 13
    policy: LearnedPolicy[int] = LearnedPolicy(HINTS)
    cache: Cache[int, int] = Cache(bytes_max=room, policy=policy)
    for key in done:
        if cache.get(key) is None:
            cache.put(key, key, sizes[key])
        if policy.follows_model:
            return
    assert {key for key in range(13) if key in cache} == held_by_lru(done, sizes, room)


def test_a_model_that_is_wrong_costs_next_to_nothing() -> None:
    dice = Random(11)
    # A walk: what was read lately is read again, which is where LRU is hard to beat.
    done = [abs(number // 20 + dice.randrange(-40, 40)) for number in range(20_000)]
    hits = {"lru": 0, "contrary": 0}
    for name, policy in (("lru", LruPolicy[int]()), ("contrary", LearnedPolicy[int](model=Contrary()))):
        cache: Cache[int, int] = Cache(bytes_max=50, policy=policy)
        hits[name] = sum(read(cache, key) for key in done)
    assert hits["contrary"] >= 0.995 * hits["lru"]


class Undecided(Model):
    """Expects everything alike."""

    def scores(self, nodes: list[tuple[int, ...]]) -> list[float]:
        return [0.0] * len(nodes)


def test_of_those_that_are_expected_alike_the_largest_goes() -> None:
    policy: LearnedPolicy[int] = LearnedPolicy(model=Undecided())
    policy._judge.trusts_model = True
    cache: Cache[int, int] = Cache(bytes_max=100, policy=policy)
    for key, size in enumerate((20, 20, 50, 10, 20)):
        cache.put(key, key, size)
    assert [key for key in range(5) if key in cache] == [0, 1, 3, 4]


def test_the_memory_of_what_was_let_go_is_bounded() -> None:
    policy: LearnedPolicy[int] = LearnedPolicy()
    cache: Cache[int, int] = Cache(bytes_max=50, policy=policy)
    for key in range(5_000):
        read(cache, key)
    assert policy.remembered <= (GHOSTS_PER_KEY + 1) * 51 + GHOSTS_MIN


def test_the_seed_fixes_the_draws() -> None:
    def left(seed: int) -> list[bool]:
        cache: Cache[int, int] = Cache(bytes_max=50, policy=LearnedPolicy(seed=seed))
        dice = Random(3)
        for _ in range(2_000):
            read(cache, dice.randrange(200))
        return [key in cache for key in range(200)]

    assert left(1) == left(1)
    assert left(1) != left(2)


def test_prefetch_suggests_the_best_child_and_the_parent_that_are_not_here() -> None:
    cache: Cache[int, int] = Cache(bytes_max=50, policy=LearnedPolicy(HINTS))
    read(cache, 6)
    assert cache.prefetch(6) == [13, 3]
    read(cache, 3)
    assert cache.prefetch(6) == [13]
