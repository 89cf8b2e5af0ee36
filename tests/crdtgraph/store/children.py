"""What the child processes of the store's tests do: `python children.py TASK URL [ARGUMENT...]`.

Each line a child prints is a promise that the parent checks after having killed it.
"""

import resource
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from crdtgraph.errors import StoreError
from crdtgraph.store import Batch, Keyspace, open_store


def say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def numbered(n: int) -> Batch:
    """One batch that spans the keyspaces, recognisable by its number; big enough to be torn."""
    batch = Batch()
    for keyspace in (Keyspace.LOG, Keyspace.SNAPSHOT):
        for part in range(4):
            batch.put(keyspace, b"%08d-%d" % (n, part), b"%08d" % n * 2000)
    return batch


def append(url: str, mode: str) -> None:
    """Write numbered batches for ever; print each number once it was promised to be durable."""
    store = open_store(url)
    n = sum(1 for _ in store.scan(Keyspace.LOG)) // 4
    while True:
        store.write(numbered(n), sync=mode == "write")
        if mode == "sync" and n % 10 == 9:
            store.sync()
        if mode == "write" or n % 10 == 9:
            say(n)
        n += 1


def churn(url: str) -> None:
    """For each line of input overwrite the same few keys, the same in two keyspaces, until a table is full."""
    store = open_store(url)
    n = 0
    say(-1)
    for _ in sys.stdin:
        for _ in range(110):
            batch = Batch()
            for keyspace in (Keyspace.LOG, Keyspace.SNAPSHOT):
                batch.put(keyspace, b"%02d" % (n % 20), b"%08d" % n * 10_000)
            store.write(batch, sync=False)
            n += 1
        say(n - 1)


def create(url: str) -> None:
    """Create a store."""
    open_store(url)
    say("created")
    signal.pause()


def hold(url: str) -> None:
    """Have the store open until killed."""
    store = open_store(url)
    store.write(numbered(0), sync=False)
    say("open")
    signal.pause()


def fill(url: str, limit: str) -> None:
    """Write until no file may grow any more, as on a full disk; then see what still works."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = open_store(url)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    n = 0
    try:
        while n < 10_000:
            store.write(numbered(n), sync=True)
            n += 1
    except StoreError as error:
        say(f"{type(error).__name__}: {error} | {error.hint}")
    say(n)
    for again in (n, n + 1):
        try:
            store.write(numbered(again), sync=True)
        except StoreError as error:
            say(f"{type(error).__name__}: {error}")
    try:
        store.reopen()
        say("reopened without room")
    except StoreError as error:
        say(f"{type(error).__name__}: {error}")
    say(sum(1 for _ in store.scan(Keyspace.LOG)))
    say(store.get(Keyspace.LOG, b"%08d-0" % (n - 1)) == b"%08d" % (n - 1) * 2000)
    try:
        store.close()
        say("closed")
    except StoreError as error:
        say(f"{type(error).__name__}: {error}")


def refill(url: str, limit: str) -> None:
    """Write until no file may grow any more, then make room and go on, without letting go of the store."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = open_store(url)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    n = 0
    try:
        while n < 10_000:
            store.write(numbered(n), sync=n % 3 == 0)
            n += 1
    except StoreError:
        say(n)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for _ in range(2):
        store.reopen()
    for more in range(n, n + 10):
        store.write(numbered(more), sync=False)
    store.sync()
    say("went on")
    signal.pause()


if __name__ == "__main__":
    tasks = {"append": append, "churn": churn, "create": create, "hold": hold, "fill": fill, "refill": refill}
    tasks[sys.argv[1]](*sys.argv[2:])
