"""What a node shows: every number and duration, by the conventions, on the page, and what the alert rules speak of."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
import trio
import trio.testing
from prometheus_client.parser import text_string_to_metric_families

import crdtgraph
from crdtgraph import Durability, Graph
from crdtgraph.metering import Meter
from sync import Node, Settings
from sync.metrics import Timed
from sync.prometheus.exposition import exposition
from sync.prometheus.measures import measures
from sync.prometheus.rules import FILE_NAME, alert_rules
from sync.prometheus.timings import BOUNDS_S, FAMILIES
from sync.protocol.messages import PlaneSummary
from tests.sync.replicas import grow, host, replica

ROOT = Path(__file__).parents[3]
SETTINGS = Settings(seed=1, goodbye_timeout_s=0.2)
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
RULES = ROOT / "sync" / "prometheus" / FILE_NAME
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


@pytest.fixture
def graph() -> Iterator[Graph]:
    ticks = count(0, 1_000)
    meter = Meter(lambda: next(ticks))
    with crdtgraph.open("memory:", cluster="test", author="a", host=host("a"), meter=meter) as opened:
        yield opened


@pytest.fixture
async def node(graph: Graph) -> AsyncIterator[Node]:
    async with Node(graph, settings=SETTINGS) as running:
        yield running


def values(node: Node) -> dict[str, float]:
    """Each sample, written as `name{label="value"}`."""
    found = {}
    for family in text_string_to_metric_families(exposition(node).decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def names(node: Node) -> set[str]:
    return {name.partition("{")[0] for name in values(node)}


async def test_numbers_and_durations_of_what_has_happened(node: Node, graph: Graph) -> None:
    before = values(node)
    root = graph.commit(message="x", ref="main")
    graph.commit(message="y", parents=[root])
    graph.get(root)
    node.metrics.record(Timed.COMMIT, 0.003, trio.current_time())
    assert graph.meter is not None
    graph.meter.add("search", 4_000_000_000, graph.meter.now_ns())
    found = values(node)
    assert found['crdtgraph_commits{plane="ledger"}'] == 2
    assert found["crdtgraph_buffered_records"] == 1
    assert found["crdtgraph_refs"] == 1
    assert found['crdtgraph_commit_seconds_count{class="critical"}'] == 1
    assert found['crdtgraph_commit_seconds_count{class="normal"}'] == 1
    assert found["crdtgraph_read_seconds_count"] - before["crdtgraph_read_seconds_count"] == 1
    assert found['crdtgraph_request_seconds_sum{method="commit"}'] == pytest.approx(0.003)
    assert found['crdtgraph_request_seconds_bucket{le="0.0025",method="commit"}'] == 0
    assert found['crdtgraph_request_seconds_bucket{le="0.005",method="commit"}'] == 1
    assert found['crdtgraph_other_seconds_bucket{le="2.5",name="search"}'] == 0
    assert found['crdtgraph_other_seconds_bucket{le="5.0",name="search"}'] == 1
    assert found['crdtgraph_other_seconds_bucket{le="+Inf",name="search"}'] == 1
    assert found['crdtgraph_longest_seconds{of="search"}'] == 4
    assert found['crdtgraph_jitter_ratio{of="search",over="values"}'] == 0
    [info] = [name for name in found if name.startswith("crdtgraph_info{")]
    assert f'replica="{node.replica_id.hex()}"' in info


async def test_every_class_of_durability_has_a_histogram_before_its_first_commit(node: Node) -> None:
    found = values(node)
    for each in Durability:
        assert found[f'crdtgraph_commit_seconds_count{{class="{each.value}"}}'] == 0
        assert found[f'crdtgraph_commit_seconds_bucket{{class="{each.value}",le="{BOUNDS_S[0]!r}"}}'] == 0


async def test_pending_records_and_their_age(node: Node, graph: Graph) -> None:
    with replica("b") as other:
        grow(other, 2)
        *_, last = other.segment_keys("ledger")
        graph.adopt("ledger", other.segments_of("ledger", last))
    found = values(node)
    assert found['crdtgraph_pending_records{plane="ledger"}'] == 1
    assert found["crdtgraph_pending_oldest_seconds"] > 0


async def test_a_sync_under_way_shows_its_age(node: Node, graph: Graph) -> None:
    assert values(node)["crdtgraph_fsync_running_seconds"] == 0
    assert graph.meter is not None
    graph.meter.syncing_since_ns = graph.meter.now_ns() - 7_000_000_000
    assert values(node)["crdtgraph_fsync_running_seconds"] == pytest.approx(7, rel=1e-3)


async def test_peers_that_differ_are_counted_with_how_long_they_have(graph: Graph) -> None:
    with replica("b") as other:
        async with Node(graph, listen=["127.0.0.1:0"], settings=SETTINGS) as node, Node(other, peers=node.addresses):
            with trio.fail_after(60):
                while not node.gossip.peers or None in [each.exchanged_at for each in node.gossip.peers.values()]:  # noqa: ASYNC110
                    await trio.sleep(0.01)
            assert values(node)['crdtgraph_peers{state="open"}'] == 1
            assert values(node)["crdtgraph_planes_unequal"] == 0
            [peer] = node.gossip.peers.values()
            view = peer.view("ledger")
            assert view.agreed_at is not None
            view.told = PlaneSummary("ledger", b"", b"x" * 32, {}, b"")
            view.agreed_at -= 700
            found = values(node)
            assert found["crdtgraph_planes_unequal"] == 1
            assert 700 <= found["crdtgraph_unequal_seconds"] < 760


async def test_a_node_of_a_graph_without_a_meter_shows_the_rest() -> None:
    with replica("plain") as graph:
        async with Node(graph, settings=SETTINGS) as node:
            found = names(node)
    assert "crdtgraph_commits" in found
    assert "crdtgraph_fsync_seconds_count" not in found
    assert "crdtgraph_fsync_running_seconds" not in found


async def test_names_follow_the_conventions(node: Node) -> None:
    for name in names(node):
        assert re.fullmatch(r"crdtgraph_[a-z_]+", name), name
    for each in measures(node):
        assert not each.name.endswith(("_s", "_us", "_ns", "_count", "_sum", "_bucket")), each.name
        assert each.text.endswith("."), each.name


async def test_labels_are_escaped(graph: Graph) -> None:
    async with Node(graph, settings=SETTINGS, name='a "b"\\\n') as node:
        assert [key for key in values(node) if key.startswith("crdtgraph_info{")]


async def test_every_metric_is_on_the_page_and_the_page_names_no_other(node: Node, graph: Graph) -> None:
    graph.commit(ref="main")
    measured = {f"crdtgraph_{each.name}" for each in measures(node)} | {"crdtgraph_store_bytes"}
    times = {f"crdtgraph_{family.name}_seconds" for family, _ in FAMILIES.values()} | {"crdtgraph_other_seconds"}
    derived = {"crdtgraph_longest_seconds", "crdtgraph_jitter_ratio"}
    assert set(re.findall(r"`(crdtgraph_[a-z_]+)", PAGE)) == measured | times | derived


async def test_the_rules_speak_of_metrics_and_labels_that_are_there(node: Node, graph: Graph) -> None:
    graph.commit(ref="main")
    shown = {re.sub(r'="[^"]*"', "", name) for name in values(node)}
    there = {name.partition("{")[0] for name in shown} | {"crdtgraph_store_bytes"}
    expressions = re.findall(r"expr: (?:>-\n)?((?:.*\n)+?)        (?:for|labels):", alert_rules())
    assert len(expressions) == alert_rules().count("- alert:")
    used = {name for each in expressions for name in re.findall(r"crdtgraph_\w+", each)}
    assert len(used) > 8
    assert used - there == set()
    for name, label, value in re.findall(r'(crdtgraph_\w+)\{(\w+)="([^"]+)"\}', "".join(expressions)):
        assert any(key.startswith(name + "{") and f'{label}="{value}"' in key for key in values(node)), (name, label)


def test_every_alert_is_on_the_page_and_tested() -> None:
    alerts = re.findall(r"- alert: (\w+)", alert_rules())
    assert len(alerts) == len(set(alerts)) == 9
    assert re.findall(r"^\| `(CrdtGraph\w+)`", PAGE, re.M) != []
    assert set(re.findall(r"^\| `(CrdtGraph\w+)`", PAGE, re.M)) == set(alerts)
    tests = (Path(__file__).parent / "alerts.test.yml").read_text(encoding="utf-8")
    firing = set(re.findall(r'alertname="(\w+)", alertstate="firing", job', tests))
    assert firing | set(re.findall(r"- alertname: (\w+)", tests)) == set(alerts)


@needs_promtool
def test_promtool_accepts_the_rules_and_every_alert_fires_on_what_it_is_about() -> None:
    for arguments in (["check", "rules", str(RULES)], ["test", "rules", "alerts.test.yml"]):
        done = subprocess.run(
            ["promtool", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
async def test_promtool_accepts_what_a_node_shows(node: Node, graph: Graph) -> None:
    graph.commit(ref="main")

    def check() -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["promtool", "check", "metrics"], input=exposition_text, capture_output=True, check=False)

    exposition_text = exposition(node)
    done = await trio.to_thread.run_sync(check)
    assert done.returncode == 0, done.stdout + done.stderr
