"""Every public verb in any order, by anybody, at any time: after each step all promises hold.

Hypothesis drives the flows on a real database with the clock in its hand. What the rules refuse is
no failure; what they let through must leave the database as NEVER demands.
"""

import asyncio
import os
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from data import db
from data.db import transaction
from data.records import FriendState, Job, Protocol, Tier
from data.settings import Settings
from data.store import jobs as store
from dispatch.flows import friends, jobs
from dispatch.flows.opening import opened
from dispatch.rules.policy import RankBy
from dispatch.rules.refused import Refused
from tests.builders import booked, friend_row, north, take_in
from tests.conftest import BEGINNING, Clock
from tests.flows.invariants import all_is_well, distances_hold, index_agrees

DONE = Protocol(summary="New channel.", minutes=40)
JUMPS = [
    timedelta(microseconds=1),
    timedelta(minutes=7),
    timedelta(minutes=60),
    timedelta(hours=4),
    timedelta(hours=12) - timedelta(microseconds=1),
    timedelta(hours=12),
]
WIPE = "TRUNCATE bookings, people, messages, answers CASCADE"


class World:
    """One database and one runtime for all examples, emptied between them."""

    def __init__(self, server, template, folder) -> None:
        self.server, self.name = server, server.create(template)
        self.where = server.database(self.name)
        self.folder = folder
        self.runner = asyncio.Runner()
        self.seen: Counter[str] = Counter()
        self.runner.run(self._open())

    async def _open(self) -> None:
        self.owner = await db.connect(self.where.owner_dsn, application="tests")
        for table in ("events", "decisions", "charges", "ratings"):
            await self.owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only_truncate")
        chosen = Settings(data_dir=self.folder, public_url="https://tekkie.test")
        self._opened = opened(chosen, self.where, application="tests")
        self.rt = await self._opened.__aenter__()

    async def anew(self, rank_by: RankBy) -> None:
        self.rt.policy = replace(self.rt.policy, rank_by=rank_by)
        await self.owner.execute(WIPE)
        self.rt.index.load([])
        self.clock = Clock(self.owner)
        await self.clock.set(BEGINNING)
        rows = [friend_row(f"f{n}", north(100 * n), capacity=1 + n % 2) for n in range(1, 7)]
        rows.append(friend_row("pro", north(50), tier=Tier.PRO, capacity=1))
        refs = await take_in(self.rt, rows)
        self.friends = [refs[row.ref] for row in rows]

    def close(self) -> None:
        self.runner.run(self._opened.__aexit__(None, None, None))
        self.runner.run(self.owner.close())
        self.runner.close()
        self.server.drop(self.name)


def sorted_out(job: Job) -> Job:
    """The same job with its offers in one order, to be compared."""
    return replace(job, offers=tuple(sorted(job.offers, key=lambda offer: offer.id)))


def machine_of(world: World, rank_by: RankBy) -> type[RuleBasedStateMachine]:  # noqa: C901 - one verb each
    run = world.runner.run
    who = st.integers(0, 6)

    class Jobs(RuleBasedStateMachine):
        bookings = Bundle("bookings")

        @initialize(target=bookings)
        def begin(self):
            run(world.anew(rank_by))
            return self.book()

        def attempt(self, verb, work):
            try:
                done = run(work)
            except Refused as refused:
                world.seen[f"{verb} refused: {refused.code}"] += 1
                return None
            world.seen[f"{verb} done"] += 1
            assert sorted_out(done.job) == sorted_out(run(self.job(done.job.booking.id)))
            return done

        async def job(self, booking):
            async with transaction(world.rt.pool) as tx:
                loaded, _ = await store.lock(tx, [booking], world.rt.packages)
                return loaded[booking]

        def held(self, booking, number):
            """The winner four times out of five, else somebody."""
            award = run(self.job(booking)).award
            return award.friend_id if award and number else world.friends[number]

        @rule(target=bookings)
        def book(self):
            return self.attempt("book", booked(world.rt)).job.booking.id

        @rule(booking=bookings, number=who)
        def accept(self, booking, number):
            self.answer("accept", jobs.accept, booking, number)

        @rule(booking=bookings, number=who)
        def decline(self, booking, number):
            self.answer("decline", jobs.decline, booking, number)

        def answer(self, name, verb, booking, number):
            job = run(self.job(booking))
            offers = job.live or job.offers
            if offers:
                offer = offers[number % len(offers)]
                self.attempt(name, verb(world.rt, offer.id, offer.friend_id))

        @rule(booking=bookings)
        def all_accept_at_once(self, booking):
            offers = run(self.job(booking)).live

            async def at_once():
                return await asyncio.gather(
                    *(jobs.accept(world.rt, o.id, o.friend_id) for o in (*offers, *offers)),
                    return_exceptions=True,
                )

            won = [r for r in run(at_once()) if not isinstance(r, Exception)]
            assert len(won) in (0, 2)
            world.seen[f"all accept: {len(won)}"] += 1

        @rule(booking=bookings, number=who)
        def contacted(self, booking, number):
            friend = self.held(booking, number)
            self.attempt("contacted", jobs.contacted(world.rt, booking, friend))

        @rule(booking=bookings, number=who, hours=st.integers(-1, 30))
        def agree(self, booking, number, hours):
            friend = self.held(booking, number)
            starts_at = run(world.clock.now()) + timedelta(hours=hours)
            self.attempt("agree", jobs.agree(world.rt, booking, friend, starts_at, None))

        @rule(booking=bookings, number=who, verb=st.sampled_from([jobs.start, jobs.hand_back]))
        def work(self, booking, number, verb):
            friend = self.held(booking, number)
            args = ("cannot_help", None) if verb is jobs.hand_back else ()
            self.attempt(verb.__name__, verb(world.rt, booking, friend, *args))

        @rule(booking=bookings, number=who, solved=st.booleans())
        def finish(self, booking, number, solved):
            friend = self.held(booking, number)
            if solved:
                self.attempt("complete", jobs.complete(world.rt, booking, friend, DONE))
            else:
                self.attempt("give_up", jobs.give_up(world.rt, booking, friend, "other", None))

        @rule(booking=bookings, number=who, word=st.sampled_from(["cancel", "out", "by hand"]))
        def desk(self, booking, number, word):
            acts = {
                "cancel": lambda: jobs.cancel(
                    world.rt, booking, actor="customer", reason="other", mine=lambda job: True
                ),
                "out": lambda: jobs.redispatch(world.rt, booking, actor="system"),
                "by hand": lambda: jobs.award_by_hand(
                    world.rt, booking, world.friends[number], actor="system"
                ),
            }
            self.attempt(word, acts[word]())

        @rule(booking=bookings, stars=st.integers(1, 5))
        def rate(self, booking, stars):
            self.attempt(
                "rate",
                jobs.rate(
                    world.rt, booking, stars=stars, comment=None, claim=None, said=lambda d: {}
                ),
            )

        @rule(number=who, state=st.sampled_from([FriendState.ACTIVE, FriendState.PAUSED]))
        def pause(self, number, state):
            run(friends.set_state(world.rt, world.friends[number], state, actor="system"))

        @rule(by=st.sampled_from(JUMPS))
        def time_passes(self, by):
            run(world.clock.advance(by))

        @rule()
        def sweep(self):
            world.seen[f"rung: {min(run(jobs.ring(world.rt, 100)), 2)}"] += 1

        @invariant()
        def all_is_well(self):
            run(all_is_well(world.owner))

        def teardown(self):
            run(self.rest())

        async def rest(self):
            while await jobs.ring(world.rt, 100):
                pass
            await all_is_well(world.owner)
            await distances_hold(world.owner, rank_by)
            await index_agrees(world.rt)

    return Jobs


@pytest.fixture
def world(server, template, tmp_path):
    made = World(server, template, tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(("rank_by", "share"), [(RankBy.DOOR, 1.0), (RankBy.CELL, 0.8)])
def test_whatever_happens_in_whatever_order_the_promises_hold(
    world: World, rank_by: RankBy, share: float
):
    examples = round(share * int(os.environ.get("TEKKIE_TEST_EXAMPLES", "10")))
    run_state_machine_as_test(
        machine_of(world, rank_by),
        settings=settings(
            max_examples=max(1, examples),
            stateful_step_count=45,
            deadline=None,
            database=None,
            # To shrink a story of 45 steps on a real database takes longer than to read it.
            phases=[Phase.generate],
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    wanted = ["accept", "decline", "contacted", "cancel", "by hand"]
    assert [verb for verb in wanted if not world.seen[f"{verb} done"]] == [], world.seen
