from importlib.resources import files

import pytest

from data import sql_loader
from data.sql_loader import QueryFileBroken


@pytest.fixture
def folder(tmp_path):
    def write(text):
        (tmp_path / "jobs.sql").write_text(text, encoding="utf-8")
        return sql_loader.load("jobs", folder=tmp_path)

    return write


def test_a_block_is_read_by_its_name(folder):
    sql = folder("-- name: one\nSELECT 1\n\n-- name: two\n-- Because of the order.\nSELECT 2;\n")
    assert sql.one == "SELECT 1"
    assert sql.two == "-- Because of the order.\nSELECT 2;"


def test_an_unknown_name_is_refused_with_the_file_and_the_names_it_has(folder):
    sql = folder("-- name: one\nSELECT 1\n")
    with pytest.raises(AttributeError, match=r"jobs\.sql has no block '-- name: three'.*one"):
        _ = sql.three


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-- name: one\nSELECT 1\n-- name: one\nSELECT 2\n", r"jobs\.sql:3: .*'one'.* twice"),
        ("-- name: one\n-- name: two\nSELECT 2\n", r"jobs\.sql:1: .*'one' is empty"),
        ("-- name: one\n-- only words\n", r"jobs\.sql:1: .*'one' is empty"),
        ("SELECT 1\n-- name: one\nSELECT 1\n", r"jobs\.sql:1: SQL before the first"),
        ("-- name: lock jobs\nSELECT 1\n", r"jobs\.sql:1: 'lock jobs' is not a name"),
    ],
)
def test_an_invalid_file_is_refused_with_its_line(folder, text, message):
    with pytest.raises(QueryFileBroken, match=message):
        folder(text)


async def test_several_blocks_are_executed_as_one_statement(folder, owner):
    sql = folder(
        "-- name: boxes\n-- Twelve and one.\nINSERT INTO box SELECT $2::int + n FROM "
        "generate_series(1, $1::int) AS n\n"
        "-- name: jars\nINSERT INTO jar VALUES ($1, $1, $2)\n"
        "-- name: drop\nDELETE FROM box WHERE n = $1\n"
    )
    await owner.execute("CREATE TABLE box (n int); CREATE TABLE jar (a int, b int, c text)")
    await owner.execute("INSERT INTO box VALUES (7)")
    await owner.execute(sql.combine("boxes", "jars", "drop"), 12, 100, 3, "three", 7)
    boxes = [row["n"] for row in await owner.fetch("SELECT n FROM box ORDER BY n")]
    assert boxes == list(range(101, 113))
    assert tuple(await owner.fetchrow("SELECT * FROM jar")) == (3, 3, "three")


def test_a_single_block_is_unchanged(folder):
    assert folder("-- name: one\nSELECT $1\n").combine("one") == "SELECT $1"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(QueryFileBroken, match=r"jobs\.sql is missing"):
        sql_loader.load("jobs", folder=tmp_path)


def test_every_file_of_the_product_can_be_read():
    names = [entry.name for entry in (files("data") / "sql" / "queries").iterdir()]
    assert len(names) > 2
    for name in names:
        assert sql_loader.load(name.removesuffix(".sql")).blocks
