"""The page as a whole: what is said in words and numbers, and the templates that set it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined

from crdtgraph.errors import LocalError
from simulations import files
from simulations.observer import Heal
from simulations.page import picture
from simulations.page.colours import COLOURS, TOO_MANY, moments
from simulations.page.events import names
from simulations.page.lanes import LETTERS
from simulations.page.paper import seconds, size
from simulations.page.sides import Era, Side, eras
from simulations.runner import Outcome

LINES_SHOWN = 200
"""Of the trace of a failed run."""
MEMBERS_MAX = 60
"""Characters for the machines of a side; if they are more it is said how many machines there are."""
_UNPRINTABLE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)}
_UNPRINTABLE |= dict.fromkeys((*range(0xD800, 0xE000), 0xFFFE, 0xFFFF), "\ufffd")


@dataclass(frozen=True, slots=True)
class Number:
    """A figure with its name, and what else is to be said of it."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class SplitSide:
    """A side of a split, from the cut to the heal."""

    letter: str
    nodes: str
    commits: str
    heads: str


@dataclass(frozen=True, slots=True)
class Split:
    """A stretch of time with the same sides."""

    from_: str
    to: str
    sides: list[SplitSide]


def page(outcome: Outcome, *, command: str) -> str:
    """The report of a run as HTML, which is XML as well.

    Args:
        outcome: of a run that was watched (`run(..., observe=True)`); LocalError for another.
        command: what to type to have the same run again.
    """
    if outcome.seen is None:
        raise LocalError("there is no report of a run that nobody watched", hint="run it with observe=True")
    scenario = outcome.scenario
    seen_moments = [*moments(outcome.seen.samples)]
    seen_eras = eras(scenario, seen_moments, outcome.simulated_s)
    failed = bool(outcome.failure)
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=scenario.name or "A world without a name",
            outcome=outcome,
            lines=outcome.lines[-LINES_SHOWN:] if failed else (),
            numbers=[*_numbers(outcome, outcome.seen.heals)],
            splits=[*_splits(seen_eras)],
            heals=[
                (
                    seconds(heal.at_s),
                    heal.what,
                    "never" if heal.agreed_after_s is None else seconds(heal.agreed_after_s),
                    "" if heal.bytes is None else size(heal.bytes),
                )
                for heal in outcome.seen.heals
            ],
            toml=files.write(scenario) or "# A world as it is by default.\n",
            command=command,
            broken_at=seconds(outcome.simulated_s) if failed else "",
            picture=picture.draw(scenario, outcome.seen, seen_moments, seen_eras, outcome.simulated_s, failed=failed),
            colours=COLOURS,
            too_many=TOO_MANY,
        )
    )


def _numbers(outcome: Outcome, heals: Sequence[Heal]) -> Iterator[Number]:
    scenario = outcome.scenario
    yield Number("machines", f"{scenario.nodes:,}", scenario.topology)
    yield Number("simulated", seconds(outcome.simulated_s), f"{seconds(scenario.duration_s)} planned")
    if outcome.failure:
        yield Number("agreement", "not reached", "a rule was broken before")
    else:
        yield Number("agreement", seconds(outcome.converged_after_s), "after the last fault was over")
    times = [heal.agreed_after_s for heal in heals if heal.agreed_after_s is not None]
    if times:
        slowest = f"slowest {seconds(max(times))}"
        never = len(heals) - len(times)
        yield Number(
            "heals", f"{len(heals):,}", slowest + (f", {never:,} never followed by agreement" if never else "")
        )
    yield Number("commits", f"{outcome.commits:,}", f"{outcome.lost:,} lost, {outcome.pending:,} pending")
    conflicts = ", ".join(outcome.conflicts)
    yield Number("refs in conflict", f"{len(outcome.conflicts):,}", conflicts)
    yield Number("sent", size(outcome.bytes_sent), "by all machines")
    yield Number("events", f"{outcome.events:,}", f"trace {outcome.trace_hash[:16]}")


def _splits(found: Sequence[Era]) -> Iterator[Split]:
    for era in found:
        if era.is_split:
            sides = [_side(number, side) for number, side in enumerate(era.sides)]
            yield Split(seconds(era.from_s), seconds(era.to_s), sides)


def _side(number: int, side: Side) -> SplitSide:
    members = names(side.nodes)
    if len(members) > MEMBERS_MAX:
        members = f"{len(side.nodes)} machines, {members[:MEMBERS_MAX]}…"
    letter = LETTERS[number] if number < len(LETTERS) else "…"
    if not side.points:
        return SplitSide(letter, members, "down", "")
    first, last = side.points[0], side.points[-1]
    return SplitSide(letter, members, f"{first.commits:,} → {last.commits:,}", f"{first.heads:,} → {last.heads:,}")


def _environment() -> Environment:
    folder = resources.files("simulations.page")
    return Environment(
        loader=FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        autoescape=True,
        finalize=_printable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _printable(value: object) -> object:
    """Names and messages come from anywhere, and HTML cannot hold every character."""
    return value.translate(_UNPRINTABLE) if isinstance(value, str) else value
