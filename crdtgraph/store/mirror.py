"""A folder that may be read only, as an engine wants it that writes to every folder.

rocksdict rewrites a small file of its own (`rocksdict-config.json`) whenever a database is opened, also to read it, and
RocksDB starts a text log. On a disk that is mounted to read only, or in somebody else's folder, that is refused, and
with it the opening. So there the engine is shown a temporary folder with a link to each file. It opens all tables at
once and reads the logs into memory, so the links may go when it is open.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CONFIG = "rocksdict-config.json"
_READ = re.compile(r"CURRENT|IDENTITY|MANIFEST-\d+|OPTIONS-\d+|\d{6,}\.(log|sst|blob)")
"""What an engine only reads when it is opened to read."""


def is_writable(folder: Path) -> bool:
    """Whether the engine may write what it writes even when it only reads."""
    config = folder / _CONFIG
    return os.access(config if config.exists() else folder, os.W_OK)


@contextmanager
def mirrored(folder: Path) -> Iterator[Path]:
    """A folder with a link to each file of the database. It is gone when the block ends. Raises OSError."""
    # Few stores are read like this, and what these bring along costs every command 4 ms of its start.
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory(prefix="crdtgraph-") as name:
        mirror = Path(name)
        for entry in os.scandir(folder):
            if _READ.fullmatch(entry.name):
                os.symlink(entry.path, mirror / entry.name)
        if (folder / _CONFIG).exists():
            shutil.copyfile(folder / _CONFIG, mirror / _CONFIG)
        yield mirror
