"""Ed25519 keys of replicas: whose segment this is, and that nobody changed it.

RFC 8032 through the `cryptography` package. A replica's private key is a 32-byte seed that never leaves its store.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from crdtgraph.ids import INCARNATION_BYTES, ReplicaId, replica_id, writer_id

SEED_BYTES = 32
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64


class Identity:
    """One incarnation of a replica: its key and the writer number it signs under.

    `seed` is the replica's 32 secret bytes, `incarnation` 16 fresh random ones.
    """

    __slots__ = ("_key", "incarnation", "public_key", "replica_id", "writer")

    def __init__(self, seed: bytes, incarnation: bytes) -> None:
        if len(seed) != SEED_BYTES or len(incarnation) != INCARNATION_BYTES:
            raise ValueError(f"a seed has {SEED_BYTES} bytes and an incarnation {INCARNATION_BYTES}")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.incarnation = incarnation
        self.public_key = self._key.public_key().public_bytes_raw()
        self.replica_id: ReplicaId = replica_id(self.public_key)
        self.writer = writer_id(self.public_key, incarnation)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`; about 50 us."""
        return self._key.sign(message)


def verify(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is that key's over `message`; about 100 us. False for malformed keys too."""
    try:
        _loaded(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=1024)
def _loaded(public_key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public_key)
