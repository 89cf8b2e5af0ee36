"""Alarms: two replicas should agree and do not.

An alarm names a plane and a peer. It stands until the two agree again, is counted for ever, and is reported
once each time it is raised, so a disagreement that lasts is neither silent nor a flood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from crdtgraph.ids import ReplicaId
from sync.protocol.limits import ALARMS_MAX


class AlarmKind(StrEnum):
    """In what two replicas disagree."""

    DIVERGED = "diverged"
    """Both gave all they had, and hold different segments."""
    INCOMPLETE = "incomplete"
    """The peer claims segments that it does not give."""
    PROJECTION = "projection"
    """The same segments mean different things to the two: one of them folds wrongly."""
    OBJECT = "object"
    """The peer gave something else than the block of an object that it was asked for."""


TEXTS = {
    AlarmKind.DIVERGED: "both sides gave all they had and still differ; segments are compared one by one",
    AlarmKind.INCOMPLETE: "the peer claims segments that its diff lacks; they are compared one by one",
    AlarmKind.PROJECTION: "the same segments give different projections; run `crdtgraph fsck` on both sides",
    AlarmKind.OBJECT: "the peer gave wrong bytes for a large value; they were thrown away, and others are asked",
}


@dataclass(frozen=True, slots=True)
class Alarm:
    """One disagreement."""

    kind: AlarmKind
    plane: str
    replica: ReplicaId

    @property
    def text(self) -> str:
        """What it means and what is or can be done."""
        return TEXTS[self.kind]


class Alarms:
    """Those that stand. `report(alarm, standing)` is called when one is raised or cleared."""

    def __init__(self, report: Callable[[Alarm, bool], None] | None = None) -> None:
        self.total = 0
        """How many were ever raised."""
        self._report = report
        self._standing: dict[Alarm, None] = {}

    @property
    def standing(self) -> tuple[Alarm, ...]:
        """The latest `ALARMS_MAX` that stand, oldest first."""
        return tuple(self._standing)

    def sound(self, kind: AlarmKind, plane: str, replica: ReplicaId) -> None:
        """Raise an alarm unless it stands already."""
        alarm = Alarm(kind, plane, replica)
        if alarm in self._standing:
            return
        while len(self._standing) >= ALARMS_MAX:
            del self._standing[next(iter(self._standing))]
        self._standing[alarm] = None
        self.total += 1
        if self._report is not None:
            self._report(alarm, True)

    def drop(self, plane: str) -> None:
        """There is nothing left to agree on: the plane is gone."""
        for alarm in [each for each in self._standing if each.plane == plane]:
            self._clear(alarm)

    def clear(self, kind: AlarmKind, plane: str, replica: ReplicaId) -> None:
        """The two agree again."""
        self._clear(Alarm(kind, plane, replica))

    def _clear(self, alarm: Alarm) -> None:
        if alarm in self._standing:
            del self._standing[alarm]
            if self._report is not None:
                self._report(alarm, False)
