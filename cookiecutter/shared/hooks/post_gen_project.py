"""Takes away what the answers leave empty, and makes what can't be a text in a template."""

import shutil
import sqlite3
from pathlib import Path

RECORDINGS = Path("recordings")
CHOSEN_RECORDINGS = {{ [cookiecutter.get("source", "") ~ "-" ~ cookiecutter.get("__paging", ""), cookiecutter.get("__auth", "")] | tojson }}


def gather_recordings():
    """Move the answers that were chosen from their folders to the top, and remove the other folders."""
    for group in [path for path in RECORDINGS.iterdir() if path.is_dir()]:
        if group.name in CHOSEN_RECORDINGS:
            for answer in group.iterdir():
                answer.rename(RECORDINGS / answer.name)
        shutil.rmtree(group)


def remove_empty():
    """Remove every file without a word in it, then every folder without a file."""
    for path in sorted(Path().rglob("*"), reverse=True):
        if path.is_file() and not path.read_bytes().strip():
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def make_databases():
    """Make the database of the demo beside the script that says what is in it."""
    for script in Path("demo").glob("*.sql"):
        database = sqlite3.connect(script.with_suffix(".sqlite"))
        database.executescript(script.read_text(encoding="utf-8"))
        database.close()


if RECORDINGS.is_dir():
    gather_recordings()
    if {{ "True" if cookiecutter.get("_openapi") else "False" }}:
        shutil.rmtree(RECORDINGS)  # its answers are of another API
remove_empty()
make_databases()
