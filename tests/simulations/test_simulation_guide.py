"""docs/simulation.md is complete and true: every key with its default, every event, operation, rule and scenario."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest

from simulations import timeline
from simulations.files import parse, shipped
from simulations.mutants import MUTANTS
from simulations.scenario import OPERATIONS, Clock, Expectation, Link, Scenario, Topology, Workload
from simulations.wire import WireProperties
from sync import Settings

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")

TABLES = {
    "### Top level": Scenario,
    "### `[wire]`": WireProperties,
    "### `[[links]]`": Link,
    "### `[[clocks]]`": Clock,
    "### `[workload]`": Workload,
    "### `[expect]`": Expectation,
}
EVENTS = {
    str(event.__struct_config__.tag): event
    for event in timeline.AnyEvent.__args__  # type: ignore[attr-defined]
}


def rows(first: str, text: str = GUIDE) -> list[list[str]]:
    """The cells of the tables whose first column has this heading."""
    found: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == first:
            inside = True
        elif inside and not set(line) <= set("|- "):
            found.append(cells)
    return found


def section(heading: str) -> str:
    """What is under a heading, up to the next one."""
    text = GUIDE.split(f"\n{heading}\n")[1]
    return re.split(r"\n##+ ", text)[0]


def defaults(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Every key with its default as the guide has it: TOML where that is short, "-" where it may be left out."""
    return {
        each.name: "required" if each.required else shown(None if each.default is msgspec.NODEFAULT else each.default)
        for each in msgspec.structs.fields(struct)
    }


def shown(default: object) -> str:
    match default:
        case Topology():
            return f'"{default.value}"'
        case bool():
            return str(default).lower()
        case str():
            return f'"{default}"'
        case int() | float():
            return repr(default)
        case _:
            return "-"


def names(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


@pytest.mark.parametrize("heading, struct", TABLES.items(), ids=lambda value: getattr(value, "__name__", value))
def test_every_key_is_there_with_its_default(heading: str, struct: type[msgspec.Struct]) -> None:
    found = {key.strip("`"): default.strip("`") for key, default, _ in rows("key", section(heading))}
    assert found == defaults(struct)


def test_every_event_is_there_with_its_keys() -> None:
    found = {names(cells[0])[0]: names(cells[1]) for cells in rows("event")}
    keys = {
        kind: [
            key if default == "required" else f"{key} = {default}"
            for key, default in defaults(event).items()
            if key != "at_s"
        ]
        for kind, event in EVENTS.items()
    }
    assert {kind: sorted(each) for kind, each in found.items()} == {kind: sorted(each) for kind, each in keys.items()}


def test_every_topology_operation_setting_and_scenario_is_there() -> None:
    assert [names(cells[0])[0] for cells in rows("topology")] == [each.value for each in Topology]
    assert [names(cells[0])[0] for cells in rows("operation")] == list(OPERATIONS)
    listed = [name for name in names(section("### `[settings]`")) if "." not in name]
    assert listed == [each.name for each in fields(Settings) if each.name != "seed"]
    assert sorted(name for cells in rows("about") for name in names(cells[1])) == sorted(shipped())


def test_every_planted_bug_is_there() -> None:
    assert rows("planted bug") == [[mutant.name, mutant.bug, mutant.why] for mutant in MUTANTS]


def test_every_rule_is_there_by_the_name_that_reports_use() -> None:
    raised = {"no exception but the library's own"}
    for path in (ROOT / "simulations").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ViolationError":
                assert isinstance(node.args[0], ast.Constant), f"{path.name}:{node.lineno} names no rule"
                raised.add(str(node.args[0].value))
    assert {cells[0] for cells in rows("rule")} == raised


def test_its_example_is_a_scenario() -> None:
    [example] = re.findall(r"```toml\n(.*?)```", GUIDE, flags=re.DOTALL)
    assert parse(example, "the example").expect.lost_max == 0


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", GUIDE):
        assert (ROOT / "docs" / target).exists()
