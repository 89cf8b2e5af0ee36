"""Methods about large values: given and taken in parts, listed, collected."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

from crdtgraph import LocalError, Reference
from crdtgraph.objects import BLOCK_BYTES_MAX, HASH_BYTES, hash_of
from crdtgraph.records import OBJECT_SCHEME
from sync.methods.target import Handler, Parts, Target
from sync.params import Params
from sync.plain import table, value_to_plain
from sync.protocol.calls import Plain
from sync.protocol.limits import CHUNK_ENTRIES

BLOCKS_PER_CALL_MAX = 64
"""4 MiB in one request."""
FETCH_TIMEOUT_S = 60.0
PART_CHUNKS = 16
"""1 MiB in one part of an answer."""


def _object_put(target: Target, params: Params) -> Plain:
    blocks = params.blobs("blocks", BLOCKS_PER_CALL_MAX)
    params.done()
    for block in blocks:
        if len(block) > BLOCK_BYTES_MAX:
            raise LocalError(f"a block of {len(block)} bytes; at most {BLOCK_BYTES_MAX} are possible")
        target.graph.objects.put_block(hash_of(block), block)
    return None


def _object_finish(target: Target, params: Params) -> Parts:
    digest = params.blob("digest")
    params.done()
    steps = target.graph.objects.finish_steps(digest)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            yield value_to_plain(done.value)
            return None
        yield None


def _object_read(target: Target, params: Params) -> Parts:
    reference = _reference(params)
    params.done()
    part: list[bytes] = []
    for chunk in target.graph.object_chunks(reference):
        part.append(chunk)
        if len(part) == PART_CHUNKS:
            yield b"".join(part)
            part = []
    if part:
        yield b"".join(part)
    return None


def _object_fetch(target: Target, params: Params) -> Awaitable[Plain]:
    reference, timeout_s = _reference(params), params.seconds("timeout_s", FETCH_TIMEOUT_S)
    params.done()
    return target.running().objects.fetch(reference, timeout_s)


def _object_list(target: Target, params: Params) -> Parts:
    params.done()
    objects = target.graph.objects
    part: list[Plain] = []
    for here, listed in ((True, objects.whole()), (False, objects.wanted())):
        for digest, size in listed:
            part.append([digest, size, here])
            if len(part) == CHUNK_ENTRIES:
                yield part
                part = []
    yield part
    return None


def _object_gc(target: Target, params: Params) -> Parts:
    dry_run = params.flag("dry_run")
    params.done()
    if target.graph.read_only and not dry_run:
        raise LocalError(f"{target.graph.url} is open for reading only")
    steps = target.graph.collect_steps(dry_run=dry_run)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            yield table(done.value)
            return None
        yield None


def _reference(params: Params) -> Reference:
    digest, size = params.blob("digest"), params.optional_integer("size", 0)
    if len(digest) != HASH_BYTES or size is None:
        raise LocalError(f"an object is named by {HASH_BYTES} bytes and a size")
    return Reference(OBJECT_SCHEME, digest, size)


TABLE: Mapping[str, Handler] = {
    "object_fetch": _object_fetch,
    "object_finish": _object_finish,
    "object_gc": _object_gc,
    "object_list": _object_list,
    "object_put": _object_put,
    "object_read": _object_read,
}
