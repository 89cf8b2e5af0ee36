"""What cannot be imported: repositories that are none, are incomplete or damaged, and what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from crdtgraph.errors import NotFoundError
from crdtgraph.gitbridge import GitHistoryError, GitObjectError, import_git
from crdtgraph.gitbridge import importer as importer_module
from crdtgraph.gitbridge.history import GitHistory
from tests.crdtgraph.gitbridge.repositories import DictionaryGraph, GitRepository


def test_a_path_without_a_repository_is_named(tmp_path: Path, graph: DictionaryGraph) -> None:
    with pytest.raises(NotFoundError, match="is not a git repository") as missing:
        import_git(tmp_path / "nowhere", graph)
    assert "git -C" in missing.value.hint
    with pytest.raises(NotFoundError) as remote:
        import_git("https://example.invalid/x.git", graph)
    assert remote.value.hint == "clone it first: git clone https://example.invalid/x.git"


def test_an_empty_repository_says_so(repository: GitRepository, graph: DictionaryGraph) -> None:
    with pytest.raises(GitHistoryError, match="has no commits"):
        import_git(repository.path, graph)


def test_a_shallow_clone_is_refused_as_its_ids_would_be_wrong(
    repository: GitRepository, tmp_path: Path, graph: DictionaryGraph
) -> None:
    for number in range(3):
        repository.commit(str(number))
    shallow = tmp_path / "shallow"
    repository.git("clone", "--quiet", "--depth=1", f"file://{repository.path}", str(shallow))
    with pytest.raises(GitHistoryError, match="shallow") as refused:
        import_git(shallow, graph)
    assert "fetch --unshallow" in refused.value.hint
    assert graph.commits == {}


def test_grafts_are_refused_as_its_ids_would_be_wrong(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    second = repository.commit("second")
    (repository.path / ".git" / "info" / "grafts").write_text(second + "\n")
    with pytest.raises(GitHistoryError, match="grafts"):
        import_git(repository.path, graph)


@pytest.mark.parametrize("extension", [False, True])
def test_a_partial_clone_can_be_imported_without_its_trees(
    repository: GitRepository, tmp_path: Path, graph: DictionaryGraph, extension: bool
) -> None:
    repository.commit("root", {"a": b"x"})
    repository.git("config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial.git"
    repository.git("clone", "--quiet", "--bare", "--filter=tree:0", f"file://{repository.path}", str(partial))
    if extension:
        repository.git("-C", str(partial), "config", "extensions.partialClone", "origin")
    with pytest.raises(GitObjectError, match="is missing") as refused:
        import_git(partial, graph, trees=True)
    assert "without trees" in refused.value.hint
    assert import_git(partial, graph).commits_added == 1


def test_a_missing_commit_is_named(repository: GitRepository, graph: DictionaryGraph) -> None:
    lost = repository.commit("root")
    repository.commit("second")
    (repository.path / ".git" / "objects" / lost[:2] / lost[2:]).unlink()
    with pytest.raises(GitObjectError, match=lost) as refused:
        import_git(repository.path, graph)
    assert "fsck" in refused.value.hint


def test_a_ref_to_a_missing_commit_is_an_error(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    (repository.path / ".git" / "refs" / "heads" / "broken").write_text("12" * 20 + "\n")
    with pytest.raises(GitObjectError, match="12" * 20):
        import_git(repository.path, graph)


def test_a_commit_that_libgit2_cannot_parse_is_named(repository: GitRepository, graph: DictionaryGraph) -> None:
    tree = repository.git("hash-object", "-t", "tree", "-w", "--stdin")
    raw = f"tree {tree}\nauthor nobody\ncommitter A <a@b> 1 +0000\n\nx\n".encode()
    odd = repository.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=raw)
    repository.git("update-ref", "refs/heads/main", repository.write_commit(odd))
    with pytest.raises(GitObjectError, match=f"{odd} .* cannot be read") as refused:
        import_git(repository.path, graph)
    assert "fsck" in refused.value.hint


def test_sha256_repositories_are_refused_with_the_reason(tmp_path: Path, graph: DictionaryGraph) -> None:
    repository = GitRepository(tmp_path / "sha256", "--object-format=sha256")
    with pytest.raises(GitHistoryError) as refused:
        import_git(repository.path, graph)
    assert "SHA-1" in refused.value.hint


def test_an_octopus_with_too_many_arms_is_refused(
    repository: GitRepository, graph: DictionaryGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer_module, "PARENTS_MAX", 2)
    arms = [repository.write_commit(message=str(number).encode()) for number in range(3)]
    repository.git("update-ref", "refs/heads/main", repository.write_commit(*arms))
    with pytest.raises(GitHistoryError, match="3 parents"):
        import_git(repository.path, graph)


def test_a_repository_opened_for_reading_is_left_as_it_was(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    folder = repository.path / ".git"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    import_git(repository.path, graph)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert GitHistory.open(repository.path).path == str(repository.path)
