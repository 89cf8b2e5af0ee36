"""`crdtgraph metrics` and `serve --metrics-port`, as they are used."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import socket
import urllib.request
from pathlib import Path

import pytest

from cli.commands import metrics
from cli.units import fine_time
from sync.prometheus.rules import alert_rules

from .conftest import CommandLine, Process, Starter

NOT_REACHED = 4
USAGE = 2


def test_a_table_of_what_has_happened_lately_and_since_the_start(node: Process, crdtgraph: CommandLine) -> None:
    for _ in range(3):
        assert crdtgraph("commit", "-m", "x", "--ref", "main", "--node", "search.db").code == 0
    shown = crdtgraph("metrics")
    assert shown.code == 0, shown.err
    recent, total = shown.out.split("\n\n")
    assert recent.startswith("the last 30 to 60 s\n")
    assert total.startswith("since the start\n")
    for part in (recent, total):
        rows = {line.split()[0]: line.split() for line in part.splitlines()[2:]}
        assert rows["commit"][1] == "3"
        assert len(rows["commit_critical"]) == len(rows["fsync"]) == 10
        assert all(re.fullmatch(r"[\d.]+(ns|us|ms|s)", cell) for cell in rows["fsync"][2:8])
        assert "apply" not in rows, "what has not happened has no line"


def test_programs_get_the_same_numbers(node: Process, crdtgraph: CommandLine) -> None:
    document = crdtgraph("metrics", "-o", "json").json
    assert isinstance(document, dict)
    assert document["metered"] is True
    listed = {(each["name"], each["period"]) for each in document["timings"]}
    assert {("fsync", "recent"), ("fsync", "total"), ("commit_critical", "total")} <= listed
    commits = [each for each in document["measures"] if each["name"] == "commits"]
    assert commits == [{"name": "commits", "labels": {"plane": "ledger"}, "value": 3.0}]
    rows = list(csv.DictReader(io.StringIO(crdtgraph("metrics", "-o", "csv").out)))
    lines = [json.loads(line) for line in crdtgraph("metrics", "-o", "jsonl").out.splitlines()]
    assert [list(row) for row in rows] == [list(line) for line in lines]
    assert {(row["name"], row["period"]) for row in rows} == listed


def test_prometheus_gets_by_the_port_what_the_command_prints(
    store: str, start: Starter, crdtgraph: CommandLine
) -> None:
    process = start("serve", "--store", store, "--metrics-port", "0", "--log", "json")
    process.wait_for("ready")
    [ready] = [json.loads(line) for line in process.err.splitlines() if '"ready"' in line]
    with urllib.request.urlopen(ready["metrics"], timeout=30) as answer:
        served = answer.read().decode()
    printed = crdtgraph("metrics", "--prometheus").out
    assert names(served) == names(printed)
    assert 'crdtgraph_commits{plane="ledger"} 3.0' in served.splitlines()


def names(text: str) -> list[str]:
    return sorted(line.rpartition(" ")[0] for line in text.splitlines() if "jitter_ratio" not in line)


def test_without_the_option_there_is_no_port(node: Process) -> None:
    assert "metrics=" not in node.err or "metrics= " in node.err


def test_a_port_that_is_taken_is_said_before_the_store_is_touched(crdtgraph: CommandLine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        failed = crdtgraph("serve", "--store", "new.db", "--metrics-port", str(port))
    assert failed.code == USAGE
    assert failed.err.splitlines() == [
        f"crdtgraph: cannot serve metrics on 127.0.0.1:{port}: Address already in use",
        "hint: use another port, or 0 for any",
    ]
    assert not Path("new.db").exists()


@pytest.mark.parametrize("port", ["-1", "65536", "http", ""])
def test_what_is_no_port_is_refused(crdtgraph: CommandLine, port: str) -> None:
    failed = crdtgraph("serve", "--store", "new.db", "--metrics-port", port)
    assert failed.code == USAGE
    assert "--metrics-port" in failed.err
    assert not Path("new.db").exists()


def test_a_store_at_rest_has_none(store: str, crdtgraph: CommandLine) -> None:
    for arguments in (["metrics"], ["metrics", "--prometheus"], ["metrics", "-o", "json"]):
        failed = crdtgraph(*arguments)
        assert (failed.code, failed.out) == (NOT_REACHED, "")
        assert "no node is running on search.db" in failed.err
        assert "crdtgraph serve --store search.db" in failed.err


def test_rules_need_neither_store_nor_node(crdtgraph: CommandLine) -> None:
    assert crdtgraph("metrics", "--rules").out == alert_rules()


@pytest.mark.parametrize(
    "arguments",
    [["--rules", "--prometheus"], ["--rules", "-o", "json"], ["--prometheus", "-o", "csv"], ["--rules", "--watch"]],
)
def test_options_that_do_not_go_together(crdtgraph: CommandLine, arguments: list[str]) -> None:
    failed = crdtgraph("metrics", *arguments)
    assert failed.code == USAGE
    assert "--prometheus and --rules" in failed.err


def test_watching_prints_again_until_ctrl_c(node: Process, start: Starter) -> None:
    watching = start("metrics", "--node", "search.db", "--watch", "--every", "0.01", "-o", "jsonl")
    lines = [watching.popen.stdout.readline() for _ in range(200)]
    assert len({(each["name"], each["period"]) for each in map(json.loads, lines)}) < 100
    ended = watching.end(signal.SIGINT)
    assert (ended.code, ended.err) == (0, "")


def test_a_node_whose_graph_is_not_metered_says_so() -> None:
    lines = list(metrics._lines([], {"metered": False, "timings": [], "measures": []}))
    assert lines[-1].startswith("The graph of this node was opened without a meter")
    assert lines.count("nothing") == 2


@pytest.mark.parametrize(
    "nanoseconds, text",
    [
        (0, "0ns"), (875, "875ns"), (999.6, "1us"), (4_512, "4.51us"), (87_240, "87.2us"), (999_400, "999us"),
        (1_250_000, "1.25ms"), (2_000_000_000, "2.0s"),
    ],
)  # fmt: skip
def test_times_have_three_digits(nanoseconds: float, text: str) -> None:
    assert fine_time(nanoseconds) == text
