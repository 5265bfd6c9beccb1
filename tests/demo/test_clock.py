from datetime import UTC, datetime, timedelta

import pytest

from api.demo import clock as demo_clock
from data.db import connect
from data.store import test_clock as installed_clock
from tests.builders import book_job, import_neighbours
from tests.conftest import BEGINNING


@pytest.mark.parametrize(("hour", "starts"), [(12, 12), (8, 8), (23, 8), (2, 8), (17, 8)], ids=str)
def test_a_demo_starts_by_day(hour, starts):
    wall = datetime(2026, 3, 2, hour, 0, tzinfo=UTC)
    assert demo_clock.daytime(wall).astimezone(UTC).hour == starts


async def test_the_clock_is_paused_until_started_then_runs_and_is_paused_again(database):
    time = await demo_clock.install_paused(database.owner_dsn)
    assert time.now() == time.at
    assert not time.started.is_set()
    await demo_clock.start(database.owner_dsn, time, 3600.0)
    await time.sleep(timedelta(seconds=60))
    assert time.now() >= time.at + timedelta(seconds=60)
    await demo_clock.pause(database.owner_dsn)
    connection = await connect(database.owner_dsn, application="tests")
    try:
        stood = await installed_clock.read(connection)
        assert stood.speed == 0
        assert stood.at >= time.at + timedelta(seconds=60)
    finally:
        await connection.close()


async def test_a_later_demo_continues_after_the_newest_event(rt, clock, database):
    future = BEGINNING + timedelta(days=4000)
    await clock.set(future)
    await import_neighbours(rt, 4)
    await book_job(rt)
    time = await demo_clock.install_paused(database.owner_dsn)
    assert time.at == future + timedelta(seconds=1)
