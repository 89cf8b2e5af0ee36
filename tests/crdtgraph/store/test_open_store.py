"""Which store a URL names, and what is said when it names none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crdtgraph.errors import LocalError, NotAStoreError, StoreError
from crdtgraph.store import Batch, Keyspace, open_store
from crdtgraph.store.naming import absolute_url, control_path, is_control_name, path_of, store_path_of_control


def test_a_bare_path_is_rocksdb_and_the_url_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [
        "graph.db",
        "./graph.db",
        str(tmp_path / "graph.db"),
        "rocksdb:graph.db",
        f"rocksdb://{tmp_path}/graph.db",
    ]:
        store = open_store(name)
        assert store.url == f"rocksdb:{tmp_path}/graph.db"
        store.close()
    store = open_store(Path("deep/er/graph.db"))
    assert store.url == f"rocksdb:{tmp_path}/deep/er/graph.db"
    monkeypatch.chdir("/")
    store.write(Batch(), sync=True)
    store.close()
    open_store(f"{tmp_path}/a:b").close()


def test_a_file_of_sqlite_is_named_by_its_scheme_and_the_url_is_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ["sqlite:a graph?#%41.db", "sqlite:./a graph?#%41.db", f"sqlite://{tmp_path}/a graph?#%41.db"]:
        store = open_store(name)
        assert store.url == f"sqlite:{tmp_path}/a graph?#%41.db" == absolute_url(name)
        store.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a graph?#%41.db", "a graph?#%41.db.lock"]


def test_a_private_memory_store_is_always_fresh() -> None:
    first, second = open_store("memory:"), open_store("memory:")
    batch = Batch()
    batch.put(Keyspace.LOG, b"k", b"v")
    first.write(batch, sync=False)
    assert second.get(Keyspace.LOG, b"k") is None
    first.close()
    second.close()
    with pytest.raises(NotAStoreError):
        open_store("memory:", create=False)


@pytest.mark.parametrize(
    "url",
    ["mysql:x", "SQLITE:x", "Memory:", "http://host/x", "sqlite:", "sqlite://", "", "rocksdb:", "rocksdb://", "a\0b"],
)
def test_a_url_that_names_no_store(url: str) -> None:
    with pytest.raises(LocalError) as caught:
        open_store(url)
    assert "rocksdb:" in caught.value.hint


def test_importing_the_package_loads_no_engine() -> None:
    code = "import sys; from crdtgraph.store import open_store; open_store('memory:').close()"
    code += "; sys.exit('rocksdict' in sys.modules or 'sqlite3' in sys.modules)"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=root).returncode == 0


@pytest.mark.parametrize(
    "url, path, control",
    [
        ("a/b", "a/b", "a/b/control"),
        ("rocksdb://a", "a", "a/control"),
        ("sqlite:a/b.db", "a/b.db", "a/b.db.control"),
        ("memory:", None, None),
        ("mysql:x", None, None),
    ],
)
def test_where_a_node_has_its_control_socket(url: str, path: str | None, control: str | None) -> None:
    assert path_of(url) == path
    assert control_path(url) == control
    if control is not None:
        assert is_control_name(control)
        assert store_path_of_control(control) == path
    assert not is_control_name("a/b.db")
    assert not is_control_name("a/.control")


def test_a_path_that_cannot_be_encoded(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        open_store(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))


@pytest.mark.parametrize("kind", ["rocksdb", "sqlite"])
def test_a_path_that_cannot_be_made(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("")
    for name in ["file/below", "x" * 300]:
        with pytest.raises(StoreError) as caught:
            open_store(f"{kind}:{tmp_path / name}")
        assert str(tmp_path) in str(caught.value)
