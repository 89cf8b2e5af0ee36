"""Git repositories: real git history imported into a commit graph, and a graph exported as a real git repository.

`import_git` copies every commit that a ref or HEAD of a git repository reaches, with its parents in order,
and points the graph's refs where git's branches and tags point. What a commit becomes depends on the commit
alone, so two replicas that import the same repository make the same commits and their union holds each once.

`export_git` writes every commit and ref of a graph to a git repository. What git cannot hold goes along in places
that git passes over, so importing it again gives the very same commits, and in an empty store the same digest.

| file | concern |
| --- | --- |
| `importer.py` | what to import, in which order, and where refs go |
| `history.py` | commits and refs of a repository, through libgit2 |
| `changes.py` | what a commit changed, within the limits of a record |
| `target.py` | a `Graph` in this process as the place to import into |
| `texts.py` | git's bytes as text: messages and path names |
| `restoring.py` | importing what was exported |
| `exporter.py` `repository.py` | what to export, in which order, and to what repository |
| `identity.py` | a commit of the graph as a git commit, and back |
| `trees.py` `names.py` | states as trees, paths and refs as names that git takes |
| `ledger.py` | the segments beside the commits |
| `packs.py` `deltas.py` | git objects, written as packs |

What an import of git's own commits keeps: parents, the author's name, address and time, the message, and on request
the changed paths. What it does not: the committer, time zones, signatures, notes, reflogs and the index.
"""

from crdtgraph.gitbridge.exporter import ExportReport, export_git
from crdtgraph.gitbridge.history import GitHistoryError, GitObjectError
from crdtgraph.gitbridge.identity import RemoteIdentityError
from crdtgraph.gitbridge.importer import (
    ImportReport,
    ImportTarget,
    RefAction,
    RefMove,
    RefOutcome,
    import_git,
)
from crdtgraph.gitbridge.repository import GitTargetError
from crdtgraph.gitbridge.restoring import LedgerReport
from crdtgraph.gitbridge.target import GraphTarget

__all__ = [
    "ExportReport",
    "GitHistoryError",
    "GitObjectError",
    "GitTargetError",
    "GraphTarget",
    "ImportReport",
    "ImportTarget",
    "LedgerReport",
    "RefAction",
    "RefMove",
    "RefOutcome",
    "RemoteIdentityError",
    "export_git",
    "import_git",
]
