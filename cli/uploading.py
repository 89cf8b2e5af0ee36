"""Large files on their way into a graph: in blocks, so that neither memory nor one request has to hold them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.context import Backend
    from sync.protocol.calls import Plain

CALL_BLOCKS = 16
"""1 MiB in one request. A file that is smaller goes in the commit itself, and becomes an object there if need be."""


def uploaded(backend: Backend, file: str) -> Plain:
    """The value that a commit is given for a file ("-": standard input): its bytes, or an object that was put."""
    from crdtgraph.objects import CHUNK_BYTES

    with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as source:
        beginning = source.read(CALL_BLOCKS * CHUNK_BYTES)
        if len(beginning) < CALL_BLOCKS * CHUNK_BYTES:
            return beginning
        rest = iter(lambda: source.read(len(beginning)), b"")
        return put_object(backend, chain([beginning], rest))


def put_object(backend: Backend, pieces: Iterable[bytes]) -> Plain:
    """Put the pieces of one value as an object; what a commit is given for it."""
    from crdtgraph.objects import Builder, chunks_of

    builder = Builder()
    blocks: list[Plain] = []
    for chunk in chunks_of(pieces):
        blocks += [block for _, block in builder.add(chunk)]
        if len(blocks) >= CALL_BLOCKS:
            backend.call("object_put", blocks=blocks)
            blocks = []
    reference, made = builder.finish()
    backend.call("object_put", blocks=[*blocks, *(block for _, block in made)])
    [value] = [part for part in backend.stream("object_finish", digest=reference.digest) if part is not None]
    return value
