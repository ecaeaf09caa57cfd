"""What the taps read: three tables with the same rows in PostgreSQL, MySQL, CSV files and a DBF file.

``orders`` is made for reading incrementally: its rows are not stored in the order of ``updated_at``, and two rows each
have the same one. ``customers`` holds texts that are easily damaged, ``facts`` large and exact numbers.

    python sources.py postgresql insert_tie

changes a source, as `singerkit check --mutate-source` wants it.
"""

from __future__ import annotations

import csv
import json
import struct
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

DATABASE, DESTINATION = "world", "world_out"
BEGIN = datetime(2026, 1, 1, 8)
LAST = BEGIN + timedelta(hours=19, microseconds=19 * 1001)

ORDERS = [
    (
        number,
        f"customer {number % 7}",
        f"{number * 3}.{number:02}",
        number % 3 == 0,
        date(2026, 1, 1 + number % 28),
        BEGIN + timedelta(hours=number * 7 % 20, microseconds=number * 7 % 20 * 1001),
    )
    for number in range(1, 42)
]
CUSTOMERS = [
    (1, "Zoë O'Neil", "plain"),
    (2, 'quote " comma , semicolon ;', None),
    (3, "tab\tline feed\nend", "back\\slash"),
    (4, "日本語 emoji 😀", "NULL"),
    (5, "", "empty name"),
    (6, " padded ", "1,000"),
]
FACTS = [
    (1, "9223372036854775807", "12345678901234567.12345678", "largest"),
    (2, "-9223372036854775807", "-0.00000001", "smallest"),
    (3, "9007199254740993", "0.10000000", "one more than a float holds"),
    (4, "0", "1.50000000", "1.7"),
]
ROWS = {"orders": ORDERS, "customers": CUSTOMERS, "facts": FACTS}

COLUMNS = {
    "orders": ["id", "customer", "total", "paid", "placed_on", "updated_at"],
    "customers": ["id", "name", "note"],
    "facts": ["id", "big", "exact", "words"],
}
TYPES = {
    "orders": "id INTEGER PRIMARY KEY, customer VARCHAR(80) NOT NULL, total NUMERIC(12, 2), paid BOOLEAN,"
    " placed_on DATE, updated_at {instant} NOT NULL",
    "customers": "id INTEGER PRIMARY KEY, name VARCHAR(200), note TEXT",
    "facts": "id INTEGER PRIMARY KEY, big BIGINT, exact NUMERIC(25, 8), words VARCHAR(200)",
}
INSTANTS = {"postgresql": "TIMESTAMP(6) WITH TIME ZONE", "mysql": "DATETIME(6)"}
UTC_SESSION = {"postgresql": "SET TIME ZONE 'UTC';\n", "mysql": "SET time_zone = '+00:00';\n"}
TIE = (100, "late tie", "1.00", True, date(2026, 2, 1), LAST)
UPDATED = {"total": "999.00", "updated_at": LAST + timedelta(hours=1)}


def make_source(kind: str, folder: Path) -> None:
    """Make a source of a kind, or make it anew."""
    if kind in INSTANTS:
        make_database(kind, DATABASE)
        run_sql(kind, DATABASE, "\n".join(_statements(kind)))
    else:
        folder.mkdir(parents=True, exist_ok=True)
        (make_csv if kind == "csv" else make_dbf)(folder)


def make_database(kind: str, name: str) -> None:
    """Make an empty database; one of that name is dropped."""
    run_sql(kind, "postgres" if kind == "postgresql" else "", f"DROP DATABASE IF EXISTS {name};")
    run_sql(kind, "postgres" if kind == "postgresql" else "", f"CREATE DATABASE {name};")


def run_sql(kind: str, database: str, script: str) -> None:
    """Run statements with the database's own client."""
    clients = {
        "postgresql": ["psql", "-q", "-h", "127.0.0.1", "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-d", database],
        "mysql": [
            "mysql",
            "-h",
            "127.0.0.1",
            "-u",
            "root",
            "--default-character-set=utf8mb4",
            *filter(None, [database]),
        ],
    }
    subprocess.run(clients[kind], input=script.encode(), check=True, stdout=subprocess.DEVNULL)


def _statements(kind: str) -> list[str]:
    tables = [f"CREATE TABLE {name} ({types.format(instant=INSTANTS[kind])});" for name, types in TYPES.items()]
    return [UTC_SESSION[kind], *tables] + [
        f"INSERT INTO {name} VALUES ({', '.join(_literal(kind, value) for value in row)});"
        for name, rows in ROWS.items()
        for row in rows
    ]


def _literal(kind: str, value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int):
        return str(value).upper()
    text = str(value).replace("'", "''")
    return "'" + (text.replace("\\", "\\\\") if kind == "mysql" else text) + "'"


def make_csv(folder: Path) -> None:
    """Write one CSV file a table."""
    for name, rows in ROWS.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([COLUMNS[name], *rows])


def make_dbf(folder: Path) -> None:
    """Write the customers whose texts are ASCII on one line as a dBase III file."""
    rows = [row for row in CUSTOMERS if f"{row[1]}{row[2]}".isprintable() and f"{row[1]}{row[2]}".isascii()]
    fields = [(b"ID", b"N", 8), (b"NAME", b"C", 40), (b"NOTE", b"C", 40)]
    length = 1 + sum(width for _, _, width in fields)
    head = struct.pack("<4BIHH20x", 3, 126, 1, 1, len(rows), 33 + 32 * len(fields), length)
    columns = b"".join(struct.pack("<11sc4xBB14x", name, kind, width, 0) for name, kind, width in fields)
    body = "".join(f" {row[0]:>8}{row[1]:<40}{row[2] or '':<40}" for row in rows).encode("ascii")
    (folder / "customers.dbf").write_bytes(head + columns + b"\r" + body + b"\x1a")
    (folder / "torn").mkdir(exist_ok=True)
    (folder / "torn" / "customers.dbf").write_bytes(head[:20])


def expectation(streams: dict[str, str], kind: str) -> dict[str, object]:
    """Say what a tap must find, by its own names for the streams: the records of ``facts`` exactly."""
    if "facts" not in streams or kind not in INSTANTS:
        return {"non_empty": list(streams.values())}
    # Numbers are texts above, and are put into the JSON as they stand: a float would round them.
    facts = [
        f'{{"id": {number}, "big": {big}, "exact": {exact}, "words": {json.dumps(words)}}}'
        for number, big, exact, words in FACTS
    ]
    return {"non_empty": list(streams.values()), "records": {streams["facts"]: facts}}


def expectation_text(streams: dict[str, str], kind: str) -> str:
    """Write the expectation as JSON."""
    expected = expectation(streams, kind)
    records = {name: "[" + ", ".join(rows) + "]" for name, rows in expected.pop("records", {}).items()}
    inner = ", ".join(f"{json.dumps(name)}: {rows}" for name, rows in records.items())
    return f'{{"non_empty": {json.dumps(expected["non_empty"])}, "records": {{{inner}}}}}'


def change(kind: str, action: str) -> None:
    """Change a database: a row with the newest ``updated_at``, or an old row with a newer one."""
    values = ", ".join(_literal(kind, value) for value in TIE)
    changes = ", ".join(f"{name} = {_literal(kind, value)}" for name, value in UPDATED.items())
    statements = {
        "insert_tie": f"INSERT INTO orders VALUES ({values});",
        "update_old": f"UPDATE orders SET {changes} WHERE id = 1;",
        "delete": "DELETE FROM orders WHERE id = 2;",
    }
    run_sql(kind, DATABASE, UTC_SESSION[kind] + statements[action])


if __name__ == "__main__":
    change(*sys.argv[1:3])
