"""`tekkie coverage`: output, exports and refusals."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from typer.testing import CliRunner

import data.database
from api.cli.root import app
from data import db
from data.settings import Settings
from dispatch.flows.bootstrap import open_runtime
from dispatch.flows.jobs import commands
from geo.point import Point
from tests.builders import book_job, friend_row, import_friends, import_neighbours, north
from tests.conftest import BEGINNING, Clock

BERN = Point(46.9481, 7.4474)
WIFI = ("--package", "wifi-setup")


@pytest.fixture
def tekkie(database, tmp_path, monkeypatch):
    """Runs a command on the database of this test."""

    @asynccontextmanager
    async def open_test_database(settings, report):
        yield database

    monkeypatch.setattr(data.database, "database", open_test_database)

    def run(*words):
        return CliRunner().invoke(app, ["--data-dir", str(tmp_path / "data"), *words])

    return run


@pytest.fixture
def with_runtime(database, tmp_path):
    """Runs a coroutine with a runtime on the same database, before or between commands."""

    async def run_work(work):
        settings = Settings(data_dir=tmp_path / "data")
        async with open_runtime(settings, database, application="tests") as rt:
            return await work(rt)

    return lambda work: asyncio.run(run_work(work))


def facts(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_summary_has_the_covered_share_and_the_uncovered_towns(tekkie, with_runtime):
    with_runtime(lambda rt: import_neighbours(rt, 4))
    found = facts(tekkie("coverage", *WIFI, "--json"))
    assert (found["package"], found["market"], found["friends"]) == ("wifi-setup", "CH", 4)
    assert found["weighted_by"] == "people"
    assert sum(found["shares"].values()) == pytest.approx(1, abs=0.001)
    assert 0.05 < found["shares"]["4+"] < 0.3
    towns = [town["town"] for town in found["towns_without_four"]]
    assert len(towns) == 10
    assert "Bern" in towns
    assert "Zürich" not in towns
    sizes = [town["size"] for town in found["towns_without_four"]]
    assert sizes == sorted(sizes, reverse=True)


def test_without_json_the_same_is_a_table(tekkie, with_runtime):
    with_runtime(lambda rt: import_neighbours(rt, 4))
    result = tekkie("coverage", *WIFI, "--market", "ch")
    assert result.exit_code == 0, result.output
    assert "wifi-setup in CH: 4 friends" in result.stdout
    assert "share of people" in result.stdout
    assert "Bern" in result.stdout


def test_the_map_is_written_with_exact_counts(tekkie, with_runtime, tmp_path):
    with_runtime(lambda rt: import_friends(rt, [friend_row(f"b{n}", BERN) for n in range(3)]))
    path = tmp_path / "map.geojson"
    result = tekkie("coverage", *WIFI, "--out", str(path))
    assert result.exit_code == 0, result.output
    assert "cells written to" in result.stderr
    counts = [one["properties"]["friends"] for one in json.loads(path.read_text())["features"]]
    assert set(counts) == {0, 3}


def test_friends_without_capacity_count_only_with_busy_too(tekkie, with_runtime):
    async def full(rt):
        refs = await import_neighbours(rt, 1, capacity=1)
        async with db.transaction(rt.pool) as tx:
            await tx.execute("UPDATE friends SET open_jobs = 1 WHERE id = $1", refs["f1"])

    with_runtime(full)
    assert facts(tekkie("coverage", *WIFI, "--json"))["friends"] == 0
    assert facts(tekkie("coverage", *WIFI, "--busy-too", "--json"))["friends"] == 1


def test_bookings_that_reached_nobody_or_too_few_are_unmet(tekkie, with_runtime):
    async def some(rt):
        await book_job(rt)
        await import_neighbours(rt, 3)
        for n in range(2):
            await book_job(rt, email=f"few{n}@example.com")
        await import_friends(rt, [friend_row("f9", north(900))])
        await book_job(rt, email="enough@example.com")

    with_runtime(some)
    [cell] = facts(tekkie("coverage", "--unmet", "--json"))
    assert (cell["unmet"], cell["unfilled"], cell["bookings"]) == ("3", "<3", "4")
    assert cell["town"].startswith("Zürich")
    table = tekkie("coverage", "--unmet", "--days", "7", *WIFI, "--market", "CH")
    assert "<3" in table.stdout
    assert facts(tekkie("coverage", "--unmet", "--market", "DE", "--json")) == []
    assert facts(tekkie("coverage", "--unmet", "--package", "quick-help", "--json")) == []


def test_a_booking_filled_later_still_counts_as_unmet(tekkie, with_runtime):
    async def late(rt):
        done = await book_job(rt)
        await import_neighbours(rt, 4)
        await commands.redispatch(rt, done.job.booking.id, actor="system")

    with_runtime(late)
    [cell] = facts(tekkie("coverage", "--unmet", "--json"))
    assert (cell["unmet"], cell["unfilled"]) == ("<3", "<3")


def test_bookings_before_the_last_days_do_not_count(tekkie, with_runtime, database):
    async def later():
        connection = await db.connect(database.owner_dsn, application="tests")
        try:
            await Clock(connection).set(BEGINNING + timedelta(days=31))
        finally:
            await connection.close()

    with_runtime(book_job)
    asyncio.run(later())
    assert facts(tekkie("coverage", "--unmet", "--json")) == []
    assert len(facts(tekkie("coverage", "--unmet", "--days", "32", "--json"))) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Give a package"),
        ((*WIFI, "--market", "FR"), "--market must be one of CH, DE, AT, PL"),
        ((*WIFI, "--days", "3"), "--days works only with --unmet"),
        (("--unmet", "--busy-too"), "--busy-too works only with --package"),
        ((*WIFI, "--out", "map.shp"), "use one of .geojson"),
        ((*WIFI, "--out", "nowhere/map.csv"), "make it first"),
    ],
)
def test_invalid_combinations_are_refused_before_any_work(tekkie, words, message):
    result = tekkie("coverage", *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_an_unknown_package_is_refused(tekkie):
    for words in (("--package", "nope"), ("--package", "nope", "--unmet")):
        result = tekkie("coverage", *words)
        assert result.exit_code == 1
        assert "'nope' is not in the catalogue" in result.stderr
