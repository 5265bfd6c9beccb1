from importlib.resources import files

import pytest

from data import queries
from data.queries import QueryFileBroken


@pytest.fixture
def folder(tmp_path):
    def write(text):
        (tmp_path / "jobs.sql").write_text(text, encoding="utf-8")
        return queries.load("jobs", folder=tmp_path)

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
    ("text", "said"),
    [
        ("-- name: one\nSELECT 1\n-- name: one\nSELECT 2\n", r"jobs\.sql:3: .*'one'.* twice"),
        ("-- name: one\n-- name: two\nSELECT 2\n", r"jobs\.sql:1: .*'one' is empty"),
        ("-- name: one\n-- only words\n", r"jobs\.sql:1: .*'one' is empty"),
        ("SELECT 1\n-- name: one\nSELECT 1\n", r"jobs\.sql:1: SQL before the first"),
        ("-- name: lock jobs\nSELECT 1\n", r"jobs\.sql:1: 'lock jobs' is no name"),
    ],
)
def test_an_unfit_file_is_refused_with_its_line(folder, text, said):
    with pytest.raises(QueryFileBroken, match=said):
        folder(text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(QueryFileBroken, match=r"jobs\.sql is missing"):
        queries.load("jobs", folder=tmp_path)


def test_every_file_of_the_product_can_be_read():
    names = [entry.name for entry in (files("data") / "sql" / "queries").iterdir()]
    assert len(names) > 2
    for name in names:
        assert queries.load(name.removesuffix(".sql")).blocks
