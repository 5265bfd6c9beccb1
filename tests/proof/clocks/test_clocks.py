"""Twelve hours are twelve hours: when the clock on the wall is changed, jumps, or stands still.

The slice with all other tests is short; `python -m tests.proof.clocks` runs all of it.
"""

import asyncio
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from data.db import moment
from data.markets import Market
from tests.flows.invariants import all_is_well, violations
from tests.proof import page, report
from tests.proof.chaos.checker import NEVER
from tests.proof.clocks import nights
from tests.proof.clocks.shift import NoCompiler, Shift
from tests.proof.house import groups, house
from tests.proof.races.rounds import book, lanes

WHOLE = report.is_whole()
MISSED = "SELECT count(*) FROM events WHERE kind = 'contact.missed'"
RUNG = "SELECT count(*) FROM events WHERE actor = 'system'"
TRUSTED_AGAIN = "agrees again"
APART = "no deadline is acted on until that is mended"
BELIEVED = "the database's clock is believed"
JUMPED = "the database's clock jumped by"
SOON_S = 20.0


@pytest.fixture(scope="module")
def told(request):
    """What was found, written to docs/proof.md when the whole ran, and what failed with it."""
    lines: list[str] = []
    yield lines
    if WHOLE and lines:
        lines += ["", f"**Tests that failed: {request.session.testsfailed}.**"]
        page.write("clocks", "Clocks", "python -m tests.proof.clocks", lines)


@pytest.mark.timeout(240)
async def test_twelve_hours_are_twelve_hours_in_both_nights_of_the_year(rt, owner, clock, told):
    await nights.settle_everywhere(rt)
    slept = [
        await nights.sleep_through(
            rt, owner, clock, market=market, at=evening + timedelta(hours=later_h)
        )
        for evening in nights.EVENINGS
        for later_h in (nights.LATER_H if WHOLE else nights.LATER_H[:1])
        for market in Market
    ]
    assert [night for night in slept if not night.well] == []
    # The nights were such nights: the wall says thirteen hours in spring and eleven in autumn.
    assert Counter(night.on_the_wall_s for night in slept).keys() == {46_800.0, 39_600.0}
    await all_is_well(owner)
    told += [
        "Awards in the evening and night before the clock is changed, rung a microsecond before"
    ]
    told += ["their deadline (nothing happens), at it (once), two hours later (nothing more):", ""]
    seen = Counter(
        (night.market, night.due.date(), night.elapsed_s, night.on_the_wall_s / 3600)
        for night in slept
    )
    head = ("market", "night to", "seconds elapsed", "hours on the wall", "awards", "not well")
    told += [report.table(head, [(*what, times, 0) for what, times in sorted(seen.items())]), ""]


@pytest.fixture
def shift():
    """A clock of the database server that can be moved, in a folder its account can reach."""
    with tempfile.TemporaryDirectory(prefix="tekkie-shift-") as folder:
        try:
            yield Shift(Path(folder))
        except NoCompiler as cannot:
            pytest.skip(str(cannot))


async def until(look, wanted) -> float:
    """Wait until `look()` is `wanted`; returns for how long."""
    began_s = time.monotonic()
    async with asyncio.timeout(SOON_S):
        while (found := await look()) != wanted:  # noqa: ASYNC110 - a log tells nobody
            await asyncio.sleep(0.1)
    assert found == wanted
    return time.monotonic() - began_s


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("proof")
async def test_a_database_clock_that_jumps_takes_no_job_from_anybody_and_is_said_aloud(shift, told):
    wait_s = 8.0 if WHOLE else 2.5
    async with AsyncExitStack() as closing:
        made = await closing.enter_async_context(
            house(groups(1), apis=1, workers=1, speed=None, postmaster={"preload": shift.preload})
        )
        [lane] = lanes(made, 1)
        closing.callback(lane.close)
        booking, offers = await book(lane, 1)
        friend, line = lane.friends[0]
        won = await line.ask(
            "POST", f"/v1/offers/{offers[str(friend.id)]}/accept", token=friend.token
        )
        assert won.ok
        await book(lane, 2)
        worker = made.workers[0]

        async def said(word: str) -> int:
            return worker.log.read_text("utf-8").count(word)

        async with made.owner() as owner:
            before = await owner.fetchval(RUNG)
            wall = await moment(owner)
            for jumps, by_s in enumerate((13 * 3600, 0, -3600, 0), start=1):
                shift.by(by_s)
                found = (await moment(owner) - wall).total_seconds()
                assert abs(found - by_s) < 60
                word, times = (JUMPED, (jumps + 1) // 2) if by_s else (TRUSTED_AGAIN, jumps // 2)
                heard_s = await until(lambda w=word: said(w), times)
                if by_s:
                    await asyncio.sleep(wait_s)
                    told.append(
                        f"- Database clock moved by {by_s / 3600:+.0f} h: said aloud after"
                        f" {heard_s:.1f} s, timers rung in {wait_s:.1f} s: "
                        f"{await owner.fetchval(RUNG) - before}."
                    )
                if by_s < 0:
                    # The hour comes twice; what was awarded in its first run is contacted in it.
                    path = f"/v1/bookings/{booking['id']}/contacted"
                    reached = await line.ask("POST", path, token=friend.token)
                    assert reached.ok, reached.body
                assert await owner.fetchval(RUNG) == before
                assert await owner.fetchval(MISSED) == 0
            assert await violations(owner) == []


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("proof")
async def test_a_worker_started_after_the_database_clock_jumped_rings_nothing_until_it_is_right(
    shift, told
):
    wait_s = 8.0 if WHOLE else 2.0
    async with AsyncExitStack() as closing:
        made = await closing.enter_async_context(
            house(groups(1), apis=1, workers=1, speed=None, postmaster={"preload": shift.preload})
        )
        [lane] = lanes(made, 1)
        closing.callback(lane.close)
        _, offers = await book(lane, 1)
        friend, line = lane.friends[0]
        path = f"/v1/offers/{offers[str(friend.id)]}/accept"
        assert (await line.ask("POST", path, token=friend.token)).ok
        worker = made.workers[0]

        async def said(word: str) -> int:
            return worker.log.read_text("utf-8").count(word)

        async with made.owner() as owner:
            before = await owner.fetchval(RUNG)
            for starts, by_s in enumerate((13 * 3600, -3600), start=1):
                worker.end()
                shift.by(by_s)
                worker.start()
                heard_s = await until(lambda: said(APART), starts)
                await asyncio.sleep(wait_s)
                rung = await owner.fetchval(RUNG) - before
                told.append(
                    f"- A worker started after the database's clock was moved by "
                    f"{by_s / 3600:+.0f} h: said aloud after {heard_s:.1f} s, timers rung in "
                    f"{wait_s:.1f} s: {rung}."
                )
                assert rung == 0
                shift.by(0)
                await until(lambda: said(BELIEVED), starts)
            assert await owner.fetchval(MISSED) == 0
            assert await violations(owner) == []


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("proof")
async def test_a_machine_that_slept_through_its_deadlines_rings_each_once_when_it_wakes(told):
    jobs, sleeps_s = (24, 15.0) if WHOLE else (4, 2.0)
    async with house(groups(2), apis=1, workers=2 if WHOLE else 1, speed=1.0) as made:
        two = lanes(made, 2)
        for number in range(jobs):
            await _award(two[number % 2], number)
        for lane in two:
            lane.close()
        async with made.owner() as owner:
            first = await owner.fetchval("SELECT min(contact_due_at) FROM awards")
        # They fall due while everybody sleeps.
        await made.set_clock(first - timedelta(seconds=1.0), 60.0)
        made.postmaster.freeze()
        for process in made.processes:
            process.freeze()
        await asyncio.sleep(sleeps_s)
        for process in made.processes:
            process.thaw()
        made.postmaster.thaw()
        async with made.owner() as owner:
            took_s = await until(lambda: owner.fetchval(MISSED), jobs)
            wrong = [await owner.fetch(question) for question in NEVER.values()]
            assert [row for rows in wrong for row in rows] == []
            assert await violations(owner) == []
    told.append(
        f"- Everything frozen for {sleeps_s:.0f} s while {jobs} deadlines passed: each rung once,"
        f" all within {took_s:.1f} s of waking."
    )


async def _award(lane, number: int) -> None:
    _, offers = await book(lane, number)
    friend, line = lane.friends[number % 8]
    path = f"/v1/offers/{offers[str(friend.id)]}/accept"
    assert (await line.ask("POST", path, token=friend.token)).ok
