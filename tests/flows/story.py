"""Stories of jobs on one real database: the steps there are, and what each may be told with.

Hypothesis (`test_machine.py`) and a walk with a seed (`walk.py`) both draw from RULES. A step that
the rules refuse is counted; after each one every promise of `invariants.py` must hold.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

from data import db
from data.db import transaction
from data.enums import FriendState, Tier
from data.records.ids import CustomerKey, customer_key
from data.records.jobs import Job, Protocol
from data.settings import Settings
from data.store import jobs as store
from dispatch.flows.bootstrap import open_runtime
from dispatch.flows.jobs import commands
from dispatch.flows.partners import accounts
from dispatch.flows.people import friends
from dispatch.flows.people.friends import ProfileChange
from dispatch.rules.policy import RankBy
from dispatch.rules.refusals import Refused
from tests.builders import book_job, friend_row, import_friends, north
from tests.conftest import BEGINNING, Clock
from tests.flows.invariants import all_is_well, distances_hold, index_agrees

KEYS = (CustomerKey("a" * 64), customer_key("vera@example.com"))
# More of them in one story only dilute it.
BOOKINGS = 5
UNFILLED = 6
# More than any fee: the customer takes what it costs.
DEAR = 1_000_000
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
    "take_in": lambda world, n: friends.import_friends(
        world.rt, world.rows[: n + 1], actor="system"
    ),
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
    "keep_apart": lambda world, n: friends.block_customer(
        world.rt, world.friends[n], KEYS[n == 0], by_friend=True, actor="system"
    ),
    "refresh": lambda world, n: friends.refresh_index(world.rt, world.friends[:n]),
}
WIPE = "TRUNCATE bookings, people, messages, answers CASCADE"
STATE = "SELECT state FROM bookings WHERE id = $1"
WHO = range(7)
BOOKING: Sequence[Any] = ("a booking of the story",)
RULES: dict[str, Mapping[str, Sequence[Any]]] = {}
"""The steps by name: what each is told with, BOOKING for one of those that were booked."""


class World:
    """One database and one runtime for all stories, emptied between them."""

    def __init__(self, server, template, folder) -> None:
        self.server, self.name = server, server.create(template)
        self.where = server.database(self.name)
        self.folder = folder
        self.runner = asyncio.Runner()
        self.seen: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.met: Counter[tuple[str, str]] = Counter()
        self.runner.run(self._open())

    async def _open(self) -> None:
        self.owner = await db.connect(self.where.owner_dsn, application="tests")
        for table in ("events", "decisions", "charges", "ratings"):
            await self.owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only_truncate")
        chosen = Settings(data_dir=self.folder, public_url="https://tekkie.test")
        self._opened = open_runtime(chosen, self.where, application="tests", chance=Random(7))
        self.rt = await self._opened.__aenter__()
        self.partner = (await accounts.add(self.rt, "Radio Meier"))[0].id

    async def anew(self, rank_by: RankBy) -> None:
        self.rt.policy = replace(self.rt.policy, rank_by=rank_by)
        await self.owner.execute(WIPE)
        self.rt.index.load([])
        self.clock = Clock(self.owner)
        await self.clock.set(BEGINNING)
        rows = [friend_row(f"f{n}", north(100 * n), capacity=1 + n % 2) for n in range(1, 7)]
        rows.append(friend_row("pro", north(50), tier=Tier.PRO, capacity=1))
        refs = await import_friends(self.rt, rows)
        self.rows, self.friends = rows, [refs[row.ref] for row in rows]

    def close(self) -> None:
        self.runner.run(self._opened.__aexit__(None, None, None))
        self.runner.run(self.owner.close())
        self.runner.close()
        self.server.drop(self.name)


def step(**choices: Sequence[Any]) -> Callable[[Any], Any]:
    """A step of a story, told with one of the choices for each of its words."""

    def named(act: Any) -> Any:
        RULES[act.__name__] = choices
        return act

    return named


def verb_of(name: str, drawn: Mapping[str, Any]) -> str:
    """What a step does: some do what the word says that they are told with."""
    return str(drawn.get("verb") or drawn.get("word") or name)


def sorted_out(job: Job) -> Job:
    """The same job with its offers in one order, to be compared."""
    return replace(job, offers=tuple(sorted(job.offers, key=lambda offer: offer.id)))


class Story:
    """Six friends, a pro and up to five bookings. `told` is what happened, to be read."""

    def __init__(self, world: World, rank_by: RankBy, far: int) -> None:
        """Begin with a booking that has come so far: 0 is open, 5 under way, 6 found nobody."""
        self.world, self.rank_by = world, rank_by
        self.run = world.runner.run
        self.told = [f"begin({rank_by=!s}, {far=})"]
        self.bookings: list[Any] = []
        self.before = "begin"
        self.run(world.anew(rank_by))
        for friend in world.friends if far == UNFILLED else ():
            self.run(friends.set_state(world.rt, friend, FriendState.PAUSED, actor="system"))
        booking = self.book()
        ways = (self.accept, self.contacted, self.agree, self.leave, self.work)
        for verb in ways[: far % UNFILLED]:
            extra = {self.agree: {"hours": 5}, self.work: {"verb": "start"}}.get(verb, {})
            verb(booking=booking, number=1, **extra)
        self.run(all_is_well(world.owner))

    def tell(self, name: str, **drawn: Any) -> Any:
        """Take this step, and hold the database to every promise."""
        world = self.world
        self.told.append(f"{name}({', '.join(f'{k}={v}' for k, v in drawn.items())})")
        world.steps[name] += 1
        world.pairs[self.before, name] += 1
        self.before = name
        if "booking" in drawn:
            world.met[self.state(drawn["booking"]), verb_of(name, drawn)] += 1
        done = getattr(self, name)(**drawn)
        self.run(all_is_well(world.owner))
        return done

    def may(self, name: str) -> bool:
        """Whether this step can follow now."""
        return name != "book" or len(self.bookings) < BOOKINGS

    def state(self, booking: Any) -> str:
        """The state of a booking."""
        return str(self.run(self.world.owner.fetchval(STATE, booking)))

    def end(self) -> None:
        """Ring whatever is due, and look at everything once more."""
        self.run(self._rest())

    async def _rest(self) -> None:
        while await commands.fire_due_timers(self.world.rt, 100):
            pass
        await all_is_well(self.world.owner)
        await distances_hold(self.world.owner, self.rank_by)
        await index_agrees(self.world.rt)

    def attempt(self, verb, work):
        try:
            done = self.run(work)
        except Refused as refused:
            self.world.seen[f"{verb} refused: {refused.code}"] += 1
            return None
        self.world.seen[f"{verb} done"] += 1
        assert sorted_out(done.job) == sorted_out(self.job(done.job.booking.id))
        return done

    def job(self, booking) -> Job:
        return self.run(self._job(booking))

    async def _job(self, booking):
        async with transaction(self.world.rt.pool) as tx:
            loaded, _ = await store.lock(tx, [booking], self.world.rt.packages)
            return loaded[booking]

    def held(self, booking, number):
        """The winner six times out of seven, else somebody."""
        award = self.job(booking).award
        return award.friend_id if award and number else self.world.friends[number]

    def of_holder(self, verb, booking, number, *args):
        """What only who holds the job may do."""
        act = getattr(commands, verb)
        self.attempt(verb, act(self.world.rt, booking, self.held(booking, number), *args))

    @step()
    def book(self):
        self.bookings.append(self.attempt("book", book_job(self.world.rt)).job.booking.id)
        return self.bookings[-1]

    @step(booking=BOOKING, number=WHO)
    def accept(self, booking, number):
        self.answer("accept", commands.accept, booking, number)

    @step(booking=BOOKING, number=WHO)
    def decline(self, booking, number):
        self.answer("decline", commands.decline, booking, number)

    def answer(self, name, verb, booking, number):
        job = self.job(booking)
        offers = job.live or job.offers
        if offers:
            offer = offers[number % len(offers)]
            self.attempt(name, verb(self.world.rt, offer.id, offer.friend_id))

    @step(booking=BOOKING)
    def all_accept_at_once(self, booking):
        offers, rt = self.job(booking).live, self.world.rt

        async def at_once():
            return await asyncio.gather(
                *(commands.accept(rt, o.id, o.friend_id) for o in (*offers, *offers)),
                return_exceptions=True,
            )

        heard = self.run(at_once())
        won = [one for one in heard if not isinstance(one, BaseException)]
        assert [one for one in heard if one not in won and not isinstance(one, Refused)] == []
        assert len(won) in (0, 2)
        self.world.seen[f"all accept: {len(won)}"] += 1

    @step(booking=BOOKING, number=WHO)
    def contacted(self, booking, number):
        self.of_holder("contacted", booking, number)

    @step(booking=BOOKING, number=WHO, hours=range(-1, 31))
    def agree(self, booking, number, hours):
        starts_at = self.run(self.world.clock.now()) + timedelta(hours=hours)
        self.of_holder("agree", booking, number, starts_at, None)

    @step(booking=BOOKING, number=WHO)
    def leave(self, booking, number):
        self.of_holder("on_the_way", booking, number)

    @step(booking=BOOKING, number=WHO, verb=["start", "hand_back"])
    def work(self, booking, number, verb):
        self.of_holder(verb, booking, number, *{"hand_back": ("cannot_help", None)}.get(verb, ()))

    @step(booking=BOOKING, number=WHO, verb=["complete", "give_up"])
    def finish(self, booking, number, verb):
        self.of_holder(verb, booking, number, *{"complete": (DONE,)}.get(verb, ("other", None)))

    @step(booking=BOOKING, number=WHO, word=["cancel", "out", "by hand"])
    def desk(self, booking, number, word):
        rt, friend = self.world.rt, self.world.friends[number]
        # No hand is so quick that one friend gets the job twice within a microsecond.
        self.run(self.world.clock.advance(JUMPS[0]))
        acts = {
            "cancel": lambda: commands.cancel(
                rt,
                booking,
                actor="customer",
                reason="other",
                may_act=lambda job: True,
                fee_minor_max=DEAR,
            ),
            "out": lambda: commands.redispatch(rt, booking, actor="system"),
            "by hand": lambda: commands.award_by_hand(rt, booking, friend, actor="system"),
        }
        self.attempt(word, acts[word]())

    @step(booking=BOOKING, word=["not called", "another time"])
    def complain(self, booking, word):
        rt = self.world.rt
        if word == "not called":
            self.attempt(word, commands.report_no_call(rt, booking))
        else:
            self.attempt(word, commands.request_move(rt, booking, wishes=(), note="Later."))

    @step(booking=BOOKING, stars=range(1, 6))
    def rate(self, booking, stars):
        kept = {"comment": None, "claim": None, "said": lambda done: {}}
        self.attempt("rate", commands.rate(self.world.rt, booking, stars=stars, **kept))

    @step(number=WHO, word=[str(FriendState.ACTIVE), str(FriendState.PAUSED)])
    def pause(self, number, word):
        friend, state = self.world.friends[number], FriendState(word)
        self.run(friends.set_state(self.world.rt, friend, state, actor="system"))
        self.world.seen[f"{word} done"] += 1

    @step(number=WHO, word=sorted(ALTERED))
    def alter(self, number, word):
        try:
            self.run(ALTERED[word](self.world, number))
        except Refused as refused:
            self.world.seen[f"{word} refused: {refused.code}"] += 1
        else:
            self.world.seen[f"{word} done"] += 1

    @step(by=JUMPS)
    def time_passes(self, by):
        self.run(self.world.clock.advance(by))

    @step()
    def sweep(self):
        self.world.seen[
            f"rung: {min(self.run(commands.fire_due_timers(self.world.rt, 100)), 2)}"
        ] += 1
