"""The public surface is deliberate: `__all__` is exact, and docs/api.md lists all of it and nothing else."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
API_PAGE = ROOT / "docs" / "api.md"
PACKAGES = ("crdtgraph", "crdtgraph.mcts", "crdtgraph.metering", "sync", "sync.fleet")

ENTRY = re.compile(r"^(?:[-*] |\| )`([A-Za-z_]\w*)")
"""A list item or table row of the page that starts with a name in code style; a signature may follow it."""


def documented_names(page: str, package: str) -> list[str]:
    """The names that the page lists between the heading of `package` and the next such heading."""
    names = []
    inside = False
    for line in page.splitlines():
        if line.startswith("## "):
            inside = line[3:].strip().strip("`") == package
        elif inside and (entry := ENTRY.match(line)):
            names.append(entry.group(1))
    return names


@pytest.fixture(params=PACKAGES)
def package(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(request.param)


def test_the_api_page_lists_exactly_what_is_exported(package: ModuleType) -> None:
    documented = documented_names(API_PAGE.read_text(encoding="utf-8"), package.__name__)
    assert sorted(documented) == sorted(package.__all__)


def test_every_exported_name_exists_once(package: ModuleType) -> None:
    assert len(set(package.__all__)) == len(package.__all__)
    assert [name for name in package.__all__ if not hasattr(package, name)] == []


def test_a_package_has_no_public_name_that_is_not_exported(package: ModuleType) -> None:
    extra = [
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name not in package.__all__
    ]
    assert [name for name in extra if name != "annotations"] == []


def test_everything_exported_has_a_docstring(package: ModuleType) -> None:
    exported = [getattr(package, name) for name in package.__all__]
    ours = [each for each in exported if inspect.isclass(each) or inspect.isfunction(each)]
    assert [each.__qualname__ for each in ours if not inspect.getdoc(each)] == []


def test_the_page_reader_stops_at_the_next_heading() -> None:
    page = "## `crdtgraph`\n- `open(url)` opens\n| `Graph` | x |\ntext `other`\n## sync\n- `Node`\n"
    assert documented_names(page, "crdtgraph") == ["open", "Graph"]
    assert documented_names(page, "sync") == ["Node"]
