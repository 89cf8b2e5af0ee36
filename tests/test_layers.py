"""The house rules that a reader of docs/design.md relies on, read from the source with `ast`.

Imports point down only, each third-party library that we may want to replace has one module that imports it,
and below the shell nothing takes time, randomness or the environment by itself: simulations have to repeat.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("crdtgraph", "sync", "simulations", "cli")
LINES_MAX = 400

LONG_MODULES: dict[str, str] = {}
"""Modules above LINES_MAX, each with the reason why there is no seam to split it along."""

MAY_IMPORT = {
    "crdtgraph": {"crdtgraph"},
    "sync": {"crdtgraph", "sync"},
    "simulations": {"crdtgraph", "sync", "simulations"},
    "cli": {"crdtgraph", "sync", "simulations", "cli"},
}

ONLY_IMPORTED_BY = {
    "pycrdt": ("crdtgraph/document.py",),
    "cbor2": ("crdtgraph/canonical.py",),
    "immutables": ("crdtgraph/state/*.py",),
    "msgpack": ("sync/protocol/packing.py",),
    "rocksdict": ("crdtgraph/store/engine.py", "crdtgraph/store/tally.py", "crdtgraph/store/rocksdb.py"),
    "sqlite3": ("crdtgraph/store/database.py", "crdtgraph/store/scans.py", "crdtgraph/store/sqlite.py"),
    "hdrh": ("crdtgraph/metering/series.py",),
    "prometheus_client": ("sync/prometheus/exposition.py",),
    "h11": ("sync/prometheus/scraping.py",),
    "pyspiel": ("crdtgraph/mcts/openspiel.py",),
    "numpy": (),
    "pygit2": ("crdtgraph/gitbridge/*.py", "crdtgraph/state/texts.py", "simulations/importing.py"),
    "jinja2": ("simulations/page/document.py",),
    "msgspec": ("simulations/*.py",),
    "tomli_w": ("simulations/files.py", "cli/contexts.py"),
    "trio._core": ("simulations/runner.py",),
    "trio": ("sync/*.py", "simulations/*.py", "cli/*.py", "cli/commands/*.py"),
    "click": ("cli/*.py", "cli/commands/*.py"),
    "platformdirs": ("cli/contexts.py",),
    "ray": ("sync/fleet/actors.py", "sync/fleet/lookout.py"),
    "rich": ("cli/*.py", "cli/commands/*.py"),
}

PROTOCOL = "sync/protocol/"
"""The sans-IO half of sync."""
NETWORK = {"trio", "socket", "ssl", "asyncio", "select", "selectors", "threading", "subprocess", "signal"}

NOT_BELOW_THE_SHELL = {
    "import time", "import uuid", "import secrets", "os.urandom", "os.getrandom",
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
    "hash()", "id()",
}  # fmt: skip
"""Wall clock, entropy, and what differs from one process to the next."""

COMMAND_LINES = {"simulations/__main__.py"}
"""Outside of `cli`."""

ONLY_THE_COMMAND_LINE = {
    "print()", "input()", "sys.stdout", "sys.argv", "os.environ", "os.getenv", "Path.home", ".expanduser",
}  # fmt: skip


@dataclass(frozen=True)
class Module:
    """One source file, what it imports (absolute names) and what else in it the rules are about."""

    path: str
    imports: frozenset[str]
    uses: frozenset[str]
    lines: int

    @property
    def package(self) -> str:
        return self.path.split("/")[0]

    @property
    def is_below_the_shell(self) -> bool:
        """The graph, and the part of sync that does no input or output; only the host may ask the machine."""
        is_of_the_graph = self.package == "crdtgraph" and self.path != "crdtgraph/host.py"
        return is_of_the_graph or self.path.startswith(PROTOCOL) or self.path == "sync/metrics.py"


def read_module(source: str, path: str) -> Module:
    tree = ast.parse(source, path)
    return Module(
        path=path,
        imports=frozenset(imported_names(tree, path)),
        uses=frozenset(used_names(tree)),
        lines=source.count("\n"),
    )


def imported_names(tree: ast.Module, path: str) -> Iterator[str]:
    """Every imported module, absolute; for `from a import b` both `a` and `a.b`, as b may be a module."""
    folder = Path(path).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = folder[: len(folder) - node.level + 1] if node.level else ()
            base = ".".join((*above, *(node.module.split(".") if node.module else ())))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def used_names(tree: ast.Module) -> Iterator[str]:
    """What a file uses: `.y` for an attribute, `x.y` if it is one of a name, `f()` for a call of a name.

    An `x` that stands for an imported module is given under the module's own name, so that neither
    `import os as system` nor `from os import urandom` hides anything.
    """
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    real_names = {alias.asname: alias.name for node in imports for alias in node.names if alias.asname}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield f".{node.attr}"
            if isinstance(node.value, ast.Name):
                yield f"{real_names.get(node.value.id, node.value.id)}.{node.attr}"
            elif isinstance(node.value, ast.Attribute):
                yield f"{node.value.attr}.{node.attr}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield f"{node.func.id}()"
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield f"import {node.module}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (f"import {alias.name}" for alias in node.names)


def names_within(imports: frozenset[str], library: str) -> bool:
    return any(name == library or name.startswith(library + ".") for name in imports)


def modules(*folders: str) -> list[Module]:
    return [
        read_module(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]


MODULES = modules(*PACKAGES)
TESTS = modules("tests")
every_module = pytest.mark.parametrize("module", MODULES, ids=[module.path for module in MODULES])
every_module_and_test = pytest.mark.parametrize("module", [*MODULES, *TESTS], ids=lambda module: module.path)


@every_module
def test_imports_point_down_the_layers(module: Module) -> None:
    ours = {name.split(".")[0] for name in module.imports} & {*PACKAGES, "benchmarks", "tests"}
    assert ours <= MAY_IMPORT[module.package]


@every_module
def test_a_replaceable_library_has_one_importer(module: Module) -> None:
    wrong = [
        library
        for library, allowed in ONLY_IMPORTED_BY.items()
        if names_within(module.imports, library) and not any(fnmatch(module.path, each) for each in allowed)
    ]
    assert not wrong, f"{module.path} may not import {wrong}"


@every_module
def test_nothing_below_the_shell_does_network_or_threads(module: Module) -> None:
    if module.is_below_the_shell:
        top = {name.split(".")[0] for name in module.imports}
        # A store may guard its handle against a concurrent flush; nothing else below the shell knows threads.
        allowed = {"threading"} if module.path.startswith("crdtgraph/store/") else set()
        assert not top & (NETWORK - allowed)


@every_module
def test_the_sans_io_protocol_does_not_reach_into_its_shell(module: Module) -> None:
    if module.path.startswith(PROTOCOL):
        ours = {name for name in module.imports if name.split(".")[0] == "sync"}
        assert all(f"{name}.".startswith("sync.protocol.") for name in ours)


@every_module
def test_nothing_below_the_shell_takes_time_or_randomness_on_its_own(module: Module) -> None:
    if module.is_below_the_shell:
        assert not module.uses & NOT_BELOW_THE_SHELL
        # A seeded `random.Random` that is handed in is welcome; the module's own hidden generator is not.
        assert {use for use in module.uses if use.startswith("random.")} <= {"random.Random"}


@every_module
def test_only_the_command_line_prints_and_reads_the_environment(module: Module) -> None:
    if module.package != "cli" and module.path not in COMMAND_LINES:
        assert not module.uses & ONLY_THE_COMMAND_LINE


@every_module_and_test
def test_a_module_is_short_or_says_why_not(module: Module) -> None:
    if module.path not in LONG_MODULES:
        assert module.lines <= LINES_MAX, "split it along a seam, or give the reason in LONG_MODULES"


def test_no_reason_is_kept_for_a_module_that_became_short() -> None:
    lines = {module.path: module.lines for module in [*MODULES, *TESTS]}
    assert [path for path in LONG_MODULES if lines.get(path, 0) <= LINES_MAX] == []


@pytest.mark.parametrize(
    "source, path, found",
    [
        ("from .store import base", "crdtgraph/graph.py", "crdtgraph.store.base"),
        ("from . import ids", "crdtgraph/store/base.py", "crdtgraph.store.ids"),
        ("from ..ids import Dot", "crdtgraph/store/base.py", "crdtgraph.ids.Dot"),
        ("def f():\n    import sync.node", "crdtgraph/graph.py", "sync.node"),
        ("if x:\n    from trio import _core", "sync/node.py", "trio._core"),
    ],
)
def test_the_reader_resolves_imports(source: str, path: str, found: str) -> None:
    assert found in read_module(source, path).imports


@pytest.mark.parametrize(
    "source, found",
    [
        ("import time\ntime.time()", "import time"),
        ("from time import monotonic", "import time"),
        ("import os\nos.urandom(3)", "os.urandom"),
        ("import os as system\nsystem.urandom(3)", "os.urandom"),
        ("from os import urandom", "os.urandom"),
        ("import datetime\ndatetime.datetime.now()", "datetime.now"),
        ("import random\nrandom.random()", "random.random"),
        ("from random import choice", "random.choice"),
        ("hash('x')", "hash()"),
        ("print('x')", "print()"),
        ("p.expanduser()", ".expanduser"),
    ],
)
def test_the_reader_sees_uses(source: str, found: str) -> None:
    assert found in read_module(source, "crdtgraph/graph.py").uses
