"""Names that are on the disk, and not only what they name."""

from __future__ import annotations

import os
from pathlib import Path


def synchronize_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk: those of new files, or of renamed ones.

    Errors: ``OSError``.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
