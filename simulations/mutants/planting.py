"""Bugs as values, planted into the code under test while a `with` block runs, and nowhere else.

A mutant replaces functions of classes and modules by others that call the original or leave it out: mutation analysis
(DeMillo, Lipton and Sayward, 1978), with the mutants chosen by hand, because a fuzzer of worlds is worth what it finds
of the bugs that people really make. What holds:

- The code under test knows nothing of its mutants.
- A place that has moved, or takes other arguments than the mutant was written for, is an error: a mutant that changed
  nothing would look like a bug that the simulator cannot see.
- One mutant at a time. When the block ends, in whatever way, every function is the very object that it was before.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import wraps
from types import FunctionType, ModuleType


class SeamError(Exception):
    """The place that a mutant changes is not there, not a function, takes other arguments, or is taken."""


class Evidence(Enum):
    """What gives a mutant away."""

    RULE = "a rule is broken"
    """A checker fails in the world, or something raises what it must not."""
    HASH_SEED = "another process runs differently"
    """Nothing is wrong within a process: the trace differs between two with different PYTHONHASHSEED."""


@dataclass(frozen=True, slots=True)
class Change:
    """One function of a class or module gives way to `instead`, which is given the original and then its arguments."""

    owner: type | ModuleType
    name: str
    instead: Callable[..., object]

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.owner.__name__}.{self.name}"

    def find(self) -> FunctionType:
        """The function as it is now; SeamError if it is not what `instead` was written for."""
        found = vars(self.owner).get(self.name)
        if not isinstance(found, FunctionType):
            raise SeamError(f"{self.place} is {found!r:.80}, not a function of its own: the code has moved")
        theirs = [*inspect.signature(found).parameters]
        ours = [*inspect.signature(self.instead).parameters][1:]
        if theirs != ours:
            raise SeamError(f"{self.place} takes {theirs}, and what was to be put in its place takes {ours}")
        return found


@dataclass(frozen=True, slots=True)
class Mutant:
    """A bug: what it does, why people make it, and the functions that have it."""

    name: str
    bug: str
    why: str
    changes: tuple[Change, ...]
    evidence: Evidence = Evidence.RULE


UNPATCHED = Mutant("unpatched", "None: the code as it is.", "It has to pass whatever a mutant is caught by.", ())

_planted: list[str] = []


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Run the block with this bug in the code; SeamError if it cannot be planted, and then nothing has changed."""
    if _planted:
        raise SeamError(f"{_planted[0]!r} is planted already; {mutant.name!r} on top of it would show nothing")
    originals = [change.find() for change in mutant.changes]
    with ExitStack() as undo:
        _planted.append(mutant.name)
        undo.callback(_planted.clear)
        for change, original in zip(mutant.changes, originals, strict=True):
            undo.enter_context(_changed(change, original))
        yield


@contextmanager
def _changed(change: Change, original: FunctionType) -> Iterator[None]:
    @wraps(change.instead)
    def replacement(*arguments: object, **named: object) -> object:
        return change.instead(original, *arguments, **named)

    setattr(change.owner, change.name, replacement)
    try:
        yield
    finally:
        left = vars(change.owner).get(change.name)
        setattr(change.owner, change.name, original)
        if left is not replacement:
            raise SeamError(f"{change.place} was changed by somebody else while a bug was planted there")
