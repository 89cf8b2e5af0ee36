"""One seed, and a labelled child generator for each part of a world.

Children are derived by hashing the seed with a label, so a part that draws one number more changes nothing for the
others: a run stays recognisable while the code around it grows (TigerBeetle's VOPR does the same).
"""

from __future__ import annotations

import hashlib
import random


def child(seed: int, label: str) -> random.Random:
    """The generator of the part called `label`."""
    return random.Random(hashlib.sha256(f"{seed}/{label}".encode()).digest())
