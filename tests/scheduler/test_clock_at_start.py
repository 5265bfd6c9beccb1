"""The check of the clock when a worker starts."""

from datetime import UTC, datetime, timedelta

import pytest

from data.store import audit
from dispatch.flows import maintenance
from scheduler.deadlines import ClockSentinel, Deadlines, TrustedOffset, boot_id
from tests.builders import book_and_accept, import_neighbours

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Machine:
    """A host: its wall clock, its monotonic one, and the file with the stored offset."""

    def __init__(self, folder) -> None:
        self.wall = NOON
        self.monotonic_s = 5_000.0
        self.file = folder / "clock"
        self.boot = "first"

    def advance(self, span: timedelta) -> datetime:
        self.wall += span
        self.monotonic_s += span.total_seconds()
        return self.wall

    def reboot(self, off: timedelta) -> datetime:
        self.wall += off
        self.monotonic_s, self.boot = 20.0, f"{self.boot} again".replace(" ", "-")
        return self.wall

    def host_s(self) -> float:
        return self.wall.timestamp()

    def sentinel(self) -> ClockSentinel:
        return ClockSentinel(
            lambda: self.monotonic_s,
            host_s=self.host_s,
            stored=TrustedOffset(self.file, self.boot),
        )


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)


def is_trusted(sentinel: ClockSentinel, wall: datetime, written: datetime | None = None) -> bool:
    return sentinel.start(wall, written, confirmed=False)


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=30), -timedelta(seconds=29)])
@pytest.mark.parametrize("written", [None, NOON - timedelta(days=400), NOON])
def test_clocks_that_agree_are_trusted_at_once(machine, ahead, written):
    assert is_trusted(machine.sentinel(), NOON + ahead, written)


@pytest.mark.parametrize("ahead", [13 * HOUR, -HOUR, timedelta(seconds=31)])
def test_clocks_that_disagree_are_not_trusted_until_they_agree(machine, ahead, caplog):
    sentinel = machine.sentinel()
    for _ in range(100):
        assert not is_trusted(sentinel, machine.advance(timedelta(minutes=1)) + ahead)
    assert [r.levelname for r in caplog.records] == ["CRITICAL"]
    assert not sentinel.trusted
    assert "apart" in sentinel.doubt
    assert is_trusted(sentinel, machine.wall)
    assert sentinel.trusted
    assert sentinel.doubt == ""


def test_a_last_event_in_the_future_is_not_trusted_until_then(machine):
    sentinel = machine.sentinel()
    written = NOON + HOUR
    assert not is_trusted(sentinel, NOON, written)
    assert "3600 s in the future" in sentinel.doubt
    assert is_trusted(sentinel, machine.advance(HOUR), written)


def test_an_operator_may_confirm_the_database_clock(machine):
    assert machine.sentinel().start(NOON + 13 * HOUR, None, confirmed=True)
    sentinel = machine.sentinel()
    assert not is_trusted(sentinel, NOON - HOUR, NOON)
    sentinel.confirm()
    assert is_trusted(sentinel, NOON - HOUR, NOON)
    assert sentinel.check(NOON - HOUR)


def test_a_machine_that_was_off_for_a_week_starts_without_alarm(machine, caplog):
    assert is_trusted(machine.sentinel(), NOON)
    wall = machine.reboot(timedelta(days=7))
    assert is_trusted(machine.sentinel(), wall, NOON)
    assert caplog.records == []


def test_a_machine_suspended_for_a_week_starts_without_alarm(machine, caplog):
    assert is_trusted(machine.sentinel(), NOON)
    assert is_trusted(machine.sentinel(), machine.advance(timedelta(days=7)), NOON)
    assert caplog.records == []


@pytest.mark.parametrize("jump", [13 * HOUR, -HOUR])
def test_a_jump_between_two_processes_is_a_jump(machine, jump, caplog):
    """Host and database are one machine whose clock was set while no worker ran."""
    assert is_trusted(machine.sentinel(), NOON)
    machine.advance(HOUR)
    machine.wall += jump
    sentinel = machine.sentinel()
    assert not is_trusted(sentinel, machine.wall)
    assert "jumped by" in caplog.text
    assert not sentinel.check(machine.advance(timedelta(seconds=299)))
    assert sentinel.check(machine.advance(timedelta(seconds=2)))
    assert is_trusted(machine.sentinel(), machine.wall)


@pytest.mark.parametrize("text", ["", "nonsense", "first not-a-number", "first 1 2", "\x00"])
def test_an_unreadable_stored_offset_is_ignored(machine, text):
    machine.file.write_text(text)
    assert TrustedOffset(machine.file, "first").load() is None
    assert is_trusted(machine.sentinel(), NOON)


def test_the_offset_is_stored_once_and_not_at_every_check(machine):
    sentinel = machine.sentinel()
    is_trusted(sentinel, NOON)
    machine.file.unlink()
    for _ in range(5):
        assert sentinel.check(machine.advance(timedelta(seconds=1)))
    assert not machine.file.exists()
    assert not list(machine.file.parent.glob("clock.*"))


def test_a_missing_folder_is_tolerated(machine, tmp_path):
    machine.file = tmp_path / "nowhere" / "clock"
    assert is_trusted(machine.sentinel(), NOON)


def test_the_boot_id_is_stable():
    assert boot_id() == boot_id()
    assert " " not in boot_id()


async def test_a_worker_started_on_a_wrong_clock_waits_for_confirmation(
    rt, clock, owner, monkeypatch, caplog
):
    await import_neighbours(rt, 4)
    booking_id, _ = await book_and_accept(rt)
    await clock.advance(timedelta(hours=13))
    wall = await owner.fetchval("SELECT moment()")

    async def read(rt):
        return wall

    monkeypatch.setattr(maintenance, "wall_clock", read)
    host = wall - timedelta(hours=13)
    sentinel = ClockSentinel(lambda: 1.0, host_s=host.timestamp)
    deadlines = Deadlines(rt, sooner=lambda in_s: None, sentinel=sentinel)
    state = "SELECT state::text FROM bookings WHERE id = $1"
    for _ in range(3):
        await deadlines.tick()
    assert await owner.fetchval(state, booking_id) == "awarded"
    assert "clock confirm" in caplog.text
    await audit.record(owner, actor="system", act="clock.confirmed", subject="clock")
    await deadlines.tick()
    assert await owner.fetchval(state, booking_id) != "awarded"


async def test_a_confirmation_holds_for_an_hour(rt, clock, owner):
    assert not await maintenance.is_clock_confirmed(rt)
    await audit.record(owner, actor="system", act="clock.confirmed", subject="clock")
    await clock.advance(timedelta(minutes=59))
    for number in range(1001):
        await audit.record(owner, actor="desk", act="booking.opened", subject=str(number))
    assert await maintenance.is_clock_confirmed(rt)
    await clock.advance(timedelta(minutes=2))
    assert not await maintenance.is_clock_confirmed(rt)


async def test_the_time_of_the_last_event_is_known(rt, clock, owner):
    assert await maintenance.last_event_at(rt) is None
    await import_neighbours(rt, 4)
    await book_and_accept(rt)
    assert await maintenance.last_event_at(rt) == await owner.fetchval("SELECT max(at) FROM events")
