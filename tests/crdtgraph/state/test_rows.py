"""The bytes of rows and pages, and what is cut or changed in them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crdtgraph import CommitId, Reference, Value
from crdtgraph.state import row as rowing
from crdtgraph.state.row import DamagedError, Row, RowWriter, entries_of, read_page


def write_row(
    level: int, depth: int, base: CommitId, entries: dict[str, Value]
) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    pages: list[tuple[bytes, bytes]] = []
    writer = RowWriter(lambda name, data: pages.append((name, data)))
    for entry in entries_of(entries.items()):
        writer.add(entry)
    return writer.finish(level, depth, base), pages


def rows_and_pages() -> Iterator[bytes]:
    entries: dict[str, Value] = {"b": b"x", "a": None, "c/d": Reference("git-blob", b"\2" * 20, 5), "é": b""}
    row, pages = write_row(1, 16, CommitId(b"\7" * 32), entries)
    yield row
    yield from (page for _, page in pages)


def test_a_row_and_its_pages_have_these_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowing, "PAGED_ENTRIES_MIN", 512)
    entries: dict[str, Value] = {"b": b"x", "a": None, "c/d": Reference("git-blob", b"\2" * 2, 5)}
    row, pages = write_row(1, 16, CommitId(b"\7" * 32), entries)
    assert pages == []
    assert row.hex() == (
        "010110000000" + "07" * 32 + "03000000" + "010000000200000005000000" + "00000000010000000f000000" + "000102"
        "61" + "62" + "632f64" + "78" + "8368" + b"git-blob".hex() + "42020205" + row[-4:].hex()
    )


def test_what_is_cut_or_changed_anywhere_is_damaged() -> None:
    for data in rows_and_pages():
        read = Row if data.startswith(b"\1") else read_page
        read(data)
        for end in range(len(data)):
            with pytest.raises(DamagedError):
                read(data[:end])
            with pytest.raises(DamagedError):
                read(data[:end] + bytes([data[end] ^ 0x20]) + data[end + 1 :])
        with pytest.raises(DamagedError):
            read(data + b"\0")
