"""What the pages about files tell people to type is typed here."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

from object_store import Bucket, ObjectStore

from singerkit import BatchSink

HOW_TO = Path(__file__).parents[2] / "docs/how-to"
SAVED = re.compile(r"[Ss]ave it as `([^`]+)`.*?^```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"^```console\n(.*?)^```\n\n```text\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: What differs in every run.
NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8,10}")


def page_of(name, folder):
    """Save what the page says; give its text."""
    text = (HOW_TO / name).read_text(encoding="utf-8").replace("/tmp/batches", f"{folder}/batches")
    for path, content in SAVED.findall(text):
        (folder / path).write_text(content, encoding="utf-8")
    return text


def typed(commands, folder):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    lines = [line.removeprefix("$ ") for line in commands.splitlines()]
    done = subprocess.run(
        ["bash", "-ec", "\n".join(lines)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(text, folder):
    steps = STEP.findall(text)
    assert steps
    for commands, shown in steps:
        said = NAME.sub("RUN", typed(commands, folder))
        for line, expected in zip(said.splitlines(), NAME.sub("RUN", shown).splitlines(), strict=True):
            assert re.fullmatch(re.escape(expected).replace("…", ".*"), line), line


def test_the_page_about_parquet_is_right(tmp_path):
    check(page_of("write-parquet.md", tmp_path), tmp_path)


def test_the_page_about_files_is_right(tmp_path):
    check(page_of("write-files.md", tmp_path), tmp_path)


def test_the_page_about_object_stores_is_right(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    store = ObjectStore()
    try:
        bucket = Bucket(store, "shop")
        text = page_of("object-stores.md", tmp_path)
        config = tmp_path / "config.json"
        config.write_text(config.read_text().replace("https://minio.example.com", store.url))
        check(text, tmp_path)
        ((name, content),) = bucket.objects().items()
    finally:
        store.close()
    assert gzip.decompress(content) == b'{"id":1}\n'
    assert NAME.sub("RUN", name) in NAME.sub("RUN", text).splitlines()


def test_the_page_about_batch_files_is_right(tmp_path):
    text = page_of("batch-files.md", tmp_path)
    check(text, tmp_path)
    assert list((tmp_path / "batches").iterdir()) == []
    made: dict[str, type[BatchSink]] = {}
    exec(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[0], made)
    assert issubclass(made["WarehouseSink"], BatchSink)
