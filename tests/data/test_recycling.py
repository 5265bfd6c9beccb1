"""A database that is used again is as its template left it."""

import os

import asyncpg
import pytest

from data import db
from tests import recycling
from tests.conftest import admit

pytestmark = pytest.mark.skipif(
    "TEKKIE_TEST_DATABASE_URL" in os.environ,
    reason="elsewhere every test has a new database: only a superuser removes rows untriggered",
)


def lend_twice(server, template, work):
    """Take a database, do `work` in it, give it back and take one again; their names and rows."""
    lender = recycling.Recycling(
        server.run, server.create, server.drop, lambda name: admit(server.embedded, name)
    )
    first = lender.take(template)
    server.run(first.connection.execute(work))
    lender.put(first)
    second = lender.take(template)
    rows = {
        table: server.run(recycling._copy(second.connection, table))
        for table in [*first.rows, "tekkie.people", "tekkie.audit"]
    }
    lender.put(second)
    lender.close()
    return first.name == second.name, rows == first.rows | {
        "tekkie.people": b"",
        "tekkie.audit": b"",
    }


ROWS = """
INSERT INTO tekkie.people (id, kind, name, email, language)
    VALUES (gen_random_uuid(), 'operator', 'Op', 'op@example.org', 'en');
INSERT INTO tekkie.audit (at, actor, act, subject) VALUES (now(), 'system', 'tried', 'x');
UPDATE tekkie.packages SET minutes = minutes + 1;
"""


def test_its_rows_are_those_of_the_template_again(server, template):
    assert lend_twice(server, template, ROWS) == (True, True)


def test_its_numbers_begin_again(server, template):
    number = "INSERT INTO tekkie.audit (at, actor, act, subject) VALUES (now(), 's', 'a', 'x')"
    for _ in range(2):
        taken = server.recycling.take(template)
        server.run(taken.connection.execute(number))
        assert server.run(taken.connection.fetchval("SELECT min(id) FROM tekkie.audit")) == 1
        server.recycling.put(taken)


def test_another_schema_ends_it(server, template):
    kept, same = lend_twice(server, template, "ALTER TABLE tekkie.friends ADD COLUMN extra text")
    assert not kept
    assert same


def test_another_view_ends_it(server, template):
    view = "CREATE OR REPLACE VIEW tekkie.standing_ratings AS"
    view += " SELECT booking_id, friend_id, stars, at FROM tekkie.ratings"
    kept, same = lend_twice(server, template, view)
    assert not kept
    assert same


async def test_what_a_session_was_left_with_is_gone(owner, template, server):
    await owner.execute("CREATE TEMP TABLE left_behind (n integer)")
    await owner.execute("SET statement_timeout = 7; SET ROLE tekkie_service")
    await owner.fetchval("SELECT pg_advisory_lock(7)")
    await recycling.reset(owner)
    assert await owner.fetchval("SELECT to_regclass('pg_temp.left_behind')") is None
    assert await owner.fetchval("SHOW statement_timeout") != "7ms"
    assert await owner.fetchval("SELECT current_user") == await owner.fetchval(
        "SELECT session_user"
    )
    assert await owner.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0


async def test_a_session_left_in_a_transaction_is_not_used_again(owner):
    await owner.execute("BEGIN")
    with pytest.raises(asyncpg.InterfaceError, match="left a transaction open"):
        await recycling.reset(owner)


async def test_a_pool_that_lacks_a_session_is_noticed(database, monkeypatch):
    monkeypatch.setattr(recycling, "GIVE_BACK_WITHIN_S", 0.01)
    opened = await db.open_pool(database.service_dsn, role=None, size=1, application="tests")
    pool = recycling.KeptPool(opened)
    with pytest.raises(TimeoutError):
        async with pool:
            await pool.acquire()
    assert pool.is_closed()
