"""Backups: whole or refused, back with the same digest, and never the same writer; migrations there and back."""

from __future__ import annotations

import io
import os
import struct
import tempfile
from pathlib import Path
from typing import BinaryIO

import pytest

import crdtgraph
from crdtgraph.backup import MAGIC, BackupError, check_backup, replica_of, restore, write_backup
from crdtgraph.errors import CorruptError, LocalError, StoreLockedError, StoreVersionError
from crdtgraph.migration import digest_of, migrated, taken_back
from crdtgraph.store import Batch, Keyspace, open_store
from crdtgraph.store.copying import sum_of

KINDS = ("rocksdb", "sqlite")
every_way = pytest.mark.parametrize("source, target", [(a, b) for a in KINDS for b in KINDS])


@pytest.fixture(scope="module")
def data() -> bytes:
    """A backup of a small graph."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:{folder}/store"
        with crdtgraph.open(url, cluster="lab") as graph:
            for n in range(5):
                graph.commit(message=str(n), changes={"path": b"%d" % n}, ref="main")
        return backed_up(url)


def backed_up(url: str) -> bytes:
    out = io.BytesIO()
    store = open_store(url, read_only=True)
    write_backup(store, out)
    store.close()
    return out.getvalue()


def as_file(data: bytes) -> BinaryIO:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the garbage collector is soon enough
    file.write(data)
    file.seek(0)
    return file


@every_way
def test_a_restored_graph_has_the_digest_and_goes_on_as_another_replica(
    tmp_path: Path, source: str, target: str
) -> None:
    first, second = f"{source}:{tmp_path / 'first'}", f"{target}:{tmp_path / 'second'}"
    with crdtgraph.open(first, cluster="lab") as graph:
        root = graph.commit(message="start", changes={"path": bytes(range(256)) * 300}, ref="main")
        graph.count(root, [1, 2])
    before = digest_of(first)
    with as_file(backed_up(first)) as file:
        restored = restore(file, second)
    assert digest_of(second) == before
    assert restored.header.cluster == "lab"
    # Both go on, also from the same moment, and agree when they meet.
    with crdtgraph.open(first) as one, crdtgraph.open(second) as other:
        assert other.cluster == "lab"
        assert one.replica_id.hex() == restored.header.replica != restored.replica == other.replica_id.hex()
        assert one.status().writer != other.status().writer
        one.commit(message="ours", ref="main")
        other.commit(message="theirs", ref="main")
        one.flush()
        other.flush()
        for a, b in ((one, other), (other, one)):
            for delta in a.deltas("ledger", b.state_vector("ledger")):
                b.receive("ledger", delta.update)
        assert one.digest() == other.digest()
        assert one.set_digest("ledger") == other.set_digest("ledger")
        assert len(one) == 3


def test_the_same_replica_restored_after_a_loss_takes_a_new_writer_and_gets_back_what_it_had_said(
    tmp_path: Path,
) -> None:
    with crdtgraph.open(str(tmp_path / "first")) as graph, crdtgraph.open(f"sqlite:{tmp_path / 'peer'}") as peer:
        graph.commit(message="before", ref="main")
        out = io.BytesIO()
        store = open_store(graph.url, read_only=True)
        write_backup(store, out)
        store.close()
        graph.commit(message="acknowledged after the backup", ref="main")
        for delta in graph.deltas("ledger", {}):
            peer.receive("ledger", delta.update)
        writer = graph.status().writer
        with as_file(out.getvalue()) as file:
            restored = restore(file, f"sqlite:{tmp_path / 'again'}", replace=True)
        assert restored.replica == graph.replica_id.hex()
        with crdtgraph.open(f"sqlite:{tmp_path / 'again'}") as again:
            assert again.replica_id == graph.replica_id
            assert again.status().writer != writer
            again.commit(message="after the loss", ref="main")
            again.flush()
            for a, b in ((again, peer), (peer, again)):
                for delta in a.deltas("ledger", b.state_vector("ledger")):
                    b.receive("ledger", delta.update)
            assert len(again) == len(peer) == 3
            assert again.digest() == peer.digest()


def test_a_part_of_a_backup_is_refused_at_every_length(data: bytes, tmp_path: Path) -> None:
    lengths = [*range(200), *range(200, len(data), 97), *range(len(data) - 60, len(data))]
    for length in lengths:
        with as_file(data[:length]) as file, pytest.raises(BackupError) as caught:
            restore(file, f"sqlite:{tmp_path / 'store'}")
        assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_any_flipped_bit_and_anything_behind_the_end_is_refused(data: bytes) -> None:
    for offset in [*range(200), *range(200, len(data), 53), *range(len(data) - 60, len(data))]:
        damaged = bytearray(data)
        damaged[offset] ^= 0x11
        with as_file(bytes(damaged)) as file, pytest.raises((BackupError, StoreVersionError)):
            check_backup(file)
    with as_file(data + b"\0") as file, pytest.raises(BackupError, match="follow"):
        check_backup(file)
    with as_file(data) as file:
        check_backup(file)


def test_lengths_beyond_the_file_allocate_nothing(data: bytes) -> None:
    (header,) = struct.unpack(">I", data[len(MAGIC) : len(MAGIC) + 4])
    start = len(MAGIC) + 4 + header
    for entry in (
        struct.pack(">BII", 0, 1, 0xFFFFFFFF),
        struct.pack(">BII", 0, 0xFFFFFFFF, 1),
        struct.pack(">BII", 99, 1, 1),
    ):
        with as_file(data[:start] + entry + data[start:]) as file, pytest.raises(BackupError):
            check_backup(file)


def test_a_newer_backup_says_so(data: bytes) -> None:
    for old, new in ((b'"format": 2', b'"format": 9'), (b'"strays"', b'"future"')):
        with as_file(data.replace(old, new, 1)) as file, pytest.raises(StoreVersionError) as caught:
            check_backup(file)
        assert "upgrade" in caught.value.hint


def test_a_store_without_a_replica_is_no_thing_to_back_up(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    with pytest.raises(CorruptError, match="no replica"):
        write_backup(store, io.BytesIO())
    store.close()


def test_a_backup_beside_a_writer_is_of_one_moment(tmp_path: Path) -> None:
    for kind in KINDS:
        url = f"{kind}:{tmp_path / kind}"
        with crdtgraph.open(url) as graph:
            graph.commit(message="before", ref="main")
            digest = graph.digest()
            store = open_store(url, read_only=True)
            for n in range(20):
                graph.commit(message=f"after {n}", ref="main")
            out = io.BytesIO()
            write_backup(store, out)
            store.close()
        with as_file(out.getvalue()) as file:
            restore(file, f"sqlite:{tmp_path / kind}.restored")
        assert digest_of(f"sqlite:{tmp_path / kind}.restored") == digest


# Migrations


@every_way
def test_a_replica_moves_and_moves_back_with_what_it_said_since(tmp_path: Path, source: str, target: str) -> None:
    old, new = f"{source}:{tmp_path / 'old'}", f"{target}:{tmp_path / 'new'}"
    with crdtgraph.open(old) as graph:
        graph.commit(message="start", changes={"path": bytes(range(256)) * 300}, ref="main")
        replica = graph.replica_id
    before = digest_of(old)
    with migrated(old, new) as moved:
        with pytest.raises(StoreLockedError):
            open_store(old)
        assert moved.digest == before == digest_of(new)
        assert moved.source == old
        assert moved.target == new
    with crdtgraph.open(new, create=False) as graph:
        assert graph.replica_id == replica
        graph.commit(message="since", ref="main")
    after = digest_of(new)
    with taken_back(old, new) as moved:
        assert moved.copied
    assert digest_of(old) == after
    with crdtgraph.open(old, create=False) as graph:
        assert graph.replica_id == replica
        assert len(graph) == 2
    # The old store was opened to write, so it is copied over the other way again only if that changed anything.
    with taken_back(old, new) as moved:
        assert moved.digest == after
    assert {each.name for each in tmp_path.iterdir()} <= {
        f"{name}{suffix}" for name in ("old", "new") for suffix in ("", ".lock", "-wal", "-shm")
    }


def test_going_back_at_once_copies_nothing(tmp_path: Path) -> None:
    old, new = str(tmp_path / "old"), f"sqlite:{tmp_path / 'new'}"
    crdtgraph.open(old).close()
    with migrated(old, new):
        pass
    with taken_back(old, new) as moved:
        assert not moved.copied


def test_a_migration_is_refused_where_something_is_or_while_a_process_writes(tmp_path: Path) -> None:
    old, new = str(tmp_path / "old"), f"sqlite:{tmp_path / 'new'}"
    with crdtgraph.open(old) as graph:
        graph.commit(message="start", ref="main")
        with pytest.raises(StoreLockedError) as caught, migrated(old, new):
            pytest.fail("the block was entered")
        assert "stop that process" in caught.value.hint
        crdtgraph.open(f"sqlite:{tmp_path / 'taken'}").close()
    with pytest.raises(LocalError, match="not empty"), migrated(old, f"sqlite:{tmp_path / 'taken'}"):
        pytest.fail("the block was entered")
    assert not os.path.exists(tmp_path / "new")


@every_way
def test_a_migration_that_was_stopped_before_the_switch_goes_on_with_its_copy(
    tmp_path: Path, source: str, target: str
) -> None:
    old, new = f"{source}:{tmp_path / 'old'}", f"{target}:{tmp_path / 'new'}"
    with crdtgraph.open(old) as graph:
        graph.commit(message="start", ref="main")
    with pytest.raises(ZeroDivisionError), migrated(old, new):
        raise ZeroDivisionError
    with migrated(old, new) as moved:
        assert not moved.copied
        assert moved.digest == digest_of(old) == digest_of(new)
    # With one more commit on either side the two are no longer equal.
    for url in (new, old):
        with crdtgraph.open(url) as graph:
            graph.commit(message="more", ref="main")
        with pytest.raises(LocalError, match="not empty"), migrated(old, new):
            pytest.fail("the block was entered")


@every_way
def test_a_rollback_never_throws_away_what_was_said_to_the_old_store(tmp_path: Path, source: str, target: str) -> None:
    old, new = f"{source}:{tmp_path / 'old'}", f"{target}:{tmp_path / 'new'}"
    with crdtgraph.open(old) as graph:
        graph.commit(message="start", ref="main")
    with migrated(old, new):
        pass
    with crdtgraph.open(new) as graph:
        graph.commit(message="as it should be", ref="main")
    with crdtgraph.open(old) as graph:
        graph.commit(message="by mistake", ref="main")
    before = digest_of(old)
    with pytest.raises(LocalError, match="lacks") as caught, taken_back(old, new):
        pytest.fail("the block was entered")
    assert "converge" in caught.value.hint
    assert digest_of(old) == before


def test_a_rollback_never_replaces_another_replica(tmp_path: Path) -> None:
    other, new = str(tmp_path / "other"), f"sqlite:{tmp_path / 'new'}"
    for url in (other, new):
        with crdtgraph.open(url) as graph:
            graph.commit(message=url, ref="main")
    before = digest_of(other)
    with pytest.raises(LocalError, match="replica"), taken_back(other, new):
        pytest.fail("the block was entered")
    assert digest_of(other) == before


def test_a_copy_with_another_digest_is_no_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = str(tmp_path / "old"), f"sqlite:{tmp_path / 'new'}"
    crdtgraph.open(old).close()
    digests = iter([b"a" * 32, b"b" * 32])
    monkeypatch.setattr("crdtgraph.migration.digest_of", lambda _: next(digests))
    with pytest.raises(CorruptError, match="digest"), migrated(old, new):
        pytest.fail("the block was entered")
    assert [each.name for each in tmp_path.iterdir()] == ["old"]


def test_who_a_replica_is_can_be_read_without_opening_its_graph(tmp_path: Path) -> None:
    with crdtgraph.open(f"sqlite:{tmp_path / 'store'}") as graph:
        assert replica_of(graph.store) == graph.replica_id.hex()
        assert sum_of(graph.store).entries >= 2
    store = open_store("memory:")
    batch = Batch()
    batch.put(Keyspace.META, b"replica-seed", b"short")
    store.write(batch, sync=False)
    with pytest.raises(CorruptError):
        replica_of(store)
