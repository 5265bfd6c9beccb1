"""A database that is used again is as its template left it."""

import os

import pytest

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
