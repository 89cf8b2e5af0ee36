"""Import of git histories: what a commit becomes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.gitbridge import import_git
from crdtgraph.gitbridge.texts import MESSAGE_BYTES_MAX, decode_message, decode_text
from crdtgraph.records import Commit
from tests.crdtgraph.gitbridge.repositories import SECONDS, DictionaryGraph, GitRepository


def test_a_commit_keeps_author_author_time_message_and_origin(
    repository: GitRepository, graph: DictionaryGraph
) -> None:
    oid = repository.commit("Subject\n\nBody with ümlaut")
    import_git(repository.path, graph)
    assert graph.ref("main") == Commit(
        parents=(),
        author="Ann Author <ann@example.invalid>",
        time=(SECONDS + 60) * 1_000_000,
        message="Subject\n\nBody with ümlaut\n",
        changes=(),
        origin=f"git:{oid}",
    )


def test_parents_of_a_merge_keep_their_order(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    arms = []
    for name in ("c", "a", "b"):
        repository.git("checkout", "--quiet", "-b", name, "main")
        arms.append(repository.commit(name, {name: b"x"}))
    repository.git("checkout", "--quiet", "main")
    repository.commit("ours", {"main": b"x"})
    ours = repository.head()
    repository.git("merge", "--quiet", "--no-ff", "-m", "octopus", "c", "a", "b")
    import_git(repository.path, graph)
    merge = graph.ref("main")
    assert [graph.commits[parent].origin for parent in merge.parents] == [f"git:{oid}" for oid in (ours, *arms)]


def test_a_parent_named_twice_counts_once(repository: GitRepository, graph: DictionaryGraph) -> None:
    root = repository.commit("root")
    twice = repository.write_commit(root, root)
    repository.git("update-ref", "refs/heads/twice", twice)
    import_git(repository.path, graph)
    assert len(graph.by_origin(twice).parents) == 1


@pytest.mark.parametrize(
    "header, message, text",
    [
        (b"encoding ISO-8859-1\n", b"caf\xe9\n", "café\n"),
        (b"encoding windows-1251\n", b"\xef\xf0\xe8\n", "при\n"),
        (b"", b"caf\xe9 noir\n", "caf\ufffd noir\n"),
        (b"encoding no-such-thing\n", "naïve\n".encode(), "naïve\n"),
        (b"encoding utf-7\n", b"+2AA-\n", "+2AA-\n"),
        (b"encoding unicode_escape\n", b"\\ud800\n", "\\ud800\n"),
    ],
)
def test_messages_are_read_by_their_encoding_header(
    repository: GitRepository, graph: DictionaryGraph, header: bytes, message: bytes, text: str
) -> None:
    oid = repository.write_commit(header=header, message=message)
    repository.git("update-ref", "refs/heads/odd", oid)
    import_git(repository.path, graph)
    assert graph.by_origin(oid).message == text
    graph.by_origin(oid).canonical()


@given(st.binary(max_size=40), st.sampled_from(["utf-8", "utf-7", "latin-1", "shift_jis", "euc-jp", "idna", "x"]))
def test_any_bytes_in_any_encoding_become_storable_text(data: bytes, encoding: str) -> None:
    decode_text(data, encoding).encode()


def test_an_endless_message_is_cut_with_a_mark() -> None:
    text = decode_message("é".encode() * MESSAGE_BYTES_MAX, None)
    assert MESSAGE_BYTES_MAX - 4 < len(text.encode()) <= MESSAGE_BYTES_MAX
    assert text.endswith("[cut: the message was longer]\n")
    exact = "x" * MESSAGE_BYTES_MAX
    assert decode_message(exact.encode(), None) == exact
