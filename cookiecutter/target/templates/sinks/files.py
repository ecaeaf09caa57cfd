"""How a batch of records becomes a file."""

import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from singerkit import BatchSink

as_json = msgspec.json.Encoder(decimal_format="number").encode  # every digit of a decimal


class FolderSink(BatchSink):
    """A folder for each stream, a file of JSON lines for each batch."""

    exact_numbers = True  # decimals, not floats
    parse_datetimes = False  # instants stay the text that they came as

    def setup(self) -> None:
        """Make the folder; a stream's name is quoted, so that it can't lead to another place."""
        name = quote(self.stream_name, safe="").replace(".", "%2E")
        self.folder = Path(self.config["folder"]) / name
        self.folder.mkdir(parents=True, exist_ok=True)

    def process_batch(self, context: dict[str, Any]) -> None:
        """Write the batch: the file has its name when all of it is on the disk, so none is ever half there."""
        path = self.folder / f"{time.time_ns()}-{os.getpid()}.jsonl"
        draft = path.with_suffix(".draft")
        with draft.open("wb") as file:
            file.writelines(as_json(record) + b"\n" for record in context["records"])
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
