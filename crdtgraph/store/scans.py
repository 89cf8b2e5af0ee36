"""One run over a keyspace of a store in SQLite, with a connection of its own for as long as it lasts."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from crdtgraph.store.database import translate

if TYPE_CHECKING:
    from crdtgraph.store.base import Keyspace
    from crdtgraph.store.sqlite import SqliteStore


class SqliteScan:
    """One ascending run over the keys of a prefix, as of the moment at which it was made."""

    __slots__ = ("__weakref__", "cursor", "keyspace", "store")

    def __init__(self, store: SqliteStore, keyspace: Keyspace, cursor: sqlite3.Cursor) -> None:
        self.store = store
        self.keyspace = keyspace
        self.cursor: sqlite3.Cursor | None = cursor

    def __iter__(self) -> SqliteScan:
        return self

    def __next__(self) -> tuple[bytes, bytes]:
        store = self.store
        with store._using:
            store._open_connection()
            if self.cursor is None:
                raise StopIteration
            try:
                row = self.cursor.fetchone()
            except sqlite3.Error as error:
                self.end()
                raise translate(error, store._url, "can't be read") from error
            if row is None:
                self.end()
                raise StopIteration
            key, value, expected = row
            return key, store._checked(self.keyspace, key, value, expected)

    def __del__(self) -> None:
        self.end()

    def end(self) -> None:
        """Give the connection back, and with it the moment."""
        cursor, self.cursor = self.cursor, None
        if cursor is not None:
            reader = cursor.connection
            cursor.close()
            self.store._give_back(reader)
