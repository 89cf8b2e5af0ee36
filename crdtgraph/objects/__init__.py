"""Large values: objects named by their content, kept in blocks beside the commits that name them."""

from crdtgraph.objects.collecting import Collected, Fold, collect_steps, mark_steps
from crdtgraph.objects.format import (
    BLOCK_BYTES_MAX,
    CHUNK_BYTES,
    HASH_BYTES,
    INLINE_BYTES_MAX,
    OBJECT_BYTES_MAX,
    Builder,
    ObjectCorruptError,
    ObjectMissingError,
    RemoteObjectError,
    Root,
    chunks_of,
    hash_of,
    hashes_in,
    read_root,
    reference_of,
)
from crdtgraph.objects.store import ObjectStore

__all__ = [
    "BLOCK_BYTES_MAX",
    "CHUNK_BYTES",
    "HASH_BYTES",
    "INLINE_BYTES_MAX",
    "OBJECT_BYTES_MAX",
    "Builder",
    "Collected",
    "Fold",
    "ObjectCorruptError",
    "ObjectMissingError",
    "ObjectStore",
    "RemoteObjectError",
    "Root",
    "chunks_of",
    "collect_steps",
    "hash_of",
    "hashes_in",
    "mark_steps",
    "read_root",
    "reference_of",
]
