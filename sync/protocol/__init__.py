"""The protocol between nodes, sans-IO: bytes and events in, bytes and events out; the time and dice are arguments.

Nothing here knows trio, sockets, threads or a clock, and nothing here imports what is around it: `tests/test_layers.py`
reads that.
"""
