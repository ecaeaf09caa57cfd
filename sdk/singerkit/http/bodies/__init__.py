"""Answers that are not a page of JSON: lines, tables, documents, and arrays too large for the memory.

Declared on a stream as ``body_format = JSONLinesFormat()``. Such an answer goes to a temporary file first, so that one
which breaks off is asked for again before a record of it went out, and is then read a piece at a time.
"""

from singerkit.http.bodies.base import BodyDeclaration, BodyFormat, ReadBody
from singerkit.http.bodies.csv_rows import CSVFormat
from singerkit.http.bodies.json_array import JSONArrayFormat
from singerkit.http.bodies.json_lines import JSONLinesFormat
from singerkit.http.bodies.xml_elements import XMLFormat

__all__ = [
    "BodyDeclaration",
    "BodyFormat",
    "CSVFormat",
    "JSONArrayFormat",
    "JSONLinesFormat",
    "ReadBody",
    "XMLFormat",
]
