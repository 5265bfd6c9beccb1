import asyncio
import logging
from datetime import timedelta

import pytest

from data.db import DatabaseUnavailable
from scheduler import ticker as module
from scheduler.ticker import Ticker

TIMEOUT_S = 5.0


class Counter:
    """Counts its ticks, lets tests wait for them, and fails or blocks on demand."""

    def __init__(self) -> None:
        self.count = 0
        self.at_once = 0
        self.most_at_once = 0
        self.fail: list[Exception] = []
        self.release = asyncio.Event()
        self.release.set()
        self._ticked = asyncio.Condition()

    async def tick(self) -> None:
        self.count += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        async with self._ticked:
            self._ticked.notify_all()
        try:
            await self.release.wait()
            if self.fail:
                raise self.fail.pop(0)
        finally:
            self.at_once -= 1

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(TIMEOUT_S), self._ticked:
            await self._ticked.wait_for(lambda: self.count >= count)


@pytest.fixture
async def counter():
    return Counter()


@pytest.fixture
async def ticker():
    made = Ticker()
    yield made
    await made.stop(1)


async def test_a_job_ticks_at_once_and_again(ticker, counter):
    ticker.every(0.02, "job", counter.tick)
    ticker.start()
    await counter.wait_for(3)
    assert counter.most_at_once == 1


async def test_a_tick_can_be_requested_sooner(ticker, counter):
    ticker.every(3600, "job", counter.tick)
    ticker.start()
    await counter.wait_for(1)
    ticker.sooner("job")
    await counter.wait_for(2)
    ticker.sooner("job", 0.02)
    await counter.wait_for(3)


async def test_sooner_never_means_later(ticker, counter):
    ticker.every(0.05, "job", counter.tick)
    ticker.start()
    await counter.wait_for(1)
    ticker.sooner("job", 3600)
    await counter.wait_for(2)


async def test_a_tick_requested_during_a_tick_comes_after_it(ticker, counter):
    ticker.every(3600, "job", counter.tick)
    counter.release.clear()
    ticker.start()
    await counter.wait_for(1)
    ticker.sooner("job")
    ticker.sooner("job", 3600)
    counter.release.set()
    await counter.wait_for(2)
    assert counter.most_at_once == 1


async def test_many_requests_make_one_tick(ticker, counter):
    ticker.every(3600, "job", counter.tick)
    ticker.start()
    await counter.wait_for(1)
    for _ in range(1000):
        ticker.sooner("job", 0.01)
    await counter.wait_for(2)
    assert counter.count == 2


async def test_a_slow_job_does_not_delay_another(ticker, counter):
    slow = Counter()
    slow.release.clear()
    ticker.every(0.02, "slow", slow.tick)
    ticker.every(0.02, "job", counter.tick)
    ticker.start()
    await counter.wait_for(4)
    assert slow.count == 1
    slow.release.set()


async def test_a_failure_does_not_end_the_series(ticker, counter):
    counter.fail = [ValueError("first"), DatabaseUnavailable("second"), KeyError("third")]
    ticker.every(0.02, "job", counter.tick)
    ticker.start()
    await counter.wait_for(5)
    assert ticker.since_s("job") is not None


async def test_an_outage_and_its_end_are_logged_once_each(ticker, counter, caplog):
    caplog.set_level(logging.WARNING)
    counter.fail = [DatabaseUnavailable("gone") for _ in range(4)]
    ticker.every(0.01, "job", counter.tick)
    ticker.start()
    await counter.wait_for(7)
    assert [r.message for r in caplog.records] == [
        "job cannot work and keeps trying: gone",
        "job works again",
    ]
    assert caplog.records[0].exc_info is None


async def test_a_bug_is_logged_with_its_traceback(ticker, counter, caplog):
    counter.fail = [ValueError("what")]
    ticker.every(0.01, "job", counter.tick)
    ticker.start()
    await counter.wait_for(3)
    assert caplog.records[0].exc_info


async def test_stopping_awaits_a_running_tick(counter):
    ticker = Ticker()
    ticker.every(0.01, "job", counter.tick)
    counter.release.clear()
    ticker.start()
    await counter.wait_for(1)
    asyncio.get_running_loop().call_later(0.05, counter.release.set)
    await ticker.stop(5)
    assert counter.at_once == 0
    assert ticker.since_s("job") is not None
    ticker.sooner("job")
    await asyncio.sleep(0)
    assert counter.count == 1


async def test_stopping_cancels_a_tick_that_takes_too_long(counter, caplog):
    ticker = Ticker()
    ticker.every(0.01, "job", counter.tick)
    counter.release.clear()
    ticker.start()
    await counter.wait_for(1)
    await ticker.stop(0.05)
    assert counter.at_once == 0
    assert ticker.since_s("job") is None


async def test_stopping_without_a_start_is_allowed(counter):
    ticker = Ticker()
    ticker.every(1, "job", counter.tick)
    await ticker.stop(1)
    assert counter.count == 0


async def test_ticks_go_on_when_the_host_s_clock_is_set_back(ticker, counter, monkeypatch, caplog):
    monkeypatch.setattr(module, "CLOCK_CHECK_S", 0.02)
    ticker.every(0.05, "job", counter.tick)
    ticker.start()
    await counter.wait_for(1)
    # For apscheduler the same as a clock set back: the next tick is thirteen hours ahead.
    far = ticker._now() + timedelta(hours=13)
    ticker._scheduler.modify_job("job", next_run_time=far)
    await counter.wait_for(3)
    assert "clock was set back" in caplog.text
