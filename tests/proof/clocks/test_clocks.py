"""Twelve hours are twelve hours: when local time changes, a clock jumps or a machine sleeps.

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
from tests.flows.invariants import check_invariants, violations
from tests.proof import page, report
from tests.proof.chaos.checker import VIOLATION_QUERIES
from tests.proof.clocks import daylight_saving
from tests.proof.clocks.clock_shift import ClockShift, NoCompiler
from tests.proof.deployment import deploy, friend_groups
from tests.proof.races.rounds import book, open_lanes

WHOLE = report.is_whole()
MISSED = "SELECT count(*) FROM events WHERE kind = 'contact.missed'"
FIRED = "SELECT count(*) FROM events WHERE actor = 'system'"
TRUSTED_AGAIN = "agrees again"
APART = "no deadline is acted on until that is corrected"
BELIEVED = "the database's clock is trusted"
JUMPED = "the database's clock jumped by"
SOON_S = 20.0


@pytest.fixture(scope="module")
def findings(request):
    """Collects the findings; a whole run writes them and the failures to docs/proof.md."""
    lines: list[str] = []
    yield lines
    if WHOLE and lines:
        lines += ["", f"**Tests that failed: {request.session.testsfailed}.**"]
        page.write("clocks", "Clocks", "python -m tests.proof.clocks", lines)


@pytest.mark.timeout(240)
async def test_twelve_hours_are_twelve_hours_in_both_nights_of_the_year(rt, owner, clock, findings):
    await daylight_saving.create_friends(rt)
    passed = [
        await daylight_saving.run_night(
            rt, owner, clock, market=market, at=evening + timedelta(hours=later_h)
        )
        for evening in daylight_saving.EVENINGS
        for later_h in (daylight_saving.LATER_H if WHOLE else daylight_saving.LATER_H[:1])
        for market in Market
    ]
    assert [night for night in passed if not night.is_right] == []
    # In local time thirteen hours pass in spring and eleven in autumn.
    assert Counter(night.local_s for night in passed).keys() == {46_800.0, 39_600.0}
    await check_invariants(owner)
    findings += [
        "Awards in the evening and night before local time changes, swept a microsecond before",
        "their deadline (nothing fires), at it (once), two hours later (nothing more):",
        "",
    ]
    counts = Counter(
        (night.market, night.due.date(), night.elapsed_s, night.local_s / 3600) for night in passed
    )
    head = ("market", "night to", "seconds elapsed", "hours in local time", "awards", "wrong")
    findings += [
        report.table(head, [(*what, times, 0) for what, times in sorted(counts.items())]),
        "",
    ]


@pytest.fixture
def shift():
    """A shift of the database server's clock, in a folder that its account can read."""
    with tempfile.TemporaryDirectory(prefix="tekkie-shift-") as folder:
        try:
            yield ClockShift(Path(folder))
        except NoCompiler as error:
            pytest.skip(str(error))


async def wait_until(read, wanted) -> float:
    """Wait until `read()` is `wanted`; returns for how long in seconds."""
    began_s = time.monotonic()
    async with asyncio.timeout(SOON_S):
        while (found := await read()) != wanted:  # noqa: ASYNC110 - a log sends no notice
            await asyncio.sleep(0.1)
    assert found == wanted
    return time.monotonic() - began_s


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("proof")
async def test_a_database_clock_that_jumps_costs_nobody_a_job_and_is_logged(shift, findings):
    wait_s = 8.0 if WHOLE else 2.5
    async with AsyncExitStack() as closing:
        deployment = await closing.enter_async_context(
            deploy(
                friend_groups(1),
                apis=1,
                workers=1,
                speed=None,
                postmaster={"preload": shift.preload},
            )
        )
        [lane] = open_lanes(deployment, 1)
        closing.callback(lane.close)
        booking, offers = await book(lane, 1)
        friend, connection = lane.friends[0]
        won = await connection.request(
            "POST", f"/v1/offers/{offers[str(friend.id)]}/accept", token=friend.token
        )
        assert won.is_ok
        await book(lane, 2)
        worker = deployment.workers[0]

        async def count_in_log(word: str) -> int:
            return worker.log.read_text("utf-8").count(word)

        async with deployment.owner() as owner:
            before = await owner.fetchval(FIRED)
            wall = await moment(owner)
            for jumps, by_s in enumerate((13 * 3600, 0, -3600, 0), start=1):
                shift.set_seconds(by_s)
                found = (await moment(owner) - wall).total_seconds()
                assert abs(found - by_s) < 60
                word, times = (JUMPED, (jumps + 1) // 2) if by_s else (TRUSTED_AGAIN, jumps // 2)
                logged_s = await wait_until(lambda w=word: count_in_log(w), times)
                if by_s:
                    await asyncio.sleep(wait_s)
                    findings.append(
                        f"- Database clock moved by {by_s / 3600:+.0f} h: logged after"
                        f" {logged_s:.1f} s, timers fired in {wait_s:.1f} s: "
                        f"{await owner.fetchval(FIRED) - before}."
                    )
                if by_s < 0:
                    # The hour comes twice; the customer of its first run is contacted in it.
                    path = f"/v1/bookings/{booking['id']}/contacted"
                    reached = await connection.request("POST", path, token=friend.token)
                    assert reached.is_ok, reached.body
                assert await owner.fetchval(FIRED) == before
                assert await owner.fetchval(MISSED) == 0
            assert await violations(owner) == []


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("proof")
async def test_a_worker_started_after_the_database_clock_jumped_fires_nothing_until_it_is_right(
    shift, findings
):
    wait_s = 8.0 if WHOLE else 2.0
    async with AsyncExitStack() as closing:
        deployment = await closing.enter_async_context(
            deploy(
                friend_groups(1),
                apis=1,
                workers=1,
                speed=None,
                postmaster={"preload": shift.preload},
            )
        )
        [lane] = open_lanes(deployment, 1)
        closing.callback(lane.close)
        _, offers = await book(lane, 1)
        friend, connection = lane.friends[0]
        path = f"/v1/offers/{offers[str(friend.id)]}/accept"
        assert (await connection.request("POST", path, token=friend.token)).is_ok
        worker = deployment.workers[0]

        async def count_in_log(word: str) -> int:
            return worker.log.read_text("utf-8").count(word)

        async with deployment.owner() as owner:
            before = await owner.fetchval(FIRED)
            for starts, by_s in enumerate((13 * 3600, -3600), start=1):
                worker.stop()
                shift.set_seconds(by_s)
                worker.start()
                logged_s = await wait_until(lambda: count_in_log(APART), starts)
                await asyncio.sleep(wait_s)
                fired = await owner.fetchval(FIRED) - before
                findings.append(
                    f"- A worker started after the database's clock was moved by "
                    f"{by_s / 3600:+.0f} h: logged after {logged_s:.1f} s, timers fired in "
                    f"{wait_s:.1f} s: {fired}."
                )
                assert fired == 0
                shift.set_seconds(0)
                await wait_until(lambda: count_in_log(BELIEVED), starts)
            assert await owner.fetchval(MISSED) == 0
            assert await violations(owner) == []


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("proof")
async def test_a_suspended_machine_fires_each_missed_deadline_once_when_it_resumes(findings):
    jobs, sleeps_s = (24, 15.0) if WHOLE else (4, 2.0)
    async with deploy(friend_groups(2), apis=1, workers=2 if WHOLE else 1, speed=1.0) as deployment:
        two = open_lanes(deployment, 2)
        for number in range(jobs):
            await _award(two[number % 2], number)
        for lane in two:
            lane.close()
        async with deployment.owner() as owner:
            first = await owner.fetchval("SELECT min(contact_due_at) FROM awards")
        # The deadlines fall due while every process is frozen.
        await deployment.set_clock(first - timedelta(seconds=1.0), 60.0)
        deployment.postmaster.freeze()
        for process in deployment.processes:
            process.freeze()
        await asyncio.sleep(sleeps_s)
        for process in deployment.processes:
            process.thaw()
        deployment.postmaster.thaw()
        async with deployment.owner() as owner:
            took_s = await wait_until(lambda: owner.fetchval(MISSED), jobs)
            found = [await owner.fetch(question) for question in VIOLATION_QUERIES.values()]
            assert [row for rows in found for row in rows] == []
            assert await violations(owner) == []
    findings.append(
        f"- Everything frozen for {sleeps_s:.0f} s while {jobs} deadlines passed: each fired once,"
        f" all within {took_s:.1f} s of resuming."
    )


async def _award(lane, number: int) -> None:
    _, offers = await book(lane, number)
    friend, connection = lane.friends[number % 8]
    path = f"/v1/offers/{offers[str(friend.id)]}/accept"
    assert (await connection.request("POST", path, token=friend.token)).is_ok
