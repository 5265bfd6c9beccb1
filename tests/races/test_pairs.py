"""Every two commands on one job in one batch: each is answered from the job as of that command."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from inspect import getmembers, iscoroutinefunction
from itertools import product

import pytest

from data.db import transaction
from data.records.ids import FriendId
from data.records.jobs import Job, Offer, Protocol
from data.store import jobs as store
from dispatch.flows import group_commit
from dispatch.flows.bootstrap import load_index
from dispatch.flows.execute import CommandResult
from dispatch.flows.jobs import commands
from dispatch.rules.jobs.reasons import ContestReason
from dispatch.rules.refusals import Refused
from dispatch.rules.trust.mailed_secrets import Proof
from dispatch.runtime import Runtime
from tests.builders import NO_LIMITS, SIGNED, book_job, import_neighbours, live_offers_of
from tests.flows.invariants import check_invariants
from tests.flows.steps import ANY_FEE, sort_offers

DONE = Protocol(summary="New channel.", minutes=40)


@dataclass
class Pair:
    """A booking, the friend asked first, and two verbs."""

    rt: Runtime
    offer: Offer
    other: FriendId
    first: str
    second: str
    starts_at: datetime

    def do(self, verb: str):
        return VERBS[verb](self)

    def of_friend(self, command, *args):
        return command(self.rt, self.offer.booking_id, self.offer.friend_id, *args)

    def by_right(self, command, **kwargs):
        return command(self.rt, self.offer.booking_id, **kwargs)


def allow(job):
    return True


VERBS = {
    "accept": lambda p: commands.accept(p.rt, p.offer.id, p.offer.friend_id),
    "confirm": lambda p: commands.confirm(p.rt, p.offer.booking_id, Proof.LINK),
    "decline": lambda p: commands.decline(p.rt, p.offer.id, p.offer.friend_id),
    "confirm_contact": lambda p: p.of_friend(commands.confirm_contact),
    "schedule": lambda p: p.of_friend(commands.schedule, p.starts_at, None),
    "mark_on_the_way": lambda p: p.of_friend(commands.mark_on_the_way),
    "take_back_on_the_way": lambda p: p.of_friend(commands.take_back_on_the_way),
    "delay": lambda p: p.of_friend(commands.delay, 10),
    "start": lambda p: p.of_friend(commands.start),
    "complete": lambda p: p.of_friend(commands.complete, DONE, SIGNED),
    "mark_incomplete": lambda p: p.of_friend(commands.mark_incomplete, "other", None),
    "hand_back": lambda p: p.of_friend(commands.hand_back, "cannot_help", None),
    "cancel": lambda p: p.by_right(
        commands.cancel, actor="customer", reason="other", may_act=allow, fee_minor_max=ANY_FEE
    ),
    "report_no_call": lambda p: p.by_right(commands.report_no_call),
    "request_move": lambda p: p.by_right(commands.request_move, wishes=(), note=None),
    "renew_link": lambda p: p.by_right(commands.renew_link, actor="customer", may_act=allow),
    "redispatch": lambda p: p.by_right(commands.redispatch, actor="system"),
    "award_by_hand": lambda p: commands.award_by_hand(
        p.rt, p.offer.booking_id, p.other, actor="system"
    ),
    "contest": lambda p: p.by_right(commands.contest, reason=ContestReason.OTHER),
    "uphold": lambda p: p.by_right(commands.uphold, actor="system"),
    "reopen": lambda p: p.by_right(commands.reopen, actor="system"),
    "rate": lambda p: p.by_right(
        commands.rate, stars=5, comment=None, claim=None, build_response=lambda done: {}
    ),
}
CONTACTED = ("accept", "confirm_contact")
# What must be done before a verb can be.
BEFORE = {
    "accept": (),
    "confirm": (),
    "decline": (),
    "cancel": (),
    "award_by_hand": (),
    "renew_link": (),
    "confirm_contact": ("accept",),
    "hand_back": ("accept",),
    "redispatch": ("accept",),
    "report_no_call": ("accept",),
    "schedule": CONTACTED,
    "start": CONTACTED,
    "complete": CONTACTED,
    "mark_incomplete": CONTACTED,
    "mark_on_the_way": (*CONTACTED, "schedule"),
    "take_back_on_the_way": (*CONTACTED, "schedule", "mark_on_the_way"),
    "delay": (*CONTACTED, "schedule"),
    "request_move": (*CONTACTED, "schedule"),
    "rate": (*CONTACTED, "complete"),
    "contest": (*CONTACTED, "complete"),
    "uphold": (*CONTACTED, "complete", "contest"),
    "reopen": (*CONTACTED, "complete", "contest"),
}


def test_every_command_on_a_job_is_a_verb_of_the_pairs():
    of_jobs = {
        name
        for name, function in getmembers(commands, iscoroutinefunction)
        if not name.startswith("_") and function.__module__ == commands.__name__
    }
    assert VERBS.keys() == of_jobs - {"book", "fire_due_timers"} == BEFORE.keys()


@pytest.mark.parametrize("repeated", [True, False])
async def test_each_of_two_commands_in_a_batch_is_answered_from_its_own_job(
    rt, owner, clock, monkeypatch, repeated
):
    """The first verb is a repeat, which changes nothing, or new; the second is any."""
    monkeypatch.setattr(group_commit, "BATCH", 10_000)
    pairs = await prepare(rt, owner, clock, repeated=repeated)
    before = await load(rt, pairs)
    results = await run_together([call for p in pairs for call in (p.do(p.first), p.do(p.second))])
    after = await load(rt, pairs)
    seen = Counter()
    for pair, first, second in zip(pairs, results[::2], results[1::2], strict=True):
        job = check_answer(pair, pair.first, first, before[pair.offer.booking_id])
        job = check_answer(pair, pair.second, second, job)
        assert job == after[pair.offer.booking_id], pair
        seen[type(first), type(second)] += 1
    assert seen[CommandResult, CommandResult] > len(VERBS)
    await check_invariants(owner)


def check_answer(pair: Pair, verb: str, result: object, before: Job) -> Job:
    """The job after a command; its answer must show this job and no later one."""
    if isinstance(result, Refused):
        return before
    assert isinstance(result, CommandResult), (pair, verb, result)
    if result.changes is None:
        assert sort_offers(result.job) == before, (pair, verb)
    assert result.changes is None or result.job.booking == result.changes.booking, (pair, verb)
    if verb == "accept":
        assert result.job.award is not None, pair
        assert result.job.award.offer_id == pair.offer.id, pair
    return sort_offers(result.job)


async def prepare(rt: Runtime, owner, clock, *, repeated: bool) -> list[Pair]:
    """A booking for every two verbs, in a state where the first is a repeat, or is possible."""
    await import_neighbours(rt, 6, capacity=20)
    # As many jobs as there are pairs, for few friends.
    await owner.execute("ALTER TABLE friends DROP CONSTRAINT friends_capacity_check")
    await owner.execute("UPDATE friends SET capacity = 10000")
    await owner.execute(NO_LIMITS)
    rt.policy = type(rt.policy)(live_offers_max=10_000)
    await load_index(rt)
    names = list(product(VERBS, VERBS))
    booked = await run_together([book_job(rt) for _ in names])
    begin = await clock.now()
    pairs = []
    for number, (done, (first, second)) in enumerate(zip(booked, names, strict=True)):
        offer, *_, last = live_offers_of(done)
        at = begin + timedelta(hours=1 + 2 * number)
        pairs.append(Pair(rt, offer, last.friend_id, first, second, at))
    todo = {id(p): [*BEFORE[p.first], *([p.first] if repeated else [])] for p in pairs}
    while any(todo.values()):
        steps = [p.do(todo[id(p)].pop(0)) for p in pairs if todo[id(p)]]
        done = await run_together(steps)
        assert {type(one) for one in done} == {CommandResult}, Counter(map(repr, done))
    return pairs


async def run_together(calls):
    """Queue all calls before the first batch begins; returns results and errors."""
    return await asyncio.gather(*calls, return_exceptions=True)


async def load(rt: Runtime, pairs: list[Pair]) -> dict:
    """The jobs as stored, by booking."""
    async with transaction(rt.pool) as tx:
        loaded, _ = await store.lock(tx, [p.offer.booking_id for p in pairs], rt.catalogue)
    return {id_: sort_offers(job) for id_, job in loaded.items()}
