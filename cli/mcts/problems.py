"""The problem of a search as it is typed: `module:object`, `path/file.py:object`, or `openspiel:game`.

The object is a problem (`crdtgraph.mcts.Problem`), or something to call without arguments that gives one: its class, a
function. Its module is code that runs here with all the rights of whoever typed the command, as `python -m` would.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from crdtgraph.errors import LocalError, NotFoundError, first_few

OPENSPIEL = "openspiel"
FORMS = "MODULE:OBJECT, PATH/FILE.py:OBJECT, or openspiel:GAME as in openspiel:connect_four"
METHODS = ("initial", "actions", "apply", "evaluate")


def load_problem(spec: str) -> Any:
    """The problem of a command line.

    Raises NotFoundError when there is no such file, module, or object; LocalError when it raises at import, or is no
    problem.
    """
    place, colon, name = spec.rpartition(":")
    if spec.startswith(f"{OPENSPIEL}:"):
        return _game(spec.removeprefix(f"{OPENSPIEL}:"))
    if not colon or not place or not name:
        raise LocalError(f"{spec!r} names no problem", hint=f"it is {FORMS}")
    module = _file(Path(place)) if place.endswith(".py") else _module(place)
    found: Any = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise NotFoundError(f"there is no {name!r} in {place}", hint=_offer(module)) from None
    return _made(found, spec)


def _game(name: str) -> Any:
    if not name:
        raise LocalError("openspiel: which game?", hint="openspiel:connect_four, or openspiel:hex(board_size=5)")
    from crdtgraph.mcts.openspiel import OpenSpielGame

    return OpenSpielGame(name)


def _file(path: Path) -> ModuleType:
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}", hint=f"a problem is {FORMS}")
    # Of its own name: it may be called as a module that is there already.
    name = f"crdtgraph_problem_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LocalError(f"{path} cannot be imported", hint="it is a file with Python code")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickles look their module up by name, and the file may import its neighbours.
    sys.modules[name] = module
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _broken(str(path), error) from error
    return module


def _module(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise NotFoundError(f"there is no module {name!r}", hint=f"a problem is {FORMS}") from None
        raise _broken(name, error) from error
    except (Exception, SystemExit) as error:
        raise _broken(name, error) from error


def _broken(place: str, error: BaseException) -> LocalError:
    where = traceback.extract_tb(error.__traceback__)
    line = f", {Path(where[-1].filename).name} line {where[-1].lineno}" if where else ""
    if isinstance(error, SyntaxError):
        line = f", line {error.lineno}"
    return LocalError(
        f"{place} does not import: {type(error).__name__}: {_first_line(error)}{line}",
        hint="mend it; CRDTGRAPH_DEBUG=1 shows the whole traceback",
    )


def _made(found: Any, spec: str) -> Any:
    if _is_problem(found) and not isinstance(found, type):
        return found
    if not callable(found):
        raise LocalError(
            f"{spec} is a {type(found).__name__}, no problem",
            hint=f"a problem has the methods {', '.join(METHODS)}; see crdtgraph.mcts.Problem",
        )
    try:
        made = found()
    except (Exception, SystemExit) as error:
        raise LocalError(
            f"{spec} gives no problem when it is called: {type(error).__name__}: {_first_line(error)}",
            hint="name a class or function that needs no arguments, or an object: problem = Mine(3)",
        ) from error
    if not _is_problem(made):
        raise LocalError(
            f"{spec} gave a {type(made).__name__}, no problem",
            hint=f"a problem has the methods {', '.join(METHODS)}; see crdtgraph.mcts.Problem",
        )
    return made


def _is_problem(found: Any) -> bool:
    return all(callable(getattr(found, name, None)) for name in METHODS)


def _offer(module: ModuleType) -> str:
    names = [name for name, value in vars(module).items() if not name.startswith("_") and _is_problem(value)]
    return "problems there: " + (first_few(names) or "none")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:200]
