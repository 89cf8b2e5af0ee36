"""`crdtgraph metrics`: how long things take in a running node."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cli.context import Invocation, Output, every_option, examples, graph_options

if TYPE_CHECKING:
    from cli.context import Backend
    from sync.protocol.calls import Plain

COLUMNS = ("", "COUNT", "MEAN", "P50", "P95", "P99", "P99.9", "MAX", "JITTER", "/100MS")
TIMES = {"mean_ns": "mean_s", "p50_ns": "p50_s", "p95_ns": "p95_s", "p99_ns": "p99_s", "p999_ns": "p999_s",
         "max_ns": "max_s", "total_ns": "total_s"}  # fmt: skip
KEYS = ("name", "period", "count", *TIMES.values(), "jitter", "windows", "windowed_jitter")
NS_PER_S = 1e9
HEADINGS = {"recent": "the last 30 to 60 s", "total": "since the start"}


@click.command(
    "metrics",
    epilog=examples(
        "crdtgraph metrics",
        "crdtgraph metrics -o json",
        "crdtgraph metrics --prometheus",
        "crdtgraph metrics --rules",
    ),
)
@click.option("--prometheus", is_flag=True, help="Print what `serve --metrics-port` gives to Prometheus.")
@click.option("--rules", is_flag=True, help="Print rules for alerts, a file for Prometheus, and ask no node.")
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C.")
@every_option
@graph_options
@click.pass_obj
def command(invocation: Invocation, prometheus: bool, rules: bool, watch: bool, every_s: float) -> None:
    """Show how long commits, reads, flushes and fsyncs take in a running node, lately and since it started.

    P50 is what half of them took at most, and so on. JITTER is the standard deviation by the mean, and /100MS that of
    the means over windows of 100 ms: how much whole stretches differ. JSON has counts and sizes as well. Where nothing
    has happened yet, there is no line. docs/metrics.md explains all of it.
    """
    from cli.render import print_lines

    if prometheus or rules:
        if prometheus and rules:
            raise click.UsageError("--prometheus and --rules exclude each other")
        if invocation.output is not Output.TEXT or watch:
            raise click.UsageError("--prometheus and --rules have a format of their own and are printed once")
        print_lines((_rules() if rules else _exposition(invocation)).splitlines())
        return
    with invocation.open_required_node() as backend:
        if watch:
            _watch(backend, invocation.output, every_s)
        else:
            _print(backend, invocation.output)


def _watch(backend: Backend, output: Output, every_s: float) -> None:
    """Print again and again: on a terminal in the place of what was there, elsewhere one after the other."""
    import time

    try:
        while True:
            if output is Output.TEXT:
                click.clear()
            _print(backend, output)
            sys.stdout.flush()
            time.sleep(every_s)
    except KeyboardInterrupt:
        pass  # It is the way to end it.


def _print(backend: Backend, output: Output) -> None:
    from cli.output import print_document, print_documents
    from cli.render import print_lines

    timings, document = _ask(backend)
    match output:
        case Output.TEXT:
            print_lines(_lines(timings, document))
        case Output.JSON:
            print_document(Output.JSON, document)
        case _:
            print_documents(output, map(_row, timings), KEYS)


def _ask(backend: Backend) -> tuple[list[dict[str, Plain]], dict[str, object]]:
    """The series as the node tells them, and the whole answer as a document."""
    from cli.answers import list_of, of, table_of

    answer = table_of(backend.call("metrics"))
    timings = [table_of(each) for each in list_of(answer["timings"])]
    measures = [table_of(each) for each in list_of(answer["measures"])]
    return timings, {
        "metered": of(bool, answer["metered"]),
        "timings": [_row(each) for each in timings],
        "measures": measures,
    }


def _exposition(invocation: Invocation) -> str:
    from cli.answers import of

    with invocation.open_required_node() as backend:
        return of(str, backend.call("exposition"))


def _rules() -> str:
    from sync.prometheus.rules import alert_rules

    return alert_rules()


def _row(timing: dict[str, Plain]) -> dict[str, object]:
    """One series of one period, in seconds."""
    from cli.answers import of

    row: dict[str, object] = {name: timing[name] for name in timing if name not in TIMES}
    row |= {seconds: _number(timing[name]) / NS_PER_S for name, seconds in TIMES.items()}
    row["count"], row["windows"] = of(int, timing["count"]), of(int, timing["windows"])
    return {key: row[key] for key in KEYS}


def _lines(timings: list[dict[str, Plain]], document: dict[str, object]) -> Iterator[str]:
    from cli.render import paint, table

    for period, heading in HEADINGS.items():
        happened = [each for each in timings if each["period"] == period and each["count"]]
        if period != next(iter(HEADINGS)):
            yield ""
        yield paint(heading, "strong")
        yield from table([COLUMNS, *map(_cells, happened)]) if happened else ("nothing",)
    if not document["metered"]:
        yield ""
        yield "The graph of this node was opened without a meter, so only the node's own times are known."


def _cells(timing: dict[str, Plain]) -> tuple[str, ...]:
    from cli.answers import of
    from cli.units import fine_time, number

    times = ("mean_ns", "p50_ns", "p95_ns", "p99_ns", "p999_ns", "max_ns")
    return (
        of(str, timing["name"]),
        number(of(int, timing["count"])),
        *(fine_time(_number(timing[name])) for name in times),
        *(_percent(timing[name]) for name in ("jitter", "windowed_jitter")),
    )


def _percent(share: Plain) -> str:
    return "-" if share is None else f"{100 * _number(share):.0f}%"


def _number(value: Plain) -> float:
    from cli.answers import of

    return value if isinstance(value, int) else of(float, value)
