"""How records get to the store. This one is a SQLite file with documents: put your client in its place."""

import sqlite3
from typing import Any

import msgspec
from singerkit import BatchSink

as_json = msgspec.json.Encoder(decimal_format="number").encode  # every digit of a decimal


class DocumentSink(BatchSink):
    """Stores each record as a document, under its key if the stream has one."""

    exact_numbers = True  # decimals, not floats
    parse_datetimes = False  # instants stay the text that they came as

    def setup(self) -> None:
        """Open the store; batches come from different threads, one at a time."""
        self.store = sqlite3.connect(self.config["file"], check_same_thread=False, timeout=30)
        self.store.execute("CREATE TABLE IF NOT EXISTS documents (stream, key, document, PRIMARY KEY (stream, key))")

    def process_batch(self, context: dict[str, Any]) -> None:
        """Store a batch: when this returns it has to be durable, and it must not matter if it comes again."""
        rows = [(self.stream_name, self._key(record), as_json(record)) for record in context["records"]]
        with self.store:
            self.store.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", rows)

    def clean_up(self) -> None:
        """Close the store."""
        self.store.close()

    def _key(self, record: dict[str, Any]) -> bytes | None:
        return as_json([record[name] for name in self.key_properties]) if self.key_properties else None
