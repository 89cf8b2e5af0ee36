"""What could have been hit at best, by one who knows all reads to come.

With states of one size, letting go what is read again last is optimal (Belady 1966), and so is not taking in what is
read even later. With unequal sizes the optimum is NP-hard to find, so it is enclosed: from below by the better of two
rules that know the future, Belady's, and the same with the time to the next read multiplied by the size; from above by
a bound that lets every byte be used at every moment (PFOO-U; Berger, Beckmann and Harchol-Balter, "Practical bounds on
optimal caching with variable object sizes", 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

NEVER = 1 << 60


def belady_hits(reads: Sequence[int], sizes: Sequence[int], bytes_max: int) -> int:
    """The most hits that a rule which knows the future gets; exactly the optimum if all sizes are equal.

    Args:
        reads: the nodes that are read, in order.
        sizes: bytes, by node.
        bytes_max: of the cache.

    Cost: O(reads * distinct sizes) at worst.
    """
    return max(_furthest(reads, sizes, bytes_max), _largest_product(reads, sizes, bytes_max))


def bound_of_hits(reads: Sequence[int], sizes: Sequence[int], bytes_max: int) -> int:
    """No rule gets more hits than this: the cheapest stays (bytes times reads) that together fill the cache."""
    stays = sorted(
        sizes[node] * (then - now)
        for now, (node, then) in enumerate(zip(reads, next_reads(reads), strict=True))
        if then != NEVER and sizes[node] <= bytes_max
    )
    room = bytes_max * len(reads)
    hits = 0
    for stay in stays:
        room -= stay
        if room < 0:
            break
        hits += 1
    return hits


def next_reads(reads: Sequence[int]) -> list[int]:
    """For each read the place of the next one of the same node, or NEVER."""
    following = [NEVER] * len(reads)
    later: dict[int, int] = {}
    for place in range(len(reads) - 1, -1, -1):
        following[place] = later.get(reads[place], NEVER)
        later[reads[place]] = place
    return following


def _furthest(reads: Sequence[int], sizes: Sequence[int], bytes_max: int) -> int:
    held: dict[int, int] = {}
    order: list[tuple[int, int]] = []
    used = hits = 0
    for node, then in zip(reads, next_reads(reads), strict=True):
        if node in held:
            hits += 1
            used -= sizes[node]
            del held[node]
        if then == NEVER or sizes[node] > bytes_max:
            continue
        held[node] = then
        used += sizes[node]
        heappush(order, (-then, node))
        while used > bytes_max:
            place, other = heappop(order)
            if held.get(other) == -place:
                used -= sizes[other]
                del held[other]
    return hits


def _largest_product(reads: Sequence[int], sizes: Sequence[int], bytes_max: int) -> int:
    # Among nodes of one size the furthest goes first, so one heap a size is enough.
    held: dict[int, int] = {}
    orders: dict[int, list[tuple[int, int]]] = {}
    used = hits = 0
    for now, (node, then) in enumerate(zip(reads, next_reads(reads), strict=True)):
        if node in held:
            hits += 1
            used -= sizes[node]
            del held[node]
        if then == NEVER or sizes[node] > bytes_max:
            continue
        held[node] = then
        used += sizes[node]
        heappush(orders.setdefault(sizes[node], []), (-then, node))
        while used > bytes_max:
            chosen, largest = 0, -1
            for size, order in orders.items():
                while order and held.get(order[0][1]) != -order[0][0]:
                    heappop(order)
                if order and (-order[0][0] - now) * size > largest:
                    chosen, largest = size, (-order[0][0] - now) * size
            used -= chosen
            del held[heappop(orders[chosen])[1]]
    return hits
