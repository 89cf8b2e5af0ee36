"""Scenarios as TOML files: read with the place of every mistake, written so that they read back the same."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import msgspec
import tomli_w
from msgspec.structs import replace

from crdtgraph.errors import LocalError, NotFoundError
from simulations.scenario import OPERATIONS, Scenario, check
from simulations.timeline import Do
from simulations.world import settings_of

SHIPPED = resources.files("simulations") / "scenarios"


def read(path: str | Path) -> Scenario:
    """The scenario in a file; raises NotFoundError if there is none, LocalError with the place of a mistake in it."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(f"there is no scenario file {path}", hint="see `crdtgraph simulate list`") from None
    except (OSError, UnicodeDecodeError) as failure:
        raise LocalError(f"the scenario file {path} cannot be read: {failure}") from failure
    return parse(text, str(path))


def parse(text: str, where: str) -> Scenario:
    """The scenario that a text describes; LocalError with the place of a mistake."""
    try:
        scenario = msgspec.toml.decode(text, type=Scenario)
    except msgspec.ValidationError as failure:
        raise LocalError(f"{where}: {failure}", hint="docs/simulation.md lists what a scenario may say") from failure
    except msgspec.DecodeError as failure:
        raise LocalError(f"{where} is not TOML: {failure}") from failure
    try:
        check(scenario)
        settings_of(scenario)
        _check_operations(scenario)
    except LocalError as failure:
        raise LocalError(f"{where}: {failure.message}", hint=failure.hint) from failure
    return scenario


def write(scenario: Scenario, comment: str = "") -> str:
    """A scenario as TOML, below a comment; what is as by default is left out."""
    said = {name: _without_none(value) for name, value in msgspec.to_builtins(scenario).items() if value != {}}
    heading = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    return (heading and heading + "\n") + tomli_w.dumps(said)


def shipped() -> dict[str, Scenario]:
    """The scenarios that come with the package, by name."""
    names = sorted(each.name.removesuffix(".toml") for each in SHIPPED.iterdir() if each.name.endswith(".toml"))
    return {name: _shipped(name) for name in names}


def find(name: str) -> Scenario:
    """A scenario by the path of its file, or a shipped one by its name; if it says no name, that is its name."""
    if not Path(name).exists() and any(known.name == f"{name}.toml" for known in SHIPPED.iterdir()):
        return _shipped(name)
    return _named(read(name), Path(name).stem)


def _shipped(name: str) -> Scenario:
    return _named(parse((SHIPPED / f"{name}.toml").read_text(encoding="utf-8"), f"{name}.toml"), name)


def _named(scenario: Scenario, name: str) -> Scenario:
    return scenario if scenario.name else replace(scenario, name=name)


def _check_operations(scenario: Scenario) -> None:
    used = {*scenario.workload.mix, *(event.operation for event in scenario.timeline if isinstance(event, Do))}
    for name in sorted(used - set(OPERATIONS)):
        raise LocalError(f"there is no operation {name!r}", hint=f"operations are {', '.join(OPERATIONS)}")


def _without_none(value: object) -> object:
    """TOML has no null: what is not given is left out."""
    if isinstance(value, dict):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_without_none(each) for each in value]
    return value
