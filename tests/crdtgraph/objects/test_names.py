"""An object is named by its bytes, however they come; roots that are none are refused."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph import LocalError
from crdtgraph.objects import (
    CHUNK_BYTES,
    OBJECT_BYTES_MAX,
    ObjectStore,
    RemoteObjectError,
    Root,
    format,
    read_root,
    reference_of,
)
from crdtgraph.store import open_store
from tests.crdtgraph.objects.test_objects import names_of

PINNED_EMPTY = "15d72e3cef9708106651e38e5c300c0a1be9e9e59803574b775fb3eac1904b50"


PINNED = "4506b25ba643fd72e276467eb96d1356d3b30df4d6d08fc6e073c1bbc1c37bba"


def test_the_name_of_an_object_is_pinned() -> None:
    # What other replicas hold under these names stays there for ever.
    assert reference_of(b"").digest.hex() == PINNED_EMPTY
    assert reference_of(bytes(range(256)) * 1024).digest.hex() == PINNED


@given(st.binary(max_size=64 * 9), st.lists(st.integers(0, 130), max_size=12))
def test_an_object_is_named_by_its_bytes_however_they_come(data: bytes, cuts: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(format, "CHUNK_BYTES", 64)
        patch.setattr(format, "FANOUT", 3)
        pieces, at = [], 0
        for cut in cuts:
            pieces.append(data[at : at + cut])
            at += cut
        pieces.append(data[at:])
        objects = ObjectStore(open_store("memory:"))
        references = {objects.put(data), objects.put(iter(pieces)), objects.put(io.BytesIO(data)), reference_of(data)}
        assert len(references) == 1
        [reference] = references
        assert objects.get(reference) == data
        assert reference.size == len(data)


def test_a_tree_of_two_levels_lists_its_lists(small_blocks: None) -> None:
    objects = ObjectStore(open_store("memory:"))
    data = bytes(range(4)) * 50
    reference = objects.put(data)
    root = read_root(objects.block(reference.digest) or b"")
    assert root.has_lists
    assert (root.size, root.chunks, len(root.hashes)) == (200, 4, 2)
    assert objects.get(reference) == data
    assert sorted(set(objects.blocks_of(reference.digest))) == sorted(set(names_of(data)))


def test_a_root_is_refused_cut_short_or_with_anything_more() -> None:
    data = Root(CHUNK_BYTES + 1, (bytes(32), bytes(32))).encode()
    assert read_root(data).size == CHUNK_BYTES + 1
    for end in range(len(data)):
        with pytest.raises(RemoteObjectError):
            read_root(data[:end])
    with pytest.raises(RemoteObjectError):
        read_root(data + b"\0")


@pytest.mark.parametrize(
    "root",
    [
        Root(CHUNK_BYTES, (bytes(32), bytes(32))),
        Root(CHUNK_BYTES + 1, (bytes(32),)),
        Root(0, (bytes(32),)),
        Root(1, (bytes(31),)),
        Root(OBJECT_BYTES_MAX + 1, ()),
    ],
)
def test_a_root_whose_size_does_not_fit_its_hashes_is_refused(root: Root) -> None:
    with pytest.raises(RemoteObjectError):
        read_root(root.encode())


def test_an_object_that_is_too_large_is_refused(small_blocks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(format, "OBJECT_BYTES_MAX", 256)
    with pytest.raises(LocalError, match="at most 256"):
        reference_of(bytes(257))
