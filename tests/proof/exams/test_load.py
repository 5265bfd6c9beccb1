"""Many sittings answer at once while their time runs out: no late answer is accepted."""

import asyncio
import os
import time
from dataclasses import replace
from random import Random

from data.db import transaction
from data.store import exams as store
from dispatch.flows.people import exams
from dispatch.rules.people.exams import SittingOver
from scheduler import deadlines
from tests.builders import friend_row, import_friends
from tests.exam_banks import bank
from tests.proof import page, report

SITTINGS = int(os.environ.get("TEKKIE_PROOF_SITTINGS", "30"))
QUESTIONS = 20
AT_ONCE = 10
"""As many as the runtime of a test has connections; more wait here instead of in its pool."""


async def begin(rt):
    """A bank of forty questions, and a running sitting of twenty for each of the friends."""
    whole = bank("printer", per_topic=20)
    exam = replace(whole.exam, topics={"signal": 10, "safety": 10})
    async with transaction(rt.pool) as tx:
        await store.put(tx, [replace(whole, exam=exam)])
    rows = [friend_row(f"f{n}", certificates=()) for n in range(SITTINGS)]
    friends = (await import_friends(rt, rows)).values()
    return await gather(exams.start(rt, one, "printer", more_time=False) for one in friends)


async def gather(works):
    """Run all at once, as many as there are connections."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(work):
        async with room:
            return await work

    return await asyncio.gather(*map(one, works))


async def test_no_late_answer_is_accepted_however_many_arrive_at_once(rt, owner, clock):
    begun_s = time.perf_counter()
    begun = await begin(rt)
    started_s = time.perf_counter() - begun_s
    accepted, refused, took = dict.fromkeys([one.sitting.id for one in begun], 0), 0, []
    half = asyncio.Event()

    async def answer(own, asked):
        nonlocal refused
        since = time.perf_counter()
        sitting = own.sitting
        try:
            choice = asked.options.index("b") + 1
            await exams.answer(rt, sitting.friend_id, sitting.id, asked.position, choice)
            accepted[sitting.id] += 1
        except SittingOver:
            refused += 1
        took.append((time.perf_counter() - since) * 1000)
        if len(took) == SITTINGS * QUESTIONS // 2:
            half.set()

    async def end_time():
        await half.wait()
        await clock.set(max(one.sitting.due_at for one in begun))

    answers = [answer(own, asked) for own in begun for asked in own.paper]
    Random(7).shuffle(answers)
    begun_s = time.perf_counter()
    await asyncio.gather(gather(answers), end_time())
    answered_s = time.perf_counter() - begun_s
    total = sum(accepted.values())
    assert SITTINGS * QUESTIONS // 2 <= total < SITTINGS * QUESTIONS
    assert total + refused == SITTINGS * QUESTIONS
    late = "SELECT count(*) FILTER (WHERE at >= due_at) AS late, count(*) AS n FROM exam_answers"
    assert tuple(await owner.fetchrow(late)) == (0, total)
    assert await deadlines.sweep(rt) == SITTINGS
    rows = await owner.fetch("SELECT id, correct FROM sittings WHERE state <> 'open'")
    assert {row["id"]: row["correct"] for row in rows} == accepted
    if os.environ.get(report.WHOLE):
        write(total, refused, took, started_s, answered_s)


def write(total, refused, took, started_s, answered_s):
    """Write the figures of a whole run."""
    row = (
        f"{SITTINGS:,}",
        f"{SITTINGS / started_s:.0f}",
        f"{total:,}",
        f"{refused:,}",
        "0",
        f"{page.percentile(took, 0.5):.1f} ms",
        f"{page.percentile(took, 0.99):.1f} ms",
        f"{SITTINGS * QUESTIONS / answered_s:.0f}",
    )
    head = ("sittings", "starts a second", "accepted", "refused", "late ones accepted")
    times = ("answer p50", "p99", "answers a second")
    lines = [
        f"All sittings of {QUESTIONS} questions run at once; their answers arrive in any order,",
        f"{AT_ONCE} at a time, and after half of them every sitting is due. What was accepted is",
        "in the result, and nothing else.",
        "",
        report.table((*head, *times), [row]),
    ]
    page.write("exams", "Exams", f"python -m tests.proof.exams --sittings {SITTINGS}", lines)
