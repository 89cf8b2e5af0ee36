"""Whom to ask for the next victim: the model, or plain age.

No model is right about every search, and where it is wrong it should not do worse than LRU. So both name a victim, one
of them is followed, and a victim that is read again counts against the one that named it: by less the longer it was
gone, and by more the seldomer that one is followed, so that both are judged by the same measure. The odds move by
multiplicative weights, as in LeCaR (Vietri et al., "Driving cache replacement with ML-based LeCaR", 2018) with the
weighting of Exp3 (Auer et al. 2002).
"""

from __future__ import annotations

from enum import Enum
from math import exp

STEP = 0.02
TRUST_AT_FIRST = 0.7
TRUST_MIN = 0.05
"""Each is followed now and then, or nobody would learn that it has become the better one."""


class Adviser(Enum):
    """Who named a victim. BOTH: they agreed, and neither is to blame alone."""

    BOTH = 0
    MODEL = 1
    AGE = 2


class Trust:
    """The share of victims that the model names where the two differ."""

    __slots__ = ("in_model",)

    def __init__(self) -> None:
        self.in_model = TRUST_AT_FIRST

    def regret(self, adviser: Adviser, gone_for: float) -> None:
        """A victim was read again, `gone_for` times as many reads later as there are values in the cache."""
        if adviser is Adviser.BOTH:
            return
        followed = self.in_model if adviser is Adviser.MODEL else 1 - self.in_model
        blame = STEP / followed * exp(-gone_for)
        odds = self.in_model / (1 - self.in_model) * exp(-blame if adviser is Adviser.MODEL else blame)
        self.in_model = min(max(odds / (1 + odds), TRUST_MIN), 1 - TRUST_MIN)
