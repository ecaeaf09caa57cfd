"""The PostgreSQL store: a schema of its own, and connections that are lost at the worst moment."""

from __future__ import annotations

import re
from contextlib import closing
from urllib.parse import urlsplit

import psycopg
import pytest
from cut_proxy import CUT, CUT_BEHIND, PASS, CutProxy

from singerkit.runner.store.base import FencedError, RunRecord, StoreAwayError, StoreError
from singerkit.runner.store.postgresql import PostgreSQLStore


def admin(url):
    return psycopg.connect(url.split("?")[0], autocommit=True)


def schema_of(url):
    return url.rpartition("schema=")[2]


class Cutter:
    """Cuts the connection once, at the next block that holds a text."""

    def __init__(self):
        self.text, self.verdict = b"", PASS

    def __call__(self, data):
        if not self.text or self.text not in data:
            return PASS
        self.text = b""
        return self.verdict

    def arm(self, text, verdict):
        self.text, self.verdict = text, verdict


@pytest.fixture
def cutter():
    return Cutter()


@pytest.fixture
def cut_store(postgresql_url, cutter):
    parts = urlsplit(postgresql_url)
    with CutProxy(parts.hostname, parts.port or 5432, cutter) as proxy:
        through = parts._replace(netloc=f"{parts.username}@127.0.0.1:{proxy.port}").geturl()
        with closing(PostgreSQLStore(f"{through}&sslmode=disable")) as store:
            yield store


@pytest.mark.parametrize("verdict", [CUT, CUT_BEHIND])
def test_a_state_is_put_once_though_the_connection_is_lost_at_its_commit(cut_store, cutter, verdict):
    lease = cut_store.acquire("k", "tests", 60)
    cut_store.put("k", {"n": 1}, expected=None, lease=lease, run="r")
    cutter.arm(b"COMMIT", verdict)
    stored = cut_store.put("k", {"n": 2}, expected=1, lease=lease, run="r")
    assert (stored.revision, stored.state) == (2, {"n": 2})
    assert [old.state["n"] for old in cut_store.history("k")] == [2, 1]
    assert cut_store.get("k") == stored
    cutter.arm(b"COMMIT", verdict)
    cut_store.delete("k", lease=lease, run="r")
    assert cut_store.get("k") is None
    assert cut_store.put("k", {"n": 3}, expected=None, lease=lease, run="r").revision == 4


@pytest.mark.parametrize("verdict", [CUT, CUT_BEHIND])
def test_what_can_do_no_harm_is_asked_again(cut_store, cutter, verdict):
    lease = cut_store.acquire("k", "tests", 60)
    cut_store.put("k", {"n": 1}, expected=None, lease=lease, run="r")
    run = RunRecord(id="x", pipeline="p", state_key="k", started=lease.expires)
    for act in (
        lambda: cut_store.get("k"),
        lambda: cut_store.renew(lease, 60),
        lambda: cut_store.log(run),
        lambda: cut_store.runs(),
        lambda: cut_store.keys(),
        lambda: cut_store.release(lease),
    ):
        cutter.arm(b"COMMIT", verdict)
        act()
        assert not cutter.text
    assert cut_store.runs() == [run]


def test_a_lease_is_not_asked_for_twice(cut_store, cutter):
    """The answer is lost: nobody can tell whether the lease is one's own, so it is left to expire."""
    cutter.arm(b"COMMIT", CUT_BEHIND)
    with pytest.raises(StoreError, match="can't be used"):
        cut_store.acquire("k", "tests", 0.0)
    assert cut_store.acquire("k", "tests", 60).token == 2


def test_a_connection_that_the_server_ended_is_made_anew(postgresql_url):
    with closing(PostgreSQLStore(f"{postgresql_url}&application_name={schema_of(postgresql_url)}")) as store:
        lease = store.acquire("k", "tests", 60)
        with admin(postgresql_url) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
                [schema_of(postgresql_url)],
            )
        assert store.put("k", {"n": 1}, expected=None, lease=lease, run="r").revision == 1


def test_a_lease_that_was_taken_while_the_connection_was_lost_is_lost(cut_store, cutter, postgresql_url):
    lease = cut_store.acquire("k", "tests", 60)
    with closing(PostgreSQLStore(postgresql_url)) as other:
        other.acquire("k", "other", 60, force=True)
    cutter.arm(b"leases", CUT)
    with pytest.raises(FencedError, match="other has taken it since"):
        cut_store.put("k", {"n": 1}, expected=None, lease=lease, run="r")


def test_tables_of_something_else_are_left_alone(postgresql_url):
    with admin(postgresql_url) as connection:
        connection.execute(f"CREATE SCHEMA {schema_of(postgresql_url)} CREATE TABLE states (a INT)")
    with pytest.raises(StoreError, match=r"holds tables of something else .* another by .schema=NAME"):
        PostgreSQLStore(postgresql_url)
    with admin(postgresql_url) as connection:
        query = "SELECT count(*) FROM information_schema.tables WHERE table_schema = %s"
        assert connection.execute(query, [schema_of(postgresql_url)]).fetchall() == [(1,)]


def test_a_store_of_a_newer_version_is_refused(postgresql_url):
    PostgreSQLStore(postgresql_url).close()
    with admin(postgresql_url) as connection:
        connection.execute(f"UPDATE {schema_of(postgresql_url)}.version SET version = 99")
    with pytest.raises(StoreError, match=r"newer singerkit .version 99"):
        PostgreSQLStore(postgresql_url)


def test_a_schema_may_have_any_name(postgresql_url):
    name = f'{schema_of(postgresql_url)} "%s" :x'
    quoted = '"{}"'.format(name.replace('"', '""'))
    url = postgresql_url.rpartition("schema=")[0] + "schema=" + name.replace("%", "%25").replace('"', "%22")
    try:
        with closing(PostgreSQLStore(url)) as store:
            assert store.acquire("k", "tests", 60).token == 1
    finally:
        with admin(postgresql_url) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {quoted} CASCADE")


def test_a_role_that_may_only_read_and_write_is_enough(postgresql_url):
    """A store that is there already needs no right to make one."""
    PostgreSQLStore(postgresql_url).close()
    schema = schema_of(postgresql_url)
    with admin(postgresql_url) as connection:
        connection.execute(f"CREATE ROLE {schema} LOGIN")
        connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {schema}")
        connection.execute(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA {schema} TO {schema}")
    try:
        parts = urlsplit(postgresql_url)
        url = parts._replace(netloc=f"{schema}@{parts.netloc.rpartition('@')[2]}").geturl()
        with closing(PostgreSQLStore(url)) as store:
            lease = store.acquire("k", "tests", 60)
            assert store.put("k", {}, expected=None, lease=lease, run="r").revision == 1
    finally:
        with admin(postgresql_url) as connection:
            connection.execute(f"DROP OWNED BY {schema}")
            connection.execute(f"DROP ROLE {schema}")


def test_a_server_that_defers_its_commits_does_not_for_states(postgresql_url):
    with closing(PostgreSQLStore(f"{postgresql_url}&options=-csynchronous_commit%3Doff")) as store:
        seen = store._write(lambda execute: execute("SELECT current_setting('synchronous_commit')"))
        assert [tuple(row) for row in seen] == [("on",)]


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [((":5432/", ":1/"), StoreAwayError, 1), (("?schema=", "_missing?schema="), StoreError, 2)],
)
def test_a_server_that_does_not_answer_is_another_matter_than_one_that_refuses(postgresql_url, change, kind, code):
    with pytest.raises(kind) as caught:
        PostgreSQLStore(re.sub(r":\d+/", ":5432/", postgresql_url).replace(*change))
    assert caught.value.exit_code == code
