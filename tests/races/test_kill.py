"""kill -9 at any moment: every answered command is in the database, and nothing is half done."""

import asyncio
import sys
from random import Random
from uuid import UUID

from dispatch.flows.jobs import commands
from tests.architecture.source import ROOT
from tests.builders import friend_row, import_friends, north
from tests.flows.invariants import check_invariants

KILLS = 3


async def test_no_acknowledged_win_is_lost_when_its_process_is_killed(
    rt, owner, clock, database, tmp_path
):
    await import_friends(
        rt, [friend_row(f"f{n}", north(10 * n), capacity=20) for n in range(1, 200)]
    )
    chance = Random(20260302)
    acknowledged: set[tuple[UUID, UUID]] = set()
    for _ in range(KILLS):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.races.acceptor",
            database.service_dsn,
            database.service_role,
            str(tmp_path),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        for _ in range(chance.randrange(1, 60)):
            acknowledged.add(win(await process.stdout.readline()))
        await asyncio.sleep(chance.uniform(0, 0.02))
        process.kill()
        async for line in process.stdout:
            if line.endswith(b"\n"):
                acknowledged.add(win(line))
        await process.wait()
        assert process.returncode == -9
    held = {(r["booking_id"], r["friend_id"]) for r in await owner.fetch("SELECT * FROM awards")}
    assert acknowledged <= held
    assert len(acknowledged) >= KILLS
    await check_invariants(owner)
    await clock.advance(rt.policy.contact_within)
    while await commands.fire_due_timers(rt, 1000):
        pass
    await check_invariants(owner)
    rows = await owner.fetch("SELECT state FROM awards WHERE state = 'live'")
    assert rows == []


def win(line: bytes) -> tuple[UUID, UUID]:
    booking, friend = line.split()
    return UUID(booking.decode()), UUID(friend.decode())
