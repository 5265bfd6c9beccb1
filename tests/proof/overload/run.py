"""Twice as many bookings as can be served: who is told so, how soon, and when all is well again."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from tests.builders import friend_row, north
from tests.flows.invariants import violations
from tests.proof import page
from tests.proof.house import House, house, order
from tests.proof.line import Line, Unanswered
from tests.proof.overload.generator import UNASKED, Answer, Phase, Plan, answers, flood

SHED = frozenset({429, 503})
ASKS_EVERY_S = 0.05
OFFER_LIFE = timedelta(hours=1)
LATE = """
SELECT extract(epoch FROM answered_at - expires_at)::float8 AS late_s
FROM offers WHERE state = 'expired'"""
LEFT = "SELECT count(*) FROM timers WHERE not_before < moment() - interval '1 second'"
KEPT = "SELECT count(*) FROM answers WHERE body IS NOT NULL AND key LIKE 'overload-%'"
NOBODY = "SELECT count(*) FROM bookings WHERE state = 'unfilled'"


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
    callers: int = 64
    times: float = 2.0


@dataclass(kw_only=True)
class Story:
    """What happened; `seen` is what one quiet caller met during the overload."""

    capacity: float
    calm: list[Answer]
    over: list[Answer]
    after: list[Answer]
    seen: list[Answer]
    late_s: list[float]
    normal_s: float | None
    unfilled: int
    wrong: list[str] = field(default_factory=list)


def shed(said: Sequence[Answer]) -> list[Answer]:
    """Those who were told to come again."""
    return [one for one in said if one.status in SHED]


def served(said: Sequence[Answer]) -> list[Answer]:
    """Those who were served."""
    return [one for one in said if one.status == 201]


async def run(extent: Extent) -> Story:
    """One API process, one worker, PostgreSQL, and a generator of requests."""
    rows = [
        friend_row(f"f{n:05}", north(n - extent.friends / 2), capacity=4)
        for n in range(extent.friends)
    ]
    async with house(rows, apis=1, workers=1) as made:
        await _fall_due_later(made, extent)
        capacity = await _capacity(made, extent)
        phases = [
            Phase(extent.calm_s, rate=0.7 * capacity),
            Phase(extent.over_s, rate=extent.times * capacity),
            Phase(extent.after_s, rate=0.7 * capacity),
        ]
        plan = Plan(made.apis[0].port, phases, first=2_000_000, spread_m=extent.friends / 2)
        generator = await asyncio.to_thread(flood, plan)
        asked = asyncio.create_task(_ask_now_and_then(made))
        # The generator takes a moment to begin; what matters falls due while it floods.
        await asyncio.sleep(extent.calm_s + 1.0)
        await _let_fall_due(made)
        said = await asyncio.to_thread(answers, generator)
        asked.cancel()
        [seen] = await asyncio.gather(asked)
        calm, over, after = ([one for one in said if one.phase == n] for n in range(3))
        return await _told(
            made,
            Story(
                capacity=capacity,
                calm=calm,
                over=over,
                after=after,
                seen=seen,
                late_s=[],
                normal_s=_normal_s(calm, over, after),
                unfilled=0,
            ),
            extent,
        )


async def _fall_due_later(made: House, extent: Extent) -> None:
    """Bookings whose offers expire while the service is flooded; nobody else's do."""
    line = Line(made.apis[0].port)
    pause_s = 0.6 * extent.over_s / extent.deadlines
    for number in range(extent.deadlines):
        reply = await line.ask("POST", "/v1/bookings", key=f"due-{number}", body=order(number))
        assert reply.ok, reply.body
        await asyncio.sleep(pause_s)
    line.close()
    async with made.owner() as owner:
        now = await owner.fetchval("SELECT moment()")
    await made.set_clock(now + OFFER_LIFE / 2, 1.0)


async def _let_fall_due(made: House) -> None:
    async with made.owner() as owner:
        first = await owner.fetchval("SELECT min(expires_at) FROM offers")
    await made.set_clock(first, 1.0)


async def _capacity(made: House, extent: Extent) -> float:
    """Bookings a second that are served when so many callers ask again as soon as answered."""
    rates = []
    for first, seconds in ((500_000, extent.warm_s), (1_000_000, extent.capacity_s)):
        phases = [Phase(seconds, callers=extent.callers)]
        plan = Plan(made.apis[0].port, phases, first=first, spread_m=extent.friends / 2)
        said = served(await asyncio.to_thread(lambda plan=plan: answers(flood(plan))))
        took_s = max(one.ended_s for one in said) - min(one.sent_s for one in said)
        rates.append(len(said) / took_s)
    return rates[-1]


async def _ask_now_and_then(made: House) -> list[Answer]:
    """One caller who asks twenty times a second, beside the flood, until cancelled."""
    line = Line(made.apis[0].port)
    seen: list[Answer] = []
    try:
        for number in itertools.count(9_000_000):
            try:
                reply = await line.ask(
                    "POST", "/v1/bookings", key=f"quiet-{number}", body=order(number)
                )
            except Unanswered:
                continue
            says_when = "retry-after" in reply.headers
            began_s, ended_s = reply.began_s, reply.ended_s
            seen.append(Answer(0, began_s, began_s, ended_s, reply.status, says_when))
            await asyncio.sleep(ASKS_EVERY_S)
    except asyncio.CancelledError:
        line.close()
    return seen


def _normal_s(
    calm: Sequence[Answer], over: Sequence[Answer], after: Sequence[Answer]
) -> float | None:
    """Seconds after the overload from which on all are served about as soon as before it.

    About as soon: in every second the slowest of a hundred takes at most twice what it took
    before, and a tenth of a second more. None if that moment never came.
    """
    usual_s = 2 * page.percentile([one.took_s for one in served(calm)], 0.99) + 0.1
    ended_s = max(one.due_s for one in over)
    seconds: dict[int, list[Answer]] = defaultdict(list)
    for one in after:
        seconds[int(10 * (one.due_s - ended_s))].append(one)
    normal = None
    for tenth in sorted(seconds, reverse=True):
        second = [one for later in range(tenth, tenth + 10) for one in seconds.get(later, ())]
        took_s = [one.ended_s - one.due_s for one in second]
        if len(served(second)) < len(second) or page.percentile(took_s, 0.99) > usual_s:
            return normal
        normal = max(0.0, tenth / 10)
    return normal


async def _told(made: House, story: Story, extent: Extent) -> Story:
    everything = [*story.calm, *story.over, *story.after, *story.seen]
    untold = [one for one in shed(everything) if not one.says_when]
    strange = {one.status for one in everything} - SHED - {201, UNASKED}
    if untold:
        story.wrong.append(f"{len(untold)} were turned away and not told when to come again")
    if strange:
        story.wrong.append(f"answered {sorted(strange)} (0: never)")
    async with made.owner() as owner:
        async with asyncio.timeout(60):
            while await owner.fetchval(LEFT):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        kept = await owner.fetchval(KEPT)
        story.late_s = [row["late_s"] for row in await owner.fetch(LATE)]
        story.unfilled = await owner.fetchval(NOBODY)
        story.wrong += await violations(owner)
    told = len(served([*story.calm, *story.over, *story.after]))
    if kept < told:
        story.wrong.append(f"{told} bookings were acknowledged and {kept} are kept")
    if len(story.late_s) < extent.deadlines:
        story.wrong.append(f"only {len(story.late_s)} offers expired")
    return story
