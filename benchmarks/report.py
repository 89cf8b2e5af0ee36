"""The one shape that every benchmark reports in, and how it is printed."""

from __future__ import annotations

import json
import operator
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version

Figure = float | int | str | bool | None

_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq}


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure held against its bar: `bar` is text such as "<= 3", `holds` whether it does."""

    figure: str
    value: float
    unit: str
    bar: str
    holds: bool


@dataclass(slots=True)
class Report:
    """What one run measured. `results` are rows by name, `bars` the figures that were asked for."""

    name: str
    parameters: dict[str, Figure]
    results: dict[str, dict[str, Figure]] = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)
    machine: dict[str, Figure] = field(default_factory=lambda: machine())

    def hold(self, figure: str, value: float, unit: str, sign: str, limit: float) -> None:
        """Add a bar: `value` must be `sign` ("<", "<=", ">", ">=" or "==") `limit`."""
        shown = round(value, 4)
        self.bars.append(Bar(figure, shown, unit, f"{sign} {limit:g}", bool(_COMPARE[sign](value, limit))))

    def to_json(self) -> str:
        """One object: name, machine, parameters, results, bars."""
        ordered = ("name", "machine", "parameters", "results", "bars")
        values = asdict(self)
        return json.dumps({key: values[key] for key in ordered})


def machine() -> dict[str, Figure]:
    """What it ran on: enough to know which runs may be compared."""
    found: dict[str, Figure] = {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }
    for package in ("pycrdt", "networkx", "trio", "cbor2", "rocksdict", "pygit2"):
        found[package] = version(package)
    return found


def quantiles(values_ns: Sequence[int]) -> dict[str, float]:
    """P50, P99, P99.9 and the largest of times in nanoseconds, as microseconds."""
    ordered = sorted(values_ns)
    picked = {name: ordered[int(share * (len(ordered) - 1))] for name, share in _SHARES.items()}
    return {name: round(value / 1_000, 3) for name, value in picked.items()}


_SHARES = {"p50_us": 0.5, "p99_us": 0.99, "p99.9_us": 0.999, "max_us": 1.0}


def rounded(row: Mapping[str, float], digits: int = 4) -> dict[str, Figure]:
    """A row of results with its numbers cut to what they mean."""
    return {name: round(value, digits) for name, value in row.items()}
