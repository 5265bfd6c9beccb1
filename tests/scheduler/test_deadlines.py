import asyncio
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from data.db import DatabaseError, open_pool
from data.enums import TimerKind
from data.settings import Settings
from dispatch.flows import maintenance
from dispatch.flows.bootstrap import open_runtime
from dispatch.flows.jobs import commands as flow
from scheduler import deadlines
from scheduler.deadlines import ClockSentinel, Deadlines, since_boot_s, sweep
from tests.builders import book_and_accept, book_job, import_neighbours
from tests.conftest import end_sessions

ROOT = Path(__file__).parents[2]
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class MonotonicClock:
    """A monotonic clock that only tests move."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def monotonic() -> MonotonicClock:
    return MonotonicClock()


@pytest.fixture
def sentinel(monotonic) -> ClockSentinel:
    return ClockSentinel(monotonic)


def advance(monotonic: MonotonicClock, wall: datetime, seconds: float) -> datetime:
    monotonic.now_s += seconds
    return wall + timedelta(seconds=seconds)


async def test_a_sweep_acts_on_all_that_is_due(rt, clock, monkeypatch):
    monkeypatch.setattr(deadlines, "BATCH", 2)
    await import_neighbours(rt, 4, capacity=20)
    for _ in range(5):
        await book_and_accept(rt)
    assert await sweep(rt) == 0
    await clock.advance(timedelta(hours=12))
    assert await sweep(rt) >= 5
    assert await sweep(rt) == 0


async def test_a_sweep_is_bounded(rt, clock, monkeypatch):
    monkeypatch.setattr(deadlines, "BATCH", 1)
    monkeypatch.setattr(deadlines, "BATCHES_MAX", 2)
    await import_neighbours(rt, 4, capacity=20)
    for _ in range(3):
        await book_job(rt)
    await clock.advance(rt.policy.offer_life)
    assert await sweep(rt) == 2
    assert await sweep(rt) == 1


async def test_a_deadline_fires_at_its_time_and_not_before(rt, clock, owner):
    await import_neighbours(rt, 4)
    booking_id, _ = await book_and_accept(rt)
    due = await owner.fetchval(
        "SELECT due_at FROM timers WHERE booking_id = $1 AND kind = $2",
        booking_id,
        TimerKind.CONTACT_DEADLINE,
    )
    assert due - await clock.now() == timedelta(hours=12)
    await clock.set(due - timedelta(microseconds=1))
    await sweep(rt)
    assert await state(owner, booking_id) == "awarded"
    await clock.set(due)
    await sweep(rt)
    assert await state(owner, booking_id) != "awarded"


async def state(owner, booking_id):
    return await owner.fetchval("SELECT state FROM bookings WHERE id = $1", booking_id)


async def test_many_sweepers_fire_every_deadline_once(rt, database, clock, owner, tmp_path):
    await import_neighbours(rt, 4, capacity=20)
    bookings = [(await book_and_accept(rt))[0] for _ in range(12)]
    await clock.advance(timedelta(hours=12))
    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(sweep_separately(database, tmp_path, number))
    missed = await owner.fetch("SELECT booking_id FROM events WHERE kind = 'contact.missed'")
    assert sorted(row["booking_id"] for row in missed) == sorted(bookings)
    assert await owner.fetchval("SELECT max(open_jobs) FROM friends") == 0


async def sweep_separately(database, tmp_path, number: int) -> None:
    """Sweep with a pool and an index of its own."""
    settings = Settings(data_dir=tmp_path / str(number), pool_size=2)
    async with open_runtime(
        settings, database, application=f"sweeper {number}", chance=Random(1)
    ) as rt:
        await sweep(rt)


SWEEPER = """
import asyncio, sys
from pathlib import Path
from data.database import Database
from data.settings import Settings
from dispatch.flows import jobs
from dispatch.flows.bootstrap import open_runtime
from data.store import jobs as store
from scheduler.deadlines import sweep

async def main(owner, service, role, folder, stop):
    database = Database(owner_dsn=owner, service_dsn=service, service_role=role)
    write = store.write
    async def write_slowly(tx, changes, now):
        await write(tx, changes, now)
        print("written", flush=True)
        if stop == "stop":
            await asyncio.sleep(60)
    store.write = write_slowly
    async with open_runtime(Settings(data_dir=Path(folder)), database, application="sweeper") as rt:
        print(await sweep(rt), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def sweeper(database, folder: Path, stop: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-c", SWEEPER),
            *(database.owner_dsn, database.service_dsn, database.service_role),
            *(str(folder), stop),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


async def test_a_killed_sweeper_has_done_nothing_and_another_does_all(
    rt, database, clock, owner, tmp_path
):
    await import_neighbours(rt, 4, capacity=20)
    bookings = [(await book_and_accept(rt))[0] for _ in range(5)]
    await clock.advance(timedelta(hours=12))
    with sweeper(database, tmp_path, "stop") as killed:
        assert await asyncio.to_thread(killed.stdout.readline) == "written\n"
        killed.send_signal(signal.SIGKILL)
        await asyncio.to_thread(killed.wait)
    assert await owner.fetchval("SELECT count(*) FROM events WHERE kind = 'contact.missed'") == 0
    await wait_for_rollback(owner)
    with sweeper(database, tmp_path, "go") as other:
        output = await asyncio.to_thread(other.stdout.read)
    assert output.split()[-1] != "0"
    missed = await owner.fetch("SELECT booking_id FROM events WHERE kind = 'contact.missed'")
    assert sorted(row["booking_id"] for row in missed) == sorted(bookings)


async def wait_for_rollback(owner) -> None:
    """Wait for the locks of the killed process; the server must first notice its end."""
    await owner.fetch("SELECT id FROM bookings FOR UPDATE")


async def test_a_terminated_connection_loses_nothing(rt, clock, owner):
    await import_neighbours(rt, 4)
    booking_id, _ = await book_and_accept(rt)
    await clock.advance(timedelta(hours=12))
    await end_sessions(owner)
    for _ in range(20):
        try:
            await sweep(rt)
            break
        except DatabaseError:
            continue
    assert await state(owner, booking_id) != "awarded"
    missed = "SELECT count(*) FROM events WHERE kind = 'contact.missed'"
    assert await owner.fetchval(missed) == 1


async def test_a_failing_booking_does_not_block_others(rt, clock, owner, monkeypatch, caplog):
    await import_neighbours(rt, 4, capacity=20)
    bookings = [(await book_and_accept(rt))[0] for _ in range(4)]
    rule = flow.TIMER_RULES[TimerKind.CONTACT_DEADLINE]

    def fail_for_one(case):
        if case.job.booking.id == bookings[1]:
            raise RuntimeError("planted")
        return rule(case)

    monkeypatch.setattr(
        flow, "TIMER_RULES", {**flow.TIMER_RULES, TimerKind.CONTACT_DEADLINE: fail_for_one}
    )
    await clock.advance(timedelta(hours=12))
    await sweep(rt)
    await sweep(rt)
    states = [await state(owner, booking_id) for booking_id in bookings]
    assert [s == "awarded" for s in states] == [False, True, False, False]
    monkeypatch.setattr(flow, "TIMER_RULES", {**flow.TIMER_RULES, TimerKind.CONTACT_DEADLINE: rule})
    await clock.advance(timedelta(hours=1))
    await sweep(rt)
    assert await state(owner, bookings[1]) != "awarded"


async def test_the_next_tick_comes_when_the_next_timer_is_due(rt, clock):
    requested: list[float] = []
    job = Deadlines(rt, sooner=requested.append)
    await import_neighbours(rt, 4)
    await book_job(rt)
    await clock.set(await clock.now(), speed=7200.0)
    await job.tick()
    assert len(requested) == 1
    assert 0 < requested[0] <= 0.5


async def test_distant_timers_request_no_tick(rt):
    requested: list[float] = []
    await import_neighbours(rt, 4)
    await book_job(rt)
    await Deadlines(rt, sooner=requested.append).tick()
    assert requested == []


async def test_a_stopped_clock_requests_no_tick(rt, clock):
    await import_neighbours(rt, 4)
    await book_job(rt)
    assert await maintenance.next_due_s(rt) is None
    await clock.set(await clock.now(), speed=60.0)
    assert 0 < await maintenance.next_due_s(rt) <= 60
    await clock.set(await clock.now() + timedelta(hours=2))
    assert await maintenance.next_due_s(rt) == 0


async def test_timers_locked_elsewhere_request_no_fast_tick(rt, clock, owner):
    requested: list[float] = []
    await import_neighbours(rt, 4)
    booking_id, _ = await book_and_accept(rt)
    await clock.advance(timedelta(hours=12))
    async with owner.transaction():
        await owner.execute("SELECT FROM bookings WHERE id = $1 FOR UPDATE", booking_id)
        await Deadlines(rt, sooner=requested.append).tick()
    assert requested == [deadlines.STUCK_S]


async def test_a_test_clock_is_not_watched(rt, clock, sentinel):
    assert await maintenance.wall_clock(rt) is None
    job = Deadlines(rt, sooner=lambda in_s: None, sentinel=sentinel)
    await job.tick()
    await clock.advance(timedelta(days=9))
    await job.tick()
    assert sentinel.trusted


async def test_the_server_s_own_clock_is_watched(rt, owner, monotonic, sentinel, caplog):
    await owner.execute(
        "CREATE OR REPLACE FUNCTION tekkie.moment() RETURNS timestamptz LANGUAGE sql VOLATILE"
        " AS 'SELECT clock_timestamp()'"
    )
    job = Deadlines(rt, sooner=lambda in_s: None, sentinel=sentinel)
    await job.tick()
    assert sentinel.trusted
    monotonic.now_s -= 13 * 3600
    await job.tick()
    assert not sentinel.trusted
    assert "jumped by +46800 s" in caplog.text


async def test_no_timer_fires_while_the_clock_is_not_trusted(rt, clock, owner, monkeypatch):
    await import_neighbours(rt, 4)
    booking_id, _ = await book_and_accept(rt)
    wall = datetime(2026, 3, 2, 9, tzinfo=UTC)
    monotonic = MonotonicClock()
    job = Deadlines(
        rt,
        sooner=lambda in_s: None,
        sentinel=ClockSentinel(monotonic, host_s=wall.timestamp),
    )

    async def read(rt):
        return wall

    monkeypatch.setattr(maintenance, "wall_clock", read)
    await job.tick()
    wall += timedelta(hours=13)
    await clock.advance(timedelta(hours=13))
    await job.tick()
    assert await state(owner, booking_id) == "awarded"
    wall = advance(monotonic, wall, deadlines.DISTRUST_S)
    await job.tick()
    assert await state(owner, booking_id) != "awarded"


def test_the_first_check_and_passing_time_are_trusted(sentinel, monotonic):
    wall = START
    assert sentinel.check(wall)
    for seconds in (1, 3600, 86_400, 30, 29):
        wall = advance(monotonic, wall, seconds)
        assert sentinel.check(wall)


@pytest.mark.parametrize("jump", [timedelta(hours=13), timedelta(seconds=31), -timedelta(hours=1)])
def test_a_jump_is_distrusted_for_five_minutes(sentinel, monotonic, jump, caplog):
    sentinel.check(START)
    wall = START + jump
    assert not sentinel.check(wall)
    assert caplog.records[0].levelname == "CRITICAL"
    for _ in range(4):
        wall = advance(monotonic, wall, 74)
        assert not sentinel.check(wall)
    assert sum(r.levelname == "CRITICAL" for r in caplog.records) == 1
    wall = advance(monotonic, wall, 4)
    assert sentinel.check(wall)
    assert sentinel.check(advance(monotonic, wall, 1))


def test_small_steps_are_tolerated(sentinel, monotonic):
    sentinel.check(START)
    assert sentinel.check(START + timedelta(seconds=30))
    assert sentinel.check(START + timedelta(seconds=1))


def test_a_corrected_clock_is_trusted_at_once(sentinel, monotonic):
    sentinel.check(START)
    assert not sentinel.check(START + timedelta(hours=13))
    assert sentinel.check(advance(monotonic, START, 60))


def test_a_second_jump_restarts_the_five_minutes(sentinel, monotonic):
    sentinel.check(START)
    sentinel.check(START + timedelta(hours=13))
    wall = advance(monotonic, START + timedelta(hours=26), 200)
    assert not sentinel.check(wall)
    assert not sentinel.check(advance(monotonic, wall, 200))


def test_an_operator_may_confirm_the_clock(sentinel):
    sentinel.check(START)
    assert not sentinel.check(START + timedelta(hours=13))
    sentinel.confirm()
    assert sentinel.check(START + timedelta(hours=13))
    assert not sentinel.check(START)


def test_the_monotonic_clock_runs():
    before = since_boot_s()
    assert since_boot_s() >= before > 0


async def test_a_pool_without_a_server_raises_what_the_ticker_understands(rt, database, owner):
    pool = await open_pool(
        database.service_dsn, role=database.service_role, size=1, application="away"
    )
    pool.terminate()
    rt.pool = pool
    with pytest.raises(DatabaseError):
        await sweep(rt)
