from __future__ import annotations

import importlib.util
import json
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from singerkit import SchemaDirectory, Stream, StreamSchema, Tap
from singerkit.errors import DiscoveryError, MissingExtraError
from singerkit.schema import documents
from singerkit.schema.documents import document_name, read_document
from singerkit.schema.sources import SchemaFile, SchemaSource

USERS = {"type": "object", "properties": {"id": {"type": "integer"}}}
YAML = b"""\
type: object
properties:
  id: {type: integer}
  on: &text {type: string, example: 2024-01-01}
  country: {type: string, enum: [NO, SE]}
  200: *text
"""


class TapFiles(Tap):
    name = "tap-files"

    def discover_streams(self):
        return []


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "users.json").write_text(json.dumps(USERS), encoding="utf-8")
    (tmp_path / "odd.yaml").write_bytes(YAML)
    (tmp_path / "list.json").write_text("[1]", encoding="utf-8")
    (tmp_path / "cut.json").write_text('{"type": ', encoding="utf-8")
    (tmp_path / "deep.json").write_text('{"a":' * 100_000, encoding="utf-8")
    (tmp_path / "latin.json").write_bytes(b'{"title": "\xe9"}')
    return tmp_path


def stream_with(schema, name="users", **attributes) -> Stream:
    return type("Made", (Stream,), {"name": name, "schema": schema, **attributes})(TapFiles())


def test_a_folder_gives_each_stream_its_file(folder):
    source = SchemaDirectory(folder)
    assert stream_with(StreamSchema(source)).schema == USERS
    assert stream_with(source).schema == USERS, "the source itself may be declared"
    assert stream_with(StreamSchema(source, key="users"), name="people").schema == USERS
    assert SchemaDirectory(str(folder), extension="yaml").get_schema("odd")["properties"].keys() == {
        "id",
        "on",
        "country",
        "200",
    }


def test_a_class_knows_its_schema_too(folder):
    class Users(Stream):
        name = "users"
        schema = StreamSchema(SchemaDirectory(folder))

    assert Users.schema == USERS


def test_a_file_is_read_once_and_each_stream_has_its_own_copy(folder):
    reads = []

    class Counting(SchemaDirectory):
        def fetch_schema(self, key):
            reads.append(key)
            return super().fetch_schema(key)

    source = Counting(folder)
    one, other = stream_with(source), stream_with(source)
    assert one.schema is one.schema, "records are not paid for: the stream keeps what it got"
    one.schema["properties"]["mine"] = {}
    assert other.schema == USERS
    assert reads == ["users"]


def test_a_constructor_takes_a_source_a_path_or_a_dict(folder):
    class Plain(Stream):
        name = "users"

    tap = TapFiles()
    given = [SchemaDirectory(folder), folder / "users.json", str(folder / "users.json"), USERS, SchemaFile(USERS)]
    assert [Plain(tap, schema=schema).schema for schema in given] == [USERS] * 5
    by_path = type("ByPath", (Plain,), {"schema_filepath": folder / "users.json"})
    assert by_path(tap).schema == USERS


def test_a_folder_within_a_package_even_in_a_zip(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "tap_zipped.zip", "w") as archive:
        archive.writestr("tap_zipped/__init__.py", "")
        archive.writestr("tap_zipped/schemas/__init__.py", "")
        archive.writestr("tap_zipped/schemas/users.json", json.dumps(USERS))
    monkeypatch.syspath_prepend(tmp_path / "tap_zipped.zip")
    schemas = importlib.import_module("tap_zipped.schemas")
    assert SchemaDirectory(schemas).get_schema("users") == USERS
    assert SchemaDirectory(files("tap_zipped") / "schemas").get_schema("users") == USERS
    assert SchemaFile(files("tap_zipped") / "schemas" / "users.json").get_schema("any") == USERS
    with pytest.raises(DiscoveryError, match=r"people\.json"):
        SchemaDirectory(schemas).get_schema("people")


def test_keys_and_changes_of_ones_own(folder):
    """The shapes in which existing connectors override it."""

    class Mine(StreamSchema):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.asked = 0

        def get_stream_schema(self, stream, stream_class):
            self.asked += 1
            schema = self.schema_source.fetch_schema(stream.entity)
            stream_class.preprocess_schema(schema)
            return schema

    class Users(Stream):
        name = "people"
        entity = "users"
        schema = Mine(SchemaDirectory(folder))

        @staticmethod
        def preprocess_schema(schema):
            schema["properties"]["extra"] = {"type": "string"}

    stream = Users(TapFiles())
    assert stream.schema["properties"].keys() == {"id", "extra"}
    assert stream.schema is stream.schema
    assert vars(Users)["schema"].asked == 1


def test_a_source_of_ones_own_with_a_preprocessor():
    class Titles:
        def preprocess_schema(self, schema, *, key_properties=()):
            return {**schema, "title": ",".join(key_properties)}

    class Fixed(SchemaSource):
        def fetch_schema(self, key):
            return {"users": USERS, "text": "none"}[key]

    source = Fixed(preprocessor=Titles())
    assert stream_with(source, primary_keys=["id"]).schema == {**USERS, "title": "id"}
    with pytest.raises(DiscoveryError, match="there is no schema for 'nope'"):
        source.get_schema("nope")
    with pytest.raises(DiscoveryError, match="is no JSON object"):
        source.get_schema("text")


def test_references_within_a_file_are_resolved_and_none_out_of_it(tmp_path):
    (tmp_path / "a.json").write_text(
        json.dumps({"properties": {"home": {"$ref": "#/$defs/place"}}, "$defs": {"place": {"type": "string"}}})
    )
    (tmp_path / "b.json").write_text(json.dumps({"properties": {"home": {"$ref": "a.json"}}}))
    source = SchemaDirectory(tmp_path)
    assert source.get_schema("a") == {"properties": {"home": {"type": "string"}}}
    with pytest.raises(DiscoveryError, match=r"b\.json': .*'a\.json' is not followed"):
        source.get_schema("b")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("nope", r"nope\.json': No such file or directory"),
        ("list", r"list\.json' holds a list"),
        ("cut", r"cut\.json' is neither JSON nor YAML: Expecting value: line 1"),
        ("deep", r"deep\.json' is neither JSON nor YAML: "),
        ("latin", r"latin\.json' is neither JSON nor YAML"),
        ("../users", r"'\.\./users' can't be the name of a schema file"),
        ("", "can't be the name of a schema file"),
    ],
)
def test_what_can_not_be_read_says_which_file_and_stream(folder, key, message):
    with pytest.raises(DiscoveryError, match=message) as caught:
        _ = stream_with(StreamSchema(SchemaDirectory(folder), key=key)).schema
    assert caught.value.stream == "users"
    assert caught.value.exit_code == 3


def test_no_schema_at_all_says_what_to_do():
    class Bare(Stream):
        name = "bare"

    with pytest.raises(DiscoveryError, match="--infer writes one"):
        _ = Bare(TapFiles()).schema


def test_yaml_is_read_as_json_would_be(folder):
    assert read_document(folder / "odd.yaml")["properties"]["country"]["enum"] == ["NO", "SE"]
    assert read_document(folder / "odd.yaml")["properties"]["200"] == {"type": "string", "example": "2024-01-01"}


def test_yaml_within_itself(tmp_path):
    (tmp_path / "users.yaml").write_text("properties:\n  a: &a {properties: {b: *a}}\n")
    with pytest.raises(DiscoveryError, match="'users' contains itself"):
        SchemaDirectory(tmp_path, extension="yaml").get_schema("users")


def test_yaml_that_is_none(tmp_path):
    (tmp_path / "bad.yaml").write_text("{a: [}")
    with pytest.raises(DiscoveryError, match="neither JSON nor YAML"):
        read_document(tmp_path / "bad.yaml")


def test_yaml_without_the_extra_names_it(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingExtraError, match=r"singerkit\[yaml\]"):
        read_document(folder / "odd.yaml")


def test_json_needs_no_yaml(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    (folder / "noname").write_text(json.dumps(USERS))
    assert read_document(folder / "noname") == USERS


@pytest.fixture
def server():
    with HTTPServer(host="127.0.0.1") as server:
        yield server


def test_documents_from_a_url(server, monkeypatch):
    server.expect_request("/api.json").respond_with_json(USERS)
    server.expect_request("/api").respond_with_data(YAML, content_type="application/yaml")
    server.expect_request("/gone").respond_with_data("no", status=404)
    server.expect_request("/large").respond_with_data(" " * 70_000 + "{}")
    assert read_document(server.url_for("/api.json?key=s3cret")) == USERS
    assert "country" in read_document(server.url_for("/api"))["properties"]
    with pytest.raises(DiscoveryError, match="/gone' answered 404") as caught:
        read_document(server.url_for("/gone?key=s3cret"))
    assert "s3cret" not in str(caught.value)
    monkeypatch.setattr(documents, "MAX_DOWNLOAD_BYTES", 1000)
    with pytest.raises(DiscoveryError, match="keep a copy beside the tap"):
        read_document(server.url_for("/large"))


def test_a_url_that_nobody_answers():
    with pytest.raises(DiscoveryError, match=r"document 'http://127\.0\.0\.1/x': ConnectionError"):
        read_document("http://127.0.0.1:9/x?key=s3cret")
    assert document_name("https://user:s3cret@api.example.com/openapi.json?key=s3cret#a") == (
        "https://api.example.com/openapi.json"
    )


def test_starting_a_tap_reads_no_schema():
    class Missing(Stream):
        name = "users"
        schema = StreamSchema(SchemaDirectory(Path("nowhere")))

    class TapLate(TapFiles):
        def discover_streams(self):
            return [Missing(self)]

    assert list(TapLate().streams) == ["users"]
