"""Bounds that the graph and those who carry its segments share."""

DELTA_BYTES_MAX = 64 << 10
"""A delta grows to about this size, or to that of one segment: what fits a socket's buffers, so that the next is made
while this one travels and is folded, and what a slow link does not lose much of with a connection."""

CHECKPOINT_WEIGHT_MIN = 16_384
"""So many small commits have to be new before a program that runs writes a checkpoint: folded in 80 ms, and seldom
enough that it delays few calls."""

CACHE_BYTES_MAX = 32 << 20
"""The states that were read lately take so much memory, by default."""
