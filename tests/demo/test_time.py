from datetime import UTC, datetime, timedelta

import pytest

from api.demo import time as demo_time
from data.db import connect
from data.store import test_clock as installed_clock
from tests.builders import booked, neighbours
from tests.conftest import BEGINNING


@pytest.mark.parametrize(("hour", "begins"), [(12, 12), (8, 8), (23, 8), (2, 8), (17, 8)], ids=str)
def test_a_demo_begins_by_day(hour, begins):
    wall = datetime(2026, 3, 2, hour, 0, tzinfo=UTC)
    assert demo_time.daytime(wall).astimezone(UTC).hour == begins


async def test_the_clock_stands_until_all_are_awake_then_runs_and_stands_again(database):
    time = await demo_time.stand(database.owner_dsn)
    assert time.now() == time.at
    assert not time.begun.is_set()
    await demo_time.go(database.owner_dsn, time, 3600.0)
    await time.sleep(timedelta(seconds=60))
    assert time.now() >= time.at + timedelta(seconds=60)
    await demo_time.halt(database.owner_dsn)
    connection = await connect(database.owner_dsn, application="tests")
    try:
        stood = await installed_clock.read(connection)
        assert stood.speed == 0
        assert stood.at >= time.at + timedelta(seconds=60)
    finally:
        await connection.close()


async def test_a_later_demo_goes_on_after_what_has_happened(rt, clock, database):
    future = BEGINNING + timedelta(days=4000)
    await clock.set(future)
    await neighbours(rt, 4)
    await booked(rt)
    time = await demo_time.stand(database.owner_dsn)
    assert time.at == future + timedelta(seconds=1)
