"""How a batch of records becomes a file."""

import json
import os
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

from singerkit import BatchSink


class FolderSink(BatchSink):
    """A folder for each stream, a file of JSON lines for each batch."""

    parse_datetimes = False  # instants stay the text that they came as

    def setup(self) -> None:
        """Make the folder; a stream's name is quoted, so that it can't lead to another place."""
        self.folder = Path(self.config["folder"]) / f"stream-{quote(self.stream_name, safe='')}"
        self.folder.mkdir(parents=True, exist_ok=True)

    def process_batch(self, context: dict[str, Any]) -> None:
        """Write the batch: the file has its name when all of it is on the disk, so none is ever half there."""
        path = self.folder / f"{uuid.uuid4().hex}.jsonl"
        draft = path.with_suffix(".draft")
        with draft.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in context["records"])
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
