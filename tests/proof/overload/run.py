"""Twice as many bookings as can be served: how soon they are shed, and when it recovers."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from tests.builders import friend_row, north
from tests.flows.invariants import violations
from tests.proof import page
from tests.proof.connection import Connection, Unanswered
from tests.proof.deployment import Deployment, booking_body, deploy
from tests.proof.overload.generator import (
    NOT_SENT,
    Answer,
    Phase,
    Plan,
    read_answers,
    start_flood,
)

SHED = frozenset({429, 503})
PROBE_EVERY_S = 0.05
OFFER_LIFE = timedelta(hours=1)
LATE = """
SELECT extract(epoch FROM answered_at - expires_at)::float8 AS late_s
FROM offers WHERE state = 'expired'"""
DUE_TIMERS = "SELECT count(*) FROM timers WHERE not_before < moment() - interval '1 second'"
ACKNOWLEDGED = "SELECT count(*) FROM answers WHERE body IS NOT NULL AND key LIKE 'overload-%'"
UNFILLED = "SELECT count(*) FROM bookings WHERE state = 'unfilled'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How many friends, and how long each part takes in seconds."""

    friends: int = 20_000
    warm_s: float = 2.0
    capacity_s: float = 6.0
    calm_s: float = 6.0
    over_s: float = 8.0
    after_s: float = 8.0
    deadlines: int = 40
    clients: int = 64
    times: float = 2.0


@dataclass(kw_only=True)
class OverloadResult:
    """What happened; `probes` are those of a single client during the overload."""

    capacity: float
    calm: list[Answer]
    over: list[Answer]
    after: list[Answer]
    probes: list[Answer]
    late_s: list[float]
    recovered_s: float | None
    unfilled: int
    violations: list[str] = field(default_factory=list)


def shed(answers: Sequence[Answer]) -> list[Answer]:
    """The answers that shed load."""
    return [one for one in answers if one.status in SHED]


def served(answers: Sequence[Answer]) -> list[Answer]:
    """The answers that created a booking."""
    return [one for one in answers if one.status == 201]


async def run(extent: Extent) -> OverloadResult:
    """One API process, one worker, PostgreSQL, and a generator of requests."""
    rows = [
        friend_row(f"f{n:05}", north(n - extent.friends / 2), capacity=4)
        for n in range(extent.friends)
    ]
    async with deploy(rows, apis=1, workers=1) as deployment:
        await _book_expiring_offers(deployment, extent)
        capacity = await _measure_capacity(deployment, extent)
        phases = [
            Phase(extent.calm_s, rate=0.7 * capacity),
            Phase(extent.over_s, rate=extent.times * capacity),
            Phase(extent.after_s, rate=0.7 * capacity),
        ]
        plan = Plan(deployment.apis[0].port, phases, first=2_000_000, spread_m=extent.friends / 2)
        generator = await asyncio.to_thread(start_flood, plan)
        probing = asyncio.create_task(_probe(deployment))
        # The generator takes a moment to start; the offers expire while it floods.
        await asyncio.sleep(extent.calm_s + 1.0)
        await _move_clock_to_expiry(deployment)
        answers = await asyncio.to_thread(read_answers, generator)
        probing.cancel()
        [probes] = await asyncio.gather(probing)
        calm, over, after = ([one for one in answers if one.phase == n] for n in range(3))
        return await _check(
            deployment,
            OverloadResult(
                capacity=capacity,
                calm=calm,
                over=over,
                after=after,
                probes=probes,
                late_s=[],
                recovered_s=_recovery_s(calm, over, after),
                unfilled=0,
            ),
            extent,
        )


async def _book_expiring_offers(deployment: Deployment, extent: Extent) -> None:
    """Make bookings whose offers, and no others, expire during the flood."""
    connection = Connection(deployment.apis[0].port)
    pause_s = 0.6 * extent.over_s / extent.deadlines
    for number in range(extent.deadlines):
        reply = await connection.request(
            "POST", "/v1/bookings", key=f"due-{number}", body=booking_body(number)
        )
        assert reply.is_ok, reply.body
        await asyncio.sleep(pause_s)
    connection.close()
    async with deployment.owner() as owner:
        now = await owner.fetchval("SELECT moment()")
    await deployment.set_clock(now + OFFER_LIFE / 2, 1.0)


async def _move_clock_to_expiry(deployment: Deployment) -> None:
    async with deployment.owner() as owner:
        first = await owner.fetchval("SELECT min(expires_at) FROM offers")
    await deployment.set_clock(first, 1.0)


async def _measure_capacity(deployment: Deployment, extent: Extent) -> float:
    """Bookings a second served to clients in a closed loop."""
    rates = []
    for first, seconds in ((500_000, extent.warm_s), (1_000_000, extent.capacity_s)):
        phases = [Phase(seconds, clients=extent.clients)]
        plan = Plan(deployment.apis[0].port, phases, first=first, spread_m=extent.friends / 2)
        answers = served(await asyncio.to_thread(lambda plan=plan: read_answers(start_flood(plan))))
        took_s = max(one.ended_s for one in answers) - min(one.sent_s for one in answers)
        rates.append(len(answers) / took_s)
    return rates[-1]


async def _probe(deployment: Deployment) -> list[Answer]:
    """Book twenty times a second from a single client beside the flood, until cancelled."""
    connection = Connection(deployment.apis[0].port)
    probes: list[Answer] = []
    try:
        for number in itertools.count(9_000_000):
            try:
                reply = await connection.request(
                    "POST", "/v1/bookings", key=f"probe-{number}", body=booking_body(number)
                )
            except Unanswered:
                continue
            has_retry_after = "retry-after" in reply.headers
            began_s, ended_s = reply.began_s, reply.ended_s
            probes.append(Answer(0, began_s, began_s, ended_s, reply.status, has_retry_after))
            await asyncio.sleep(PROBE_EVERY_S)
    except asyncio.CancelledError:
        connection.close()
    return probes


def _recovery_s(
    calm: Sequence[Answer], over: Sequence[Answer], after: Sequence[Answer]
) -> float | None:
    """Seconds after the overload from which on all are served about as fast as before it.

    About as fast: the p99 of every second is at most twice what it was before plus 0.1 s. None if
    that moment never came.
    """
    usual_s = 2 * page.percentile([one.took_s for one in served(calm)], 0.99) + 0.1
    ended_s = max(one.due_s for one in over)
    seconds: dict[int, list[Answer]] = defaultdict(list)
    for one in after:
        seconds[int(10 * (one.due_s - ended_s))].append(one)
    recovered_s = None
    for tenth in sorted(seconds, reverse=True):
        second = [one for later in range(tenth, tenth + 10) for one in seconds.get(later, ())]
        took_s = [one.ended_s - one.due_s for one in second]
        if len(served(second)) < len(second) or page.percentile(took_s, 0.99) > usual_s:
            return recovered_s
        recovered_s = max(0.0, tenth / 10)
    return recovered_s


async def _check(deployment: Deployment, result: OverloadResult, extent: Extent) -> OverloadResult:
    everything = [*result.calm, *result.over, *result.after, *result.probes]
    without = [one for one in shed(everything) if not one.has_retry_after]
    unexpected = {one.status for one in everything} - SHED - {201, NOT_SENT}
    if without:
        result.violations.append(f"{len(without)} were shed without Retry-After")
    if unexpected:
        result.violations.append(f"answered {sorted(unexpected)} (0: never)")
    async with deployment.owner() as owner:
        async with asyncio.timeout(60):
            while await owner.fetchval(DUE_TIMERS):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        stored = await owner.fetchval(ACKNOWLEDGED)
        result.late_s = [row["late_s"] for row in await owner.fetch(LATE)]
        result.unfilled = await owner.fetchval(UNFILLED)
        result.violations += await violations(owner)
    acknowledged = len(served([*result.calm, *result.over, *result.after]))
    if stored < acknowledged:
        result.violations.append(
            f"{acknowledged} bookings were acknowledged and {stored} are stored"
        )
    if len(result.late_s) < extent.deadlines:
        result.violations.append(f"only {len(result.late_s)} offers expired")
    return result
