"""Every public verb in any order, by anybody, at any time: after each step all promises hold.

Hypothesis drives the flows on a real database with the clock in its hand. What the rules refuse is
no failure; what they let through must leave the database as NEVER demands.
"""

import asyncio
import os
import pkgutil
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import wraps
from inspect import getmembers, iscoroutinefunction

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RULE_MARKER,
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from data import db
from data.db import transaction
from data.records import CustomerKey, FriendState, Job, Protocol, Tier, customer_key
from data.settings import Settings
from data.store import jobs as store
from dispatch import flows
from dispatch.flows import friends, jobs, partners
from dispatch.flows.friends import ProfileChange
from dispatch.flows.opening import opened
from dispatch.rules.policy import RankBy
from dispatch.rules.refused import Refused
from tests.builders import booked, friend_row, north, take_in
from tests.conftest import BEGINNING, Clock
from tests.flows.invariants import all_is_well, distances_hold, index_agrees
from tests.proof import page, report

STEPS = int(os.environ.get("TEKKIE_PROOF_STEPS", "12000"))
KEYS = (CustomerKey("a" * 64), customer_key("vera@example.com"))
# More of them in one story only dilute it.
BOOKINGS = 5
DONE = Protocol(summary="New channel.", minutes=40)
JUMPS = [
    timedelta(microseconds=1),
    timedelta(minutes=7),
    timedelta(minutes=60),
    timedelta(hours=4),
    timedelta(hours=12) - timedelta(microseconds=1),
    timedelta(hours=12),
]
# What changes who is asked: by whom, and how.
ALTERED = {
    "take_in": lambda world, n: friends.take_in(world.rt, world.rows[: n + 1], actor="system"),
    "change_profile": lambda world, n: friends.change_profile(
        world.rt, world.friends[n], ProfileChange(radius_m=500 + 3000 * n, capacity=1 + n % 3)
    ),
    "certify": lambda world, n: friends.certify(world.rt, world.friends[n], "wifi", actor="system"),
    "uncertify": lambda world, n: friends.uncertify(
        world.rt, world.friends[n], "wifi", actor="system"
    ),
    "set_membership": lambda world, n: friends.set_membership(
        world.rt, world.partner, world.friends[:n], member=n % 2 == 0, actor="system"
    ),
    "keep_apart": lambda world, n: friends.keep_apart(
        world.rt, world.friends[n], KEYS[n == 0], by_friend=True, actor="system"
    ),
    "refresh": lambda world, n: friends.refresh(world.rt, world.friends[:n]),
}
# The rule by which each verb is driven.
VERBS = {
    jobs: {
        "book": "book",
        "accept": "accept",
        "decline": "decline",
        "contacted": "contacted",
        "agree": "agree",
        "on_the_way": "leave",
        "start": "work",
        "hand_back": "work",
        "complete": "finish",
        "give_up": "finish",
        "cancel": "desk",
        "redispatch": "desk",
        "award_by_hand": "desk",
        "not_called": "complain",
        "ask_move": "complain",
        "rate": "rate",
        "ring": "sweep",
    },
    friends: {"set_state": "pause", **dict.fromkeys(ALTERED, "alter")},
}
# Read only, or the same transaction rolled back.
NO_VERBS = {"profile", "try_in"}
# Whose verbs change no job and nobody who is asked.
APART = {
    *(
        "coverage",
        "deciding",
        "desk",
        "friend_files",
        "look_around",
        "lookups",
        "opening",
        "orders",
        "partners",
    ),
    *("phones", "places", "profile", "reading", "sessions", "together", "upkeep"),
}
WIPE = "TRUNCATE bookings, people, messages, answers CASCADE"


class World:
    """One database and one runtime for all examples, emptied between them."""

    def __init__(self, server, template, folder) -> None:
        self.server, self.name = server, server.create(template)
        self.where = server.database(self.name)
        self.folder = folder
        self.runner = asyncio.Runner()
        self.seen: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.runner.run(self._open())

    async def _open(self) -> None:
        self.owner = await db.connect(self.where.owner_dsn, application="tests")
        for table in ("events", "decisions", "charges", "ratings"):
            await self.owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only_truncate")
        chosen = Settings(data_dir=self.folder, public_url="https://tekkie.test")
        self._opened = opened(chosen, self.where, application="tests")
        self.rt = await self._opened.__aenter__()
        self.partner = (await partners.add(self.rt, "Radio Meier"))[0].id

    async def anew(self, rank_by: RankBy) -> None:
        self.rt.policy = replace(self.rt.policy, rank_by=rank_by)
        await self.owner.execute(WIPE)
        self.rt.index.load([])
        self.clock = Clock(self.owner)
        await self.clock.set(BEGINNING)
        rows = [friend_row(f"f{n}", north(100 * n), capacity=1 + n % 2) for n in range(1, 7)]
        rows.append(friend_row("pro", north(50), tier=Tier.PRO, capacity=1))
        refs = await take_in(self.rt, rows)
        self.rows, self.friends = rows, [refs[row.ref] for row in rows]

    def close(self) -> None:
        self.runner.run(self._opened.__aexit__(None, None, None))
        self.runner.run(self.owner.close())
        self.runner.close()
        self.server.drop(self.name)


def sorted_out(job: Job) -> Job:
    """The same job with its offers in one order, to be compared."""
    return replace(job, offers=tuple(sorted(job.offers, key=lambda offer: offer.id)))


def told(step):
    """Count this step, and which one it followed."""

    @wraps(step)
    def counted(machine, **drawn):
        machine.step(step.__name__)
        return step(machine, **drawn)

    return counted


def machine_of(world: World, rank_by: RankBy) -> type[RuleBasedStateMachine]:  # noqa: C901 - one verb each
    run = world.runner.run
    who = st.integers(0, 6)

    class Jobs(RuleBasedStateMachine):
        bookings = Bundle("bookings")

        def step(self, name):
            world.steps[name] += 1
            world.pairs[self.before, name] += 1
            self.before = name

        @initialize(target=bookings, far=st.integers(0, 5))
        def begin(self, far):
            self.before, self.booked = "begin", 0
            run(world.anew(rank_by))
            booking = self.book()
            for verb in (self.accept, self.contacted, self.agree, self.leave, self.work)[:far]:
                extra = {self.agree: {"hours": 5}, self.work: {"verb": jobs.start}}.get(verb, {})
                verb(booking=booking, number=1, **extra)
            return booking

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

        @precondition(lambda self: self.booked < BOOKINGS)
        @rule(target=bookings)
        @told
        def book(self):
            self.booked += 1
            return self.attempt("book", booked(world.rt)).job.booking.id

        @rule(booking=bookings, number=who)
        @told
        def accept(self, booking, number):
            self.answer("accept", jobs.accept, booking, number)

        @rule(booking=bookings, number=who)
        @told
        def decline(self, booking, number):
            self.answer("decline", jobs.decline, booking, number)

        def answer(self, name, verb, booking, number):
            job = run(self.job(booking))
            offers = job.live or job.offers
            if offers:
                offer = offers[number % len(offers)]
                self.attempt(name, verb(world.rt, offer.id, offer.friend_id))

        @rule(booking=bookings)
        @told
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
        @told
        def contacted(self, booking, number):
            friend = self.held(booking, number)
            self.attempt("contacted", jobs.contacted(world.rt, booking, friend))

        @rule(booking=bookings, number=who, hours=st.integers(-1, 30))
        @told
        def agree(self, booking, number, hours):
            friend = self.held(booking, number)
            starts_at = run(world.clock.now()) + timedelta(hours=hours)
            self.attempt("agree", jobs.agree(world.rt, booking, friend, starts_at, None))

        @rule(booking=bookings, number=who, verb=st.sampled_from([jobs.start, jobs.hand_back]))
        @told
        def work(self, booking, number, verb):
            friend = self.held(booking, number)
            args = ("cannot_help", None) if verb is jobs.hand_back else ()
            self.attempt(verb.__name__, verb(world.rt, booking, friend, *args))

        @rule(booking=bookings, number=who, solved=st.booleans())
        @told
        def finish(self, booking, number, solved):
            friend = self.held(booking, number)
            if solved:
                self.attempt("complete", jobs.complete(world.rt, booking, friend, DONE))
            else:
                self.attempt("give_up", jobs.give_up(world.rt, booking, friend, "other", None))

        @rule(booking=bookings, number=who, word=st.sampled_from(["cancel", "out", "by hand"]))
        @told
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
        @told
        def rate(self, booking, stars):
            self.attempt(
                "rate",
                jobs.rate(
                    world.rt, booking, stars=stars, comment=None, claim=None, said=lambda d: {}
                ),
            )

        @rule(number=who, state=st.sampled_from([FriendState.ACTIVE, FriendState.PAUSED]))
        @told
        def pause(self, number, state):
            run(friends.set_state(world.rt, world.friends[number], state, actor="system"))

        @rule(booking=bookings, word=st.sampled_from(["not called", "another time"]))
        @told
        def complain(self, booking, word):
            if word == "not called":
                self.attempt(word, jobs.not_called(world.rt, booking))
            else:
                self.attempt(word, jobs.ask_move(world.rt, booking, wishes=(), note="Later."))

        @rule(booking=bookings, number=who)
        @told
        def leave(self, booking, number):
            friend = self.held(booking, number)
            self.attempt("on_the_way", jobs.on_the_way(world.rt, booking, friend))

        @rule(number=who, word=st.sampled_from(sorted(ALTERED)))
        @told
        def alter(self, number, word):
            try:
                run(ALTERED[word](world, number))
            except Refused as refused:
                world.seen[f"{word} refused: {refused.code}"] += 1
            else:
                world.seen[f"{word} done"] += 1

        @rule(by=st.sampled_from(JUMPS))
        @told
        def time_passes(self, by):
            run(world.clock.advance(by))

        @rule()
        @told
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
    steps = STEPS if report.is_whole() else 45 * int(os.environ.get("TEKKIE_TEST_EXAMPLES", "16"))
    began_s = time.monotonic()
    run_state_machine_as_test(
        machine_of(world, rank_by),
        settings=settings(
            max_examples=max(1, round(share * steps / 45)),
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
    if report.is_whole():
        write(world, rank_by, time.monotonic() - began_s)


def test_every_verb_that_changes_a_job_or_a_friend_is_a_rule_of_the_machine(world: World):
    machine = machine_of(world, RankBy.DOOR)
    rules = {name for name in vars(machine) if hasattr(getattr(machine, name), RULE_MARKER)}
    for module, verbs in VERBS.items():
        public = {
            name
            for name, made in getmembers(module, iscoroutinefunction)
            if made.__module__ == module.__name__ and not name.startswith("_")
        }
        assert public - NO_VERBS == verbs.keys(), module.__name__
        assert set(verbs.values()) <= rules
    modules = {one.name for one in pkgutil.iter_modules(flows.__path__)}
    assert modules == APART | {module.__name__.rpartition(".")[2] for module in VERBS}


WRITTEN: list[str] = []


def write(world: World, rank_by: RankBy, took_s: float) -> None:
    """Add this machine to the section of docs/proof.md."""
    rules = sorted(world.steps)
    reached = [world.pairs[one, other] for one in rules for other in rules]
    done = sum(times for what, times in world.seen.items() if what.endswith("done"))
    WRITTEN.append(
        report.table(
            ("ranked by", "steps", "verbs done", "refused", "seconds", "pairs", "rarest pair"),
            [
                (
                    rank_by,
                    f"{world.steps.total():,}",
                    f"{done:,}",
                    f"{sum(n for what, n in world.seen.items() if 'refused' in what):,}",
                    f"{took_s:.0f}",
                    f"{sum(1 for n in reached if n)} of {len(reached)}",
                    min(reached),
                )
            ],
        )
    )
    lines = [
        "Hypothesis drives every public verb of `dispatch/flows/jobs.py` and `friends.py` and the",
        "clock on real PostgreSQL; after every step every promise of `tests/flows/invariants.py`",
        "is asked. A pair is one rule straight after another. Promises broken: 0.",
        "",
        "\n\n".join(WRITTEN),
    ]
    page.write(
        "states",
        "Every verb in every order",
        f"python -m tests.proof.states --steps {STEPS}",
        lines,
    )
