"""One run of chaos: build a house, let people in, break things, heal, and ask what is true."""

import asyncio
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from tests.builders import friend_row, north
from tests.proof.chaos.checker import OVERDUE, Clock, Found, check
from tests.proof.chaos.crowd import Crowd
from tests.proof.chaos.disk import small_disk
from tests.proof.chaos.ledger import Ledger
from tests.proof.chaos.nemesis import Nemesis, Supervisor
from tests.proof.chaos.overload import Flood
from tests.proof.chaos.witness import Ability, Witness
from tests.proof.house import MEMORY, House, house

SETTLES_WITHIN_S = 30.0
CALM_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long, how hard and with whom; `kills` ends the run instead of `lasts_s`.

    With `kills`, three tenths of them at least are of each of API, worker and PostgreSQL. After
    the last fault everybody goes on for `calm_s` seconds.
    """

    seed: int
    lasts_s: float
    kills: int = 0
    calm_s: float = 0.0
    every_s: float = 0.8
    speed: float = 600.0
    friends: int = 24
    customers: int = 6
    pause_s: float = 0.5
    apis: int = 2
    workers: int = 2
    overload: bool = True
    base: Path | None = MEMORY
    logs: Path | None = None
    jump: bool = False
    disk: bool = True
    only: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Story:
    """What happened."""

    plan: Plan
    faults: Counter[str]
    kills: list[int]
    ledger: Ledger
    flood: Flood | None
    found: Found
    settled_s: float | None
    ability: Ability
    calm_from_s: float
    lasted_s: float
    deadlocks: int
    wrong: list[str] = field(default_factory=list)


async def run(plan: Plan) -> Story:
    """Carry a plan out."""
    if not plan.disk:
        return await _run(plan, None)
    with small_disk() as disk:
        return await _run(plan, disk)


async def _run(plan: Plan, disk: Path | None) -> Story:
    chance = Random(plan.seed)
    rows = [
        friend_row(f"f{n:02}", north(150 * (n - plan.friends // 2)), capacity=4)
        for n in range(plan.friends)
    ]
    async with house(
        rows, apis=plan.apis, workers=plan.workers, speed=plan.speed, base=plan.base, disk=disk
    ) as made:
        crowd = Crowd(made, Random(chance.random()), pause_s=plan.pause_s)
        flood = Flood(made, crowd.ledger, crowd.may_give_up) if plan.overload else None
        nemesis = Nemesis(made, Random(chance.random()), plan.every_s, flood, disk, plan.only)
        witness = Witness(made, crowd.ledger, nemesis.faults, lambda: _tracebacks(made))
        async with made.owner() as owner:
            clock = await Clock.of(owner)
        supervisor = Supervisor(made, Random(chance.random()))
        background = [
            asyncio.create_task(one) for one in (supervisor.run(), witness.watch(), witness.tell())
        ]
        began_s = time.monotonic()
        crowd.begin(plan.customers)
        await nemesis.run(lambda: _over(plan, nemesis, began_s))
        settled_s = await _settled(made, plan, nemesis.last_s)
        calm_from_s = time.time()
        await asyncio.sleep(plan.calm_s)
        await crowd.stop()
        lasted_s = time.monotonic() - began_s
        flowed, unrung = await _ring_all(made, plan)
        await _end(background)
        await witness.remember()
        async with made.owner() as owner:
            found = await check(owner, crowd.ledger, clock, flowed, witness.keys)
        deadlocks = made.postmaster.said().count("deadlock detected")
        story = Story(
            plan=plan,
            faults=nemesis.faults,
            kills=nemesis.kills,
            ledger=crowd.ledger,
            flood=flood,
            found=found,
            settled_s=settled_s,
            ability=witness.ability,
            calm_from_s=calm_from_s,
            lasted_s=lasted_s,
            deadlocks=deadlocks,
        )
        story.wrong = [*found.wrong, *witness.wrong, *unrung, *_tracebacks(made)]
        if plan.logs is not None:
            _keep_logs(made, plan.logs)
    if settled_s is None:
        story.wrong.append(f"not settled within {SETTLES_WITHIN_S:.0f} s of the last fault")
    if deadlocks:
        story.wrong.append(f"{deadlocks} deadlocks")
    return story


def _over(plan: Plan, nemesis: Nemesis, began_s: float) -> bool:
    if plan.kills:
        return sum(nemesis.kills) >= plan.kills and min(nemesis.kills) >= 0.3 * plan.kills
    return time.monotonic() - began_s >= plan.lasts_s


async def _settled(made: House, plan: Plan, last_s: float) -> float | None:
    """Seconds from the last fault until nothing was overdue and all were at work; None if late."""
    until_s = last_s + SETTLES_WITHIN_S
    while time.monotonic() < until_s:
        if await _is_calm(made, plan):
            return time.monotonic() - last_s
        await asyncio.sleep(0.25)
    return None


async def _is_calm(made: House, plan: Plan) -> bool:
    if made.postmaster.dead or not all(not one.dead and one.at_work() for one in made.processes):
        return False
    try:
        async with asyncio.timeout(5), made.owner() as owner:
            return await owner.fetchval(OVERDUE, CALM_S * plan.speed) == 0
    except Exception:
        return False


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Raises what one of them ended with, if it was not told to."""
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended


async def _ring_all(made: House, plan: Plan) -> tuple[datetime, list[str]]:
    """Let the twelve hours of whoever was last awarded pass too.

    Returns until when time flowed, and what is wrong if deadlines are left that nobody rings.
    """
    unrung: list[str] = []
    until_s = time.monotonic() + 43_200 / plan.speed + 10
    async with made.owner() as owner:
        flowed = await owner.fetchval("SELECT moment()")
        if plan.jump:
            await made.set_clock(flowed + timedelta(hours=12), plan.speed)
        while time.monotonic() < until_s:
            if not await owner.fetchval(
                "SELECT count(*) FROM timers WHERE kind = 'contact_deadline'"
            ):
                break
            await asyncio.sleep(0.25)
        # The trade stands still while it is looked at.
        now = await owner.fetchval("SELECT moment()")
        await made.set_clock(now, 0.0)
        try:
            async with asyncio.timeout(20):
                while await owner.fetchval(OVERDUE, 0.0):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        except TimeoutError:
            unrung.append("deadlines are overdue and nobody rings them")
    return flowed if plan.jump else now, unrung


def _keep_logs(made: House, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for log in (*(one.log for one in made.processes), made.postmaster.place.log):
        shutil.copy(log, folder / log.name)


def _tracebacks(made: House) -> list[str]:
    """Errors nobody foresaw, from the logs."""
    wrong = []
    for process in made.processes:
        text = process.log.read_text("utf-8", "replace")
        wrong += [
            f"{process.name} met an error nobody foresaw: {_last(part)}"
            for part in text.split("Traceback (most recent call last)")[1:]
        ]
    return wrong[:10]


def _last(traceback: str) -> str:
    lines = [line for line in traceback.splitlines()[1:40] if line and not line.startswith(" ")]
    return lines[0][:300] if lines else traceback[:300]
