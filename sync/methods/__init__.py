"""What can be asked of a graph and of a node, as one table: name -> handler.

Parameters and answers are plain values (see `Plain`): ids and digests are byte strings, records are tables. A commit is
named by its id or by a text to resolve. docs/protocol.md lists the methods.
"""

from sync.methods.table import handler_of, methods, methods_for_workers
from sync.methods.target import Handler, Parts, Target

__all__ = ["Handler", "Parts", "Target", "handler_of", "methods", "methods_for_workers"]
