"""All methods: the tables of the modules beside this one, joined."""

from __future__ import annotations

from collections.abc import Mapping

from sync.methods import clustering, exchanging, forensics, reading, running, selecting, writing
from sync.methods.target import Handler

METHODS: Mapping[str, Handler] = {
    **reading.TABLE,
    **writing.TABLE,
    **running.TABLE,
    **clustering.TABLE,
    **selecting.TABLE,
    **exchanging.TABLE,
    **forensics.TABLE,
}
