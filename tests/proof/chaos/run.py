"""One chaos run: deploy, start clients, inject faults, heal, and check everything."""

import asyncio
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from tests.builders import friend_row, north
from tests.proof.chaos.checker import OVERDUE, Clock, Findings, check
from tests.proof.chaos.clients import Clients
from tests.proof.chaos.disk import small_disk
from tests.proof.chaos.history import History
from tests.proof.chaos.monitor import Availability, Monitor
from tests.proof.chaos.nemesis import Nemesis, Supervisor
from tests.proof.chaos.overload import Flood
from tests.proof.deployment import MEMORY, Deployment, deploy

SETTLES_WITHIN_S = 30.0
CALM_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The extent of a run; `kills`, when given, ends it instead of `lasts_s`.

    At least three tenths of `kills` hit each of API, worker and PostgreSQL. After the last fault
    the clients go on for `calm_s` seconds.
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
class RunResult:
    """What happened in a run, and every violation found."""

    plan: Plan
    faults: Counter[str]
    kills: list[int]
    history: History
    flood: Flood | None
    findings: Findings
    settled_s: float | None
    availability: Availability
    calm_from_s: float
    lasted_s: float
    deadlocks: int
    violations: list[str] = field(default_factory=list)


async def run(plan: Plan) -> RunResult:
    """Run a plan."""
    if not plan.disk:
        return await _run(plan, None)
    with small_disk() as disk:
        return await _run(plan, disk)


async def _run(plan: Plan, disk: Path | None) -> RunResult:
    chance = Random(plan.seed)
    rows = [
        friend_row(f"f{n:02}", north(150 * (n - plan.friends // 2)), capacity=4)
        for n in range(plan.friends)
    ]
    async with deploy(
        rows, apis=plan.apis, workers=plan.workers, speed=plan.speed, base=plan.base, disk=disk
    ) as deployment:
        clients = Clients(deployment, Random(chance.random()), pause_s=plan.pause_s)
        flood = Flood(deployment, clients.history, clients.give_up_later) if plan.overload else None
        nemesis = Nemesis(deployment, Random(chance.random()), plan.every_s, flood, disk, plan.only)
        monitor = Monitor(
            deployment, clients.history, nemesis.faults, lambda: _find_tracebacks(deployment)
        )
        async with deployment.owner() as owner:
            clock = await Clock.read(owner)
        supervisor = Supervisor(deployment, Random(chance.random()))
        background = [
            asyncio.create_task(one)
            for one in (supervisor.run(), monitor.sample(), monitor.report())
        ]
        began_s = time.monotonic()
        clients.start(plan.customers)
        await nemesis.run(lambda: _is_over(plan, nemesis, began_s))
        settled_s = await _wait_until_settled(deployment, plan, nemesis.last_s)
        calm_from_s = time.time()
        await asyncio.sleep(plan.calm_s)
        await clients.stop()
        lasted_s = time.monotonic() - began_s
        until, overdue = await _fire_all_deadlines(deployment, plan)
        await _cancel_tasks(background)
        await monitor.read_keys()
        async with deployment.owner() as owner:
            findings = await check(owner, clients.history, clock, until, monitor.keys)
        deadlocks = deployment.postmaster.read_log().count("deadlock detected")
        result = RunResult(
            plan=plan,
            faults=nemesis.faults,
            kills=nemesis.kills,
            history=clients.history,
            flood=flood,
            findings=findings,
            settled_s=settled_s,
            availability=monitor.availability,
            calm_from_s=calm_from_s,
            lasted_s=lasted_s,
            deadlocks=deadlocks,
        )
        result.violations = [
            *findings.violations,
            *monitor.violations,
            *overdue,
            *_find_tracebacks(deployment),
        ]
        if plan.logs is not None:
            _keep_logs(deployment, plan.logs)
    if settled_s is None:
        result.violations.append(f"not settled within {SETTLES_WITHIN_S:.0f} s of the last fault")
    if deadlocks:
        result.violations.append(f"{deadlocks} deadlocks")
    return result


def _is_over(plan: Plan, nemesis: Nemesis, began_s: float) -> bool:
    if plan.kills:
        return sum(nemesis.kills) >= plan.kills and min(nemesis.kills) >= 0.3 * plan.kills
    return time.monotonic() - began_s >= plan.lasts_s


async def _wait_until_settled(deployment: Deployment, plan: Plan, last_s: float) -> float | None:
    """Seconds from the last fault until nothing was overdue and all were ready; None if late."""
    until_s = last_s + SETTLES_WITHIN_S
    while time.monotonic() < until_s:
        if await _is_calm(deployment, plan):
            return time.monotonic() - last_s
        await asyncio.sleep(0.25)
    return None


async def _is_calm(deployment: Deployment, plan: Plan) -> bool:
    if deployment.postmaster.is_dead or not all(
        not one.is_dead and one.is_ready() for one in deployment.processes
    ):
        return False
    try:
        async with asyncio.timeout(5), deployment.owner() as owner:
            return await owner.fetchval(OVERDUE, CALM_S * plan.speed) == 0
    except Exception:
        return False


async def _cancel_tasks(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks; raises what one of them failed with."""
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


async def _fire_all_deadlines(deployment: Deployment, plan: Plan) -> tuple[datetime, list[str]]:
    """Let the contact deadline of the last award pass too.

    Returns until when the test clock ran evenly, and a violation if deadlines stay overdue.
    """
    overdue: list[str] = []
    until_s = time.monotonic() + 43_200 / plan.speed + 10
    async with deployment.owner() as owner:
        until = await owner.fetchval("SELECT moment()")
        if plan.jump:
            await deployment.set_clock(until + timedelta(hours=12), plan.speed)
        while time.monotonic() < until_s:
            if not await owner.fetchval(
                "SELECT count(*) FROM timers WHERE kind = 'contact_deadline'"
            ):
                break
            await asyncio.sleep(0.25)
        # The test clock stops while the tables are checked.
        now = await owner.fetchval("SELECT moment()")
        await deployment.set_clock(now, 0.0)
        try:
            async with asyncio.timeout(20):
                while await owner.fetchval(OVERDUE, 0.0):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        except TimeoutError:
            overdue.append("deadlines are overdue and do not fire")
    return until if plan.jump else now, overdue


def _keep_logs(deployment: Deployment, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for log in (*(one.log for one in deployment.processes), deployment.postmaster.place.log):
        shutil.copy(log, folder / log.name)


def _find_tracebacks(deployment: Deployment) -> list[str]:
    """Unexpected errors in the logs."""
    found = []
    for process in deployment.processes:
        text = process.log.read_text("utf-8", "replace")
        found += [
            f"{process.name} logged an unexpected error: {_last(part)}"
            for part in text.split("Traceback (most recent call last)")[1:]
        ]
    return found[:10]


def _last(traceback: str) -> str:
    lines = [line for line in traceback.splitlines()[1:40] if line and not line.startswith(" ")]
    return lines[0][:300] if lines else traceback[:300]
