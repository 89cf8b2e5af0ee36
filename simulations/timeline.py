"""What happens in a world and when: the faults and the deeds of a scenario, each a plain value.

An event says at which simulated second it begins and, if it lasts, for how long. Everything about it is said here, so
a scenario can be written down, drawn from a seed, made smaller piece by piece, and run again; `nemesis.py` does what
is said. In a file each is a `[[timeline]]` table whose `event` names its kind:

    [[timeline]]
    event = "partition"
    at_s = 10
    for_s = 30
    groups = [["n0", "n1"], ["n2"]]

Events may overlap. A path is cut while any event cuts it, and a machine is down while any event keeps it down.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Size = Annotated[int, msgspec.Meta(ge=0)]
Pair: TypeAlias = tuple[str, str]
Moment: TypeAlias = Literal["write", "batch", "sync"]
"""Of a disk: any write, one of several entries (a snapshot that takes the place of a log), or a sync."""


class Event(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="event"
):
    """Something that begins at a simulated second."""

    at_s: Seconds

    @property
    def kind(self) -> str:
        """Its name in a file."""
        return str(self.__struct_config__.tag)

    @property
    def until_s(self) -> float:
        """When it is over; of one that does not last, when it begins."""
        return self.at_s + float(getattr(self, "for_s", 0.0))


class Partition(Event, tag="partition", frozen=True, kw_only=True):
    """All paths between different groups are cut, both ways; a machine in no group is with nobody.

    With `refuses` dials across fail at once ("no route to host"); else they meet silence.
    """

    for_s: Seconds
    groups: tuple[tuple[str, ...], ...]
    refuses: bool = False


class OneWayCut(Event, tag="one-way cut", frozen=True, kw_only=True):
    """Nothing gets from `source` to `target`, while the other direction works."""

    for_s: Seconds
    source: str
    target: str
    refuses: bool = False


class Flapping(Event, tag="flapping", frozen=True, kw_only=True):
    """The path between two machines is cut for `down_s` and back for `up_s`, again and again."""

    for_s: Seconds
    between: Pair
    down_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    up_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0


class Reset(Event, tag="reset", frozen=True, kw_only=True):
    """A share of a machine's connections break in the middle of whatever they carry."""

    node: str
    share: Share = 1.0


class Stall(Event, tag="stall", frozen=True, kw_only=True):
    """One connection of a machine brings it nothing for a while, and is not broken."""

    for_s: Seconds
    node: str


class Kill(Event, tag="kill", frozen=True, kw_only=True):
    """The process dies at whatever await it is at; its machine lives on and starts it again later.

    What was written is in the machine's memory, and its connections are closed for it.
    """

    for_s: Seconds
    node: str


class PowerLoss(Event, tag="power loss", frozen=True, kw_only=True):
    """The machine is off: of what it had not synced any prefix is left, and nobody is told that it is gone."""

    for_s: Seconds
    node: str


class CrashInWrite(Event, tag="crash in a write", frozen=True, kw_only=True):
    """The process dies in the middle of one of its next writes, which is there whole or not at all.

    Counted are the writes at such a `moment`. With `loses_power` the machine goes with it, and of all that was not
    synced some prefix is left.
    """

    for_s: Seconds
    node: str
    writes: Count = 1
    moment: Moment = "write"
    loses_power: bool = False


class Restart(Event, tag="restart", frozen=True, kw_only=True):
    """The process is stopped cleanly, as for an upgrade, and started again."""

    for_s: Seconds
    node: str


class Pause(Event, tag="pause", frozen=True, kw_only=True):
    """The process does nothing at all, as in a long garbage collection or under SIGSTOP."""

    for_s: Seconds
    node: str


class Starvation(Event, tag="starvation", frozen=True, kw_only=True):
    """The process gets only a share of the time, in slices: it reads slowly, and its peers' windows fill."""

    for_s: Seconds
    node: str
    share: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.02
    slice_s: Annotated[float, msgspec.Meta(gt=0)] = 0.05


class ClockJump(Event, tag="clock jump", frozen=True, kw_only=True):
    """The wall clock of a machine is set forward by `by_s`, or back if that is negative."""

    node: str
    by_s: float


class DiskErrors(Event, tag="disk errors", frozen=True, kw_only=True):
    """A share of writes and syncs fail; after a sticky failure only a new process can write again."""

    for_s: Seconds
    node: str
    share: Share = 1.0
    is_sticky: bool = False


class DiskFull(Event, tag="disk full", frozen=True, kw_only=True):
    """So many bytes are left; there is space again afterwards."""

    for_s: Seconds
    node: str
    free_bytes: Size = 0


class Backup(Event, tag="restored backup", frozen=True, kw_only=True):
    """A disk is copied, and `for_s` later the machine is switched off and gets the copy back.

    It is down for `down_s`, and returns with an older state and its old key.
    """

    for_s: Seconds
    node: str
    down_s: Seconds = 1.0


class Join(Event, tag="join", frozen=True, kw_only=True):
    """The machine is started for the first time; until then it is not there."""

    node: str


class Do(Event, tag="do", frozen=True, kw_only=True):
    """The programs on some machines do an operation so many times, evenly over `for_s`.

    `operation` is one of workload.py's; with `ref` it is about that ref, with `commits` a `commit_many` is of so many.
    """

    for_s: Seconds = 0.0
    nodes: tuple[str, ...]
    operation: str
    count: Count = 1
    ref: str = ""
    commits: Count | None = None


class ImportGit(Event, tag="import", frozen=True, kw_only=True):
    """A git repository of so many commits is imported on a machine, a batch every `batch_every_s`.

    The repository is made up from the scenario's seed, with branches, merges and tags. A process that dies in the
    middle goes on behind the last whole batch when it is back.
    """

    node: str
    commits: Count = 2_000
    batch_every_s: Seconds = 0.5


AnyEvent: TypeAlias = (
    Partition
    | OneWayCut
    | Flapping
    | Reset
    | Stall
    | Kill
    | PowerLoss
    | CrashInWrite
    | Restart
    | Pause
    | Starvation
    | ClockJump
    | DiskErrors
    | DiskFull
    | Backup
    | Join
    | Do
    | ImportGit
)


def nodes_of(event: AnyEvent) -> tuple[str, ...]:
    """The machines that an event is about."""
    match event:
        case Partition(groups=groups):
            return tuple(name for group in groups for name in group)
        case OneWayCut(source=source, target=target):
            return source, target
        case Flapping(between=between):
            return between
        case Do(nodes=nodes):
            return nodes
        case _:
            return (event.node,)
