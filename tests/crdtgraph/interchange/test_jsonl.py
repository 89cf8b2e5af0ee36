"""A replica as JSON lines and back: nothing is lost, and nothing that was tampered with gets in."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import crdtgraph
from crdtgraph import Graph, LocalError
from crdtgraph.interchange import LINE_BYTES_MAX, RemoteLinesError, export_lines, read_lines
from crdtgraph.interchange.rows import text_of
from crdtgraph.interchange.writing import export_rows
from crdtgraph.union import unite

from .replicas import PLANE, act, everything, give, grow, open_replica


def exported(graph: Graph) -> list[bytes]:
    return [line.encode() + b"\n" for line in export_lines(graph)]


EVERYTHING = exported(everything())


def assert_same(one: Graph, other: Graph) -> None:
    assert one.digest() == other.digest()
    assert one.set_digest(PLANE) == other.set_digest(PLANE)
    assert one.state_vector(PLANE) == other.state_vector(PLANE)
    assert one.holes(PLANE) == other.holes(PLANE)
    assert one.pending() == other.pending()
    assert sorted(one.topological()) == sorted(other.topological())


# Without loss


def test_everything_a_replica_can_hold_survives_deletions_holes_and_what_lies_beside() -> None:
    graph = everything()
    with read_lines(exported(graph)) as copy:
        assert_same(graph, copy)
        assert exported(copy)[1:] == exported(graph)[1:]


def test_an_import_into_an_empty_store_has_the_digests_of_the_original_also_after_a_restart(tmp_path: Path) -> None:
    graph = everything()
    with read_lines(exported(graph)) as copy, open_replica(9, str(tmp_path / "store")) as store:
        assert unite(copy, store) == 7, "of two segments under one key it is one"
        assert unite(copy, store) == 0
        assert_same(graph, store)
    with open_replica(10, str(tmp_path / "store")) as store:
        assert_same(graph, store)
        assert not [finding for finding in store.fsck() if finding.problem]


def test_an_import_into_a_store_that_went_on_is_the_union() -> None:
    graph = everything()
    lines = exported(graph)
    store = open_replica(9)
    give(graph, store)
    grow(store, 2)
    grow(graph, 2)
    expected = open_replica(10)
    for each in (store, graph):
        give(each, expected)
    with read_lines(exported(graph)) as copy, read_lines(lines) as older:
        unite(older, store)
        unite(copy, store)
    assert store.digest() == expected.digest()
    assert store.set_digest(PLANE) == expected.set_digest(PLANE)


def test_a_second_segment_under_a_number_that_was_used_twice_is_not_taken_for_known() -> None:
    lines = [line for line in EVERYTHING if b'"key": "1e2080274ebd1a-0"' in line or b'"clone' in line]
    first, second = lines[:2], lines[2:]
    assert len(second) == 2
    digests = []
    for order in (first, second), (second, first):
        store = open_replica(9)
        for part in order:
            source = open_replica(8)
            segment = json.loads(part[0])
            source.receive(PLANE, item(segment["key"], segment["bytes"]))
            unite(source, store)
        digests.append((store.digest(), store.set_digest(PLANE), len(store), len(store.pending())))
    assert digests[0] == digests[1]
    assert digests[0][2:] == (1, 1)


def item(key: str, text: str) -> bytes:
    import base64

    from crdtgraph.document import item_update
    from crdtgraph.ids import SegmentKey

    return item_update(SegmentKey.parse(key), base64.b64decode(text)).encode()


def test_an_older_file_fills_the_holes_of_a_store() -> None:
    writer, store = open_replica(1), open_replica(2)
    grow(writer, 3)
    before = exported(writer)
    digest = writer.digest()
    writer.compact()
    items = [each for delta in writer.deltas(PLANE, {}) for each in crdtgraph.update.decode_update(delta.update).items]
    for each in items[:3]:
        store.receive(PLANE, crdtgraph.update.Update((each,)).encode())
    assert len(store.holes(PLANE)) == 3
    with read_lines(before) as copy:
        unite(copy, store)
    assert store.holes(PLANE) == []
    assert store.digest() == digest


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_any_history_of_several_writers_survives(seed: int, steps: int) -> None:
    rng = random.Random(seed)
    replicas = [open_replica(seed * 3 + number) for number in range(3)]
    for _ in range(steps):
        act(rng, rng.choice(replicas), rng.choice(replicas))
    with read_lines(exported(replicas[0])) as copy:
        assert_same(replicas[0], copy)
        empty = open_replica(seed + 7)
        unite(copy, empty)
        assert_same(replicas[0], empty)


def test_an_empty_replica_is_a_header_and_a_footer() -> None:
    lines = exported(open_replica(1))
    assert [json.loads(line)["type"] for line in lines] == ["header", "footer"]
    with read_lines(lines) as copy:
        assert len(copy) == 0


def test_what_is_buffered_is_exported_and_a_change_in_between_is_an_error() -> None:
    graph = open_replica(1)
    graph.commit(message="buffered")
    lines = export_lines(graph)
    assert json.loads(next(lines))["planes"][0]["commits"] == 1
    graph.commit(message="in between")
    with pytest.raises(LocalError, match="changed while"):
        list(lines)


def test_no_line_has_a_control_character_and_all_are_json() -> None:
    for line in EVERYTHING:
        text = line.decode().removesuffix("\n")
        assert text.isprintable() or "\U0001f600" in text
        assert not set(text) & {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)}
        assert "type" in json.loads(text)


def test_progress_counts_segments_and_bytes() -> None:
    done: list[tuple[int, int]] = []
    sizes: list[int] = []
    lines = [line.encode() + b"\n" for line in export_lines(everything(), progress=lambda a, b: done.append((a, b)))]
    read_lines(lines, progress=sizes.append).close()
    assert done == [(number, 8) for number in range(1, 9)]
    assert sum(sizes) == len(b"".join(lines))


# What is refused


def first_of(kind: str) -> int:
    return next(number for number, line in enumerate(EVERYTHING) if json.loads(line)["type"] == kind)


def changed(number: int, **fields: object) -> list[bytes]:
    lines = list(EVERYTHING)
    lines[number] = json.dumps({**json.loads(lines[number]), **fields}).encode() + b"\n"
    return lines


def replaced(number: int, line: bytes) -> list[bytes]:
    return [*EVERYTHING[:number], line, *EVERYTHING[number + 1 :]]


@pytest.mark.parametrize("cut", range(len(EVERYTHING)))
def test_a_file_that_was_cut_off_after_any_line_is_refused(cut: int) -> None:
    with pytest.raises(RemoteLinesError, match=rf"^line {cut + 1} is missing"):
        read_lines(EVERYTHING[:cut])


@pytest.mark.parametrize("number", range(len(EVERYTHING)))
@pytest.mark.parametrize("end", [1, -2])
def test_a_line_that_was_cut_off_is_not_json_and_its_number_and_column_are_told(number: int, end: int) -> None:
    with pytest.raises(RemoteLinesError, match=rf"^line {number + 1} is not JSON at column \d+"):
        read_lines(replaced(number, EVERYTHING[number][:end]))


@pytest.mark.parametrize("number", range(len(EVERYTHING)))
def test_a_line_that_is_missing_is_noticed(number: int) -> None:
    with pytest.raises(RemoteLinesError):
        read_lines(EVERYTHING[:number] + EVERYTHING[number + 1 :])


@pytest.mark.parametrize("number", range(len(EVERYTHING)))
def test_a_line_that_stands_twice_is_noticed(number: int) -> None:
    with pytest.raises(RemoteLinesError):
        read_lines(EVERYTHING[: number + 1] + EVERYTHING[number:])


RECORDS = [
    (number, name)
    for number, line in enumerate(EVERYTHING)
    for name in json.loads(line)
    if json.loads(line)["type"] in ("segment", "commit", "assign", "count", "discard") and name != "beside"
]


@pytest.mark.parametrize("number, name", RECORDS, ids=str)
def test_a_record_that_was_edited_is_refused_with_its_line(number: int, name: str) -> None:
    with pytest.raises(RemoteLinesError, match=rf"^line {number + 1} "):
        read_lines(changed(number, **{name: "edited"}))


@pytest.mark.parametrize(
    "number, fields, message",
    [
        (0, {"format": "other"}, "line 1 is not the header"),
        (0, {"version": 2}, "line 1 says version 2; this software reads 1"),
        (0, {"version": True}, "line 1 has no version that is a number"),
        (0, {"cluster": "a\nb"}, "line 1 .* is not a cluster name"),
        (0, {"planes": []}, "names other planes or digests than the header"),
        (first_of("segment"), {"bytes": "a"}, "is not base64|are not base64"),
        (first_of("segment"), {"bytes": ""}, "line 2 0 bytes|line 2 "),
        (first_of("segment"), {"plane": "other"}, "line 2 .*other"),
        (first_of("segment"), {"beside": 1}, "line 2 has no beside"),
        (first_of("compacted"), {"count": 4_097}, "1 to 4096"),
        (first_of("compacted"), {"count": 0}, "1 to 4096"),
        (first_of("compacted"), {"writer": "xyz"}, "line "),
        (first_of("compacted"), {"writer": "FF"}, "not a segment key"),
        (first_of("compacted"), {"first": -1}, "not a segment key"),
        (first_of("compacted"), {"first": 9}, "goes on at segment"),
        (first_of("footer"), {"segments": 7}, "claims 7 lines of segments, and 8 came"),
        (first_of("footer"), {"planes": []}, "names other planes or digests than the header"),
    ],
)
def test_wrong_fields_are_told_by_line(number: int, fields: dict[str, object], message: str) -> None:
    with pytest.raises(RemoteLinesError, match=message):
        read_lines(changed(number, **fields))


def test_a_file_whose_header_and_footer_agree_on_a_wrong_digest_is_refused() -> None:
    planes = json.loads(EVERYTHING[0])["planes"]
    planes[0]["digest"] = "00" * 32
    lines = changed(0, planes=planes)
    lines[-1] = changed(len(lines) - 1, planes=planes)[-1]
    with pytest.raises(RemoteLinesError, match=rf"^line {len(lines)} and the header name other planes"):
        read_lines(lines)


@pytest.mark.parametrize(
    "line, message",
    [
        (b"\n", "not JSON at column 1"),
        (b"[]\n", "not a JSON object"),
        (b'{"type": "other"}\n', "has type 'other'"),
        (b'{"type": "footer", "type": "footer"}\n', "stands twice"),
        (b'{"type": NaN}\n', "NaN is no number"),
        (b'{"a": "\xff"}\n', "not UTF-8 at column 8"),
        (b"[" * 100_000 + b"\n", "not JSON"),
        (b'{"a": ' + b"9" * 5_000 + b"}\n", "not JSON"),
        (b"\xef\xbb\xbf{}\n", "not JSON"),
        (b'{"type": "segment", "plane": "ledger", "beside": false, "bytes": "\\ud800"}\n', "not base64"),
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.parametrize("number", [0, first_of("segment"), first_of("commit"), first_of("footer")])
def test_what_is_no_line_of_the_format_is_refused(number: int, line: bytes, message: str) -> None:
    with pytest.raises(RemoteLinesError, match=rf"^line {number + 1} "):
        read_lines(replaced(number, line))
    if number == first_of("segment"):
        with pytest.raises(RemoteLinesError, match=message):
            read_lines(replaced(number, line))


def test_a_line_beyond_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(RemoteLinesError, match=r"^line 1 is longer than"):
        read_lines([b"{" + b" " * LINE_BYTES_MAX + b"}"])


def test_a_file_of_another_cluster_is_refused_at_its_first_line() -> None:
    graph = open_replica(1, cluster="lab")
    grow(graph, 1)

    def lines() -> Iterable[bytes]:
        yield exported(graph)[0]
        raise AssertionError("read on")

    with pytest.raises(LocalError, match=r"'lab'.*'default'") as caught:
        read_lines(lines(), cluster="default")
    assert "init --cluster lab" in caught.value.hint
    with read_lines(exported(graph)) as copy, pytest.raises(LocalError, match="cluster"):
        unite(copy, open_replica(2))


@given(st.integers(0, len(b"".join(EVERYTHING)) - 1), st.integers(1, 255))
def test_no_single_byte_can_be_changed_to_something_that_is_read_otherwise(place: int, mask: int) -> None:
    data = bytearray(b"".join(EVERYTHING))
    data[place] ^= mask
    try:
        copy = read_lines(bytes(data).splitlines(keepends=True))
    except (RemoteLinesError, LocalError):
        return
    # What stays unnoticed changes nothing: the cluster and the replica are names, and JSON has several spellings.
    assert copy.digest().hex() == json.loads(EVERYTHING[0])["planes"][0]["digest"]
    assert (
        place < len(EVERYTHING[0])
        or copy.set_digest(PLANE).hex() == json.loads(EVERYTHING[0])["planes"][0]["set_digest"]
    )


@pytest.mark.parametrize("spell", [lambda row: json.dumps(row), lambda row: json.dumps(row, separators=(",", ":"))])
def test_another_spelling_of_the_same_json_is_read(spell: Callable[[object], str]) -> None:
    lines = [spell(json.loads(line)).encode() + b"\n" for line in EVERYTHING]
    with read_lines(lines) as copy:
        assert copy.digest().hex() == json.loads(EVERYTHING[0])["planes"][0]["digest"]


def test_a_union_that_was_stopped_between_two_deltas_is_finished_by_the_next(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    source = open_replica(1)
    for number in range(4):
        rng = random.Random(number)
        source.commit(message=str(number), changes={name: rng.randbytes(15_000) for name in "abcd"})
        source.flush()
    calls = itertools.count()

    def stop(done: int, total: int) -> None:
        if next(calls) == 1:
            raise Stopped

    with open_replica(2, str(tmp_path / "store")) as store, pytest.raises(Stopped):
        unite(source, store, progress=stop)
    with open_replica(3, str(tmp_path / "store")) as store:
        assert 0 < len(store) < 4
        unite(source, store)
        assert store.digest() == source.digest()


def test_segments_alone_are_read_as_well() -> None:
    graph = everything()
    lines = [text_of(row).encode() + b"\n" for row in export_rows(graph, with_records=False)]
    assert not any(b'"type": "commit"' in line for line in lines)
    with read_lines(lines) as copy:
        assert_same(graph, copy)
