"""A process that asks the head of a Ray cluster which nodes there are, in the place of the driver.

Whoever asks a head that is gone waits, and after 60 s of that Ray ends its process. That must not be the driver.
"""

from __future__ import annotations

from sync.fleet.plan import Place


class Lookout:
    """An actor."""

    def places(self) -> dict[str, Place]:
        """The nodes that are alive, by id."""
        return alive()


def alive() -> dict[str, Place]:
    """The nodes that are alive, by id."""
    import ray

    return {
        node["NodeID"]: Place(node["NodeManagerAddress"], node["Resources"].get("CPU", 0.0))
        for node in ray.nodes()
        if node["Alive"]
    }
