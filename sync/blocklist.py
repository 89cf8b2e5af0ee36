"""Peers that the operator does not want to talk to: by replica id or by address."""

from __future__ import annotations

from crdtgraph.errors import LocalError, NotFoundError
from crdtgraph.ids import REPLICA_ID_BYTES, ReplicaId
from sync.protocol.messages import Hello
from sync.transport import Address

DIGITS_MIN = 4
"""Of a replica's id, so that a slip of the finger does not block half of a cluster."""
ENTRIES_MAX = 1 << 10
"""More would be a job for a firewall."""


class Blocklist:
    """Entries are beginnings of replica ids in hex, and addresses as text."""

    def __init__(self) -> None:
        self._entries: dict[str, None] = {}
        self.named: dict[str, str] = {}
        """Of entries that were given by the name of a peer: name and entry. A name is unknown once its peer is gone."""

    @property
    def entries(self) -> tuple[str, ...]:
        """In the order in which they were added."""
        return tuple(self._entries)

    def add(self, peer: str) -> None:
        """Block a peer; raises LocalError when the text names none."""
        if len(self._entries) >= ENTRIES_MAX:
            raise LocalError(f"{ENTRIES_MAX} peers are blocked already", hint="unblock some")
        self._entries[_entry(peer)] = None

    def remove(self, peer: str) -> None:
        """Take it back, in the words in which it was added; raises NotFoundError."""
        entry = _entry(peer)
        if entry not in self._entries:
            raise NotFoundError(f"{peer!r} is not blocked", hint=f"blocked: {', '.join(self._entries) or 'nobody'}")
        del self._entries[entry]

    def covers(self, replica: ReplicaId | None, address: Address | None, listens: tuple[str, ...] = ()) -> bool:
        """Whether a peer is blocked: by its id, by the address that was dialled, or by one that it listens on."""
        if address is not None and address.text in self._entries:
            return True
        if any(each in self._entries for each in listens):
            return True
        return replica is not None and any(replica.hex().startswith(entry) for entry in self._entries)

    def covers_peer(self, hello: Hello | None, address: Address | None) -> bool:
        """The same, of a peer that said who it is, or has not said so yet."""
        return self.covers(None, address) if hello is None else self.covers(hello.replica, address, hello.addresses)


def _entry(peer: str) -> str:
    if ":" in peer:
        return Address.parse(peer).text
    entry = peer.lower()
    if not DIGITS_MIN <= len(entry) <= 2 * REPLICA_ID_BYTES or not set(entry) <= set("0123456789abcdef"):
        raise LocalError(
            f"{peer!r} names no peer",
            hint=f"give HOST:PORT or the first {DIGITS_MIN} or more digits of a replica's id, see `crdtgraph peers`",
        )
    return entry
