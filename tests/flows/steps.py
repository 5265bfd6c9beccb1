"""The steps of random runs on one real database, and the arguments of each.

Hypothesis (`test_machine.py`) and a seeded walk (`walk.py`) both draw from RULES. A step that the
rules refuse is counted; after each one every invariant of `invariants.py` must hold.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

from data import db
from data.db import transaction
from data.enums import BookingState, FriendState, Tier
from data.records.ids import CompanyId, CustomerKey, customer_key
from data.records.jobs import Job, Protocol
from data.records.reviews import HideReason
from data.settings import Settings
from data.store import jobs as store
from data.store.friend_admin import FriendLimits
from dispatch.flows.bootstrap import load_index, open_runtime
from dispatch.flows.jobs import commands, companies, contacts, reviews, threads
from dispatch.flows.partners import accounts
from dispatch.flows.people import customers, friends, sessions
from dispatch.flows.people.friends import ProfileChange
from dispatch.rules.jobs.reasons import ContestReason
from dispatch.rules.policy import RankBy
from dispatch.rules.refusals import Refused
from dispatch.rules.trust.mailed_secrets import Proof
from tests.builders import NO_LIMIT, NO_LIMITS, SIGNED, book_job, friend_row, import_friends, north
from tests.conftest import BEGINNING, Clock
from tests.flows.invariants import check_distances, check_index, check_invariants

KEYS = (CustomerKey("a" * 64), customer_key("vera@example.com"))
# More bookings in one run only dilute it.
BOOKINGS = 5
UNFILLED = 6
OPERATOR = f"operator:{UUID(int=8)}"
# More than any fee: the customer accepts every fee.
ANY_FEE = 1_000_000
DONE = Protocol(summary="New channel.", minutes=40)
JUMPS = [
    timedelta(microseconds=1),
    timedelta(minutes=7),
    timedelta(minutes=60),
    timedelta(hours=4),
    timedelta(hours=12) - timedelta(microseconds=1),
    timedelta(hours=12),
]
# Changes of friends that change who is asked, by function.
ALTERATIONS = {
    "import_friends": lambda bench, n: friends.import_friends(
        bench.rt, bench.rows[: n + 1], actor="system"
    ),
    "change_profile": lambda bench, n: friends.change_profile(
        bench.rt, bench.friends[n], ProfileChange(radius_m=500 + 3000 * n, capacity=1 + n % 3)
    ),
    "set_limits": lambda bench, n: friends.set_limits(
        bench.rt,
        bench.friends[n],
        FriendLimits(
            jobs_per_day=NO_LIMIT,
            hand_backs_per_day=NO_LIMIT,
            capacity_max=1 + n,
            radius_max_m=None,
        ),
        actor="system",
    ),
    "certify": lambda bench, n: friends.certify(bench.rt, bench.friends[n], "wifi", actor="system"),
    "uncertify": lambda bench, n: friends.uncertify(
        bench.rt, bench.friends[n], "wifi", actor="system"
    ),
    "set_membership": lambda bench, n: friends.set_membership(
        bench.rt, bench.partner, bench.friends[:n], member=n % 2 == 0, actor="system"
    ),
    "block_customer": lambda bench, n: friends.block_customer(
        bench.rt, bench.friends[n], KEYS[n == 0], by_friend=True, actor="system"
    ),
    "refresh_index": lambda bench, n: friends.refresh_index(bench.rt, bench.friends[:n]),
    "refresh_and_retry": lambda bench, n: friends.refresh_and_retry(
        bench.rt, set(bench.friends[:n])
    ),
}
APPEND_ONLY = "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'append_only_truncate'"
# What is sold names its author, so that it is emptied with the people and filled again.
WIPE = "TRUNCATE bookings, people, messages, answers, confirmed_contacts CASCADE"
KEEP_SOLD = "CREATE TABLE sold AS TABLE package_versions"
SELL = """
INSERT INTO package_versions (package, version, valid_from, active, category, tier, tiers, minutes,
  certificates, texts, prices, min_age, created_at)
SELECT package, version, valid_from, active, category, tier, tiers, minutes,
  certificates, texts, prices, min_age, created_at FROM sold ORDER BY package, version"""
FIRM = CompanyId(UUID(int=7))
DORA = f"dispatcher:{FIRM}"
COMPANY = """
WITH firm AS (INSERT INTO companies (id, name, created_at) VALUES ($1, 'Alpha', moment()) ON CONFLICT DO NOTHING),
     person AS (INSERT INTO people (id, kind, name, email, language)
                VALUES ($1, 'dispatcher', 'Dora', 'dora@example.org', 'de') RETURNING id),
     dispatcher AS (INSERT INTO dispatchers (id, company_id, created_at) SELECT id, $1, moment() FROM person)
UPDATE friends SET company_id = $1 WHERE id = ANY($2::uuid[])"""  # noqa: E501
STATE = "SELECT state FROM bookings WHERE id = $1"
NUMBERS = range(7)
BOOKING: Sequence[Any] = ("a booking of the run",)
RULES: dict[str, Mapping[str, Sequence[Any]]] = {}
"""The steps by name, with the choices for each argument; BOOKING is a booking of the run."""


class Bench:
    """One database and one runtime for all runs, emptied between them."""

    def __init__(self, server, template, folder) -> None:
        self.server, self.name = server, server.create(template)
        self.where = server.database(self.name)
        self.folder = folder
        self.runner = asyncio.Runner()
        self.seen: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.tried: Counter[tuple[str, str]] = Counter()
        self.runner.run(self._open())

    async def _open(self) -> None:
        self.owner = await db.connect(self.where.owner_dsn, application="tests")
        for (table,) in await self.owner.fetch(APPEND_ONLY):
            await self.owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only_truncate")
        await self.owner.execute(KEEP_SOLD)
        chosen = Settings(data_dir=self.folder, public_url="https://tekkie.test")
        self._opened = open_runtime(chosen, self.where, application="tests", chance=Random(7))
        self.rt = await self._opened.__aenter__()
        self.partner = (await accounts.add(self.rt, "Radio Meier"))[0].id

    async def reset(self, rank_by: RankBy) -> None:
        self.rt.policy = replace(self.rt.policy, rank_by=rank_by)
        await self.owner.execute(WIPE)
        await self.owner.execute(SELL)
        self.rt.index.load([])
        self.clock = Clock(self.owner)
        await self.clock.set(BEGINNING)
        rows = [friend_row(f"f{n}", north(100 * n), capacity=1 + n % 2) for n in range(1, 7)]
        rows.append(friend_row("pro", north(50), tier=Tier.PRO, capacity=1))
        refs = await import_friends(self.rt, rows)
        await self.owner.execute(NO_LIMITS)
        self.operator = await sessions.add_operator(self.rt, "Olga Beispiel", "olga@example.com")
        # The two nearest are of one company; tiers are mixed, so that it is asked at once.
        await self.owner.execute(COMPANY, FIRM, [refs["f1"], refs["f2"]])
        await load_index(self.rt)
        self.rows, self.friends = rows, [refs[row.ref] for row in rows]

    def close(self) -> None:
        self.runner.run(self._opened.__aexit__(None, None, None))
        self.runner.run(self.owner.close())
        self.runner.close()
        self.server.drop(self.name)


def step(**choices: Sequence[Any]) -> Callable[[Any], Any]:
    """Register a step, with the choices for each of its arguments."""

    def register(act: Any) -> Any:
        RULES[act.__name__] = choices
        return act

    return register


def action_of(name: str, drawn: Mapping[str, Any]) -> str:
    """The action of a step: for some steps an argument decides."""
    return str(drawn.get("action") or drawn.get("word") or name)


def sort_offers(job: Job) -> Job:
    """The same job with its offers in a fixed order, for comparison."""
    return replace(job, offers=tuple(sorted(job.offers, key=lambda offer: offer.id)))


class Run:
    """A run with six friends, a pro and up to five bookings; `log` is what happened."""

    def __init__(self, bench: Bench, rank_by: RankBy, start: int) -> None:
        """Start with a booking in a state: 0 is open, 5 under way, 6 unfilled."""
        self.bench, self.rank_by = bench, rank_by
        self.run = bench.runner.run
        self.log = [f"begin({rank_by=!s}, {start=})"]
        self.bookings: list[Any] = []
        self.before = "begin"
        self.run(bench.reset(rank_by))
        for friend in bench.friends if start == UNFILLED else ():
            self.run(friends.set_state(bench.rt, friend, FriendState.PAUSED, actor="system"))
        booking = self.book()
        steps = (self.accept, self.confirm_contact, self.schedule, self.leave, self.work)
        for action in steps[: start % UNFILLED]:
            extra = {
                self.schedule: {"hours": 5},
                self.leave: {"action": "mark_on_the_way"},
                self.work: {"action": "start"},
            }
            action(booking=booking, number=1, **extra.get(action, {}))
        self.run(check_invariants(bench.owner))

    def take(self, name: str, **drawn: Any) -> Any:
        """Take a step, and check all invariants."""
        bench = self.bench
        self.log.append(f"{name}({', '.join(f'{k}={v}' for k, v in drawn.items())})")
        bench.steps[name] += 1
        bench.pairs[self.before, name] += 1
        self.before = name
        if "booking" in drawn:
            bench.tried[self.state(drawn["booking"]), action_of(name, drawn)] += 1
        done = getattr(self, name)(**drawn)
        self.run(check_invariants(bench.owner))
        return done

    def is_possible(self, name: str) -> bool:
        """Whether this step is possible now."""
        return name != "book" or len(self.bookings) < BOOKINGS

    def state(self, booking: Any) -> str:
        """The state of a booking."""
        return str(self.run(self.bench.owner.fetchval(STATE, booking)))

    def finish_run(self) -> None:
        """Fire all due timers, and check everything once more."""
        self.run(self._finish())

    async def _finish(self) -> None:
        while await commands.fire_due_timers(self.bench.rt, 100):
            pass
        await check_invariants(self.bench.owner)
        await check_distances(self.bench.owner, self.rank_by)
        await check_index(self.bench.rt)

    def attempt(self, action, work):
        try:
            done = self.run(work)
        except Refused as refused:
            self.bench.seen[f"{action} refused: {refused.code}"] += 1
            return None
        self.bench.seen[f"{action} done"] += 1
        assert sort_offers(done.job) == sort_offers(self.job(done.job.booking.id))
        return done

    def note(self, action, work):
        """Run work that gives back no job."""
        try:
            self.run(work)
        except Refused as refused:
            self.bench.seen[f"{action} refused: {refused.code}"] += 1
        else:
            self.bench.seen[f"{action} done"] += 1

    def job(self, booking) -> Job:
        return self.run(self._job(booking))

    async def _job(self, booking):
        async with transaction(self.bench.rt.pool) as tx:
            loaded, _ = await store.lock(tx, [booking], self.bench.rt.catalogue)
            return loaded[booking]

    def holder(self, booking, number):
        """The holder of the job six times out of seven, else a friend by number."""
        award = self.job(booking).award
        return award.friend_id if award and number else self.bench.friends[number]

    def of_holder(self, action, booking, number, *args):
        """Run a command that only the holder may use."""
        act = getattr(commands, action)
        self.attempt(action, act(self.bench.rt, booking, self.holder(booking, number), *args))

    @step(vouched=[True, True, True, True, False])
    def book(self, vouched=True):
        phone = f"+4144000{len(self.bookings):04}"
        # Who has had a job done asks the friend of it first.
        completed = BookingState.COMPLETED
        first = next((one for one in self.bookings if self.state(one) == completed), None)
        work = book_job(self.bench.rt, vouched=vouched, phone=phone, ask_first=first)
        done = self.attempt("ask_first" if first else "book", work)
        self.bookings.append(done.job.booking.id)
        return self.bookings[-1]

    @step(booking=BOOKING, proof=sorted(Proof.__members__))
    def confirm(self, booking, proof):
        self.attempt("confirm", commands.confirm(self.bench.rt, booking, Proof[proof]))

    @step(booking=BOOKING, number=NUMBERS)
    def accept(self, booking, number):
        self.answer("accept", commands.accept, booking, number)

    @step(booking=BOOKING, number=NUMBERS)
    def decline(self, booking, number):
        self.answer("decline", commands.decline, booking, number)

    def answer(self, name, action, booking, number):
        job = self.job(booking)
        offers = job.live or job.offers
        if offers:
            offer = offers[number % len(offers)]
            self.attempt(name, action(self.bench.rt, offer.id, offer.friend_id))

    @step(booking=BOOKING, number=NUMBERS, word=["assign", "refuse", "reassign", "return"])
    def dispatch(self, booking, number, word):
        rt, job = self.bench.rt, self.job(booking)
        technician = self.bench.friends[number % 3]
        offers = [o for o in (*job.live, *job.offers) if o.company] or [*job.offers]
        if word in ("assign", "refuse") and not offers:
            return
        acts = {
            "assign": lambda: companies.accept(rt, offers[0].id, FIRM, technician, actor=DORA),
            "refuse": lambda: companies.decline(rt, offers[0].id, FIRM, actor=DORA),
            "reassign": lambda: companies.reassign(rt, booking, FIRM, technician, actor=DORA),
            "return": lambda: companies.hand_back(
                rt, booking, FIRM, "cannot_help", None, actor=DORA
            ),
        }
        self.attempt(word, acts[word]())

    @step(booking=BOOKING)
    def all_accept_at_once(self, booking):
        offers, rt = self.job(booking).live, self.bench.rt

        async def at_once():
            return await asyncio.gather(
                *(commands.accept(rt, o.id, o.friend_id) for o in (*offers, *offers)),
                return_exceptions=True,
            )

        results = self.run(at_once())
        won = [one for one in results if not isinstance(one, BaseException)]
        assert [one for one in results if one not in won and not isinstance(one, Refused)] == []
        assert len(won) in (0, 2)
        self.bench.seen[f"all accept: {len(won)}"] += 1

    @step(booking=BOOKING, number=NUMBERS)
    def confirm_contact(self, booking, number):
        self.of_holder("confirm_contact", booking, number)

    @step(booking=BOOKING, number=NUMBERS, hours=range(-1, 31))
    def schedule(self, booking, number, hours):
        starts_at = self.run(self.bench.clock.now()) + timedelta(hours=hours)
        self.of_holder("schedule", booking, number, starts_at, None)

    @step(booking=BOOKING, number=NUMBERS, action=["mark_on_the_way", "take_back_on_the_way"])
    def leave(self, booking, number, action):
        self.of_holder(action, booking, number)

    @step(booking=BOOKING, number=NUMBERS, minutes=[10, 30])
    def delay(self, booking, number, minutes):
        self.of_holder("delay", booking, number, minutes)

    @step(booking=BOOKING, number=NUMBERS, action=["start", "hand_back"])
    def work(self, booking, number, action):
        self.of_holder(
            action, booking, number, *{"hand_back": ("cannot_help", None)}.get(action, ())
        )

    @step(booking=BOOKING, number=NUMBERS, action=["complete", "mark_incomplete"])
    def finish(self, booking, number, action):
        reason = "needs_pro" if number % 2 else "other"
        self.of_holder(
            action, booking, number, *{"complete": (DONE, SIGNED)}.get(action, (reason, None))
        )

    @step(
        booking=BOOKING,
        number=NUMBERS,
        word=["cancel", "redispatch", "award_by_hand", "renew_link"],
    )
    def desk(self, booking, number, word):
        rt, friend = self.bench.rt, self.bench.friends[number]
        # The desk cannot award a job to one friend twice within a microsecond.
        self.run(self.bench.clock.advance(JUMPS[0]))
        acts = {
            "cancel": lambda: commands.cancel(
                rt,
                booking,
                actor="customer",
                reason="other",
                may_act=lambda job: True,
                fee_minor_max=ANY_FEE,
            ),
            "redispatch": lambda: commands.redispatch(
                rt, booking, actor=OPERATOR, needs_pro=(None, True, False)[number % 3]
            ),
            "award_by_hand": lambda: commands.award_by_hand(rt, booking, friend, actor=OPERATOR),
            "renew_link": lambda: commands.renew_link(
                rt, booking, actor=OPERATOR, may_act=lambda job: True
            ),
        }
        self.attempt(word, acts[word]())

    @step(booking=BOOKING, word=["report_no_call", "request_move"])
    def complain(self, booking, word):
        rt = self.bench.rt
        if word == "report_no_call":
            self.attempt(word, commands.report_no_call(rt, booking))
        else:
            self.attempt(word, commands.request_move(rt, booking, wishes=(), note="Later."))

    @step(booking=BOOKING, number=NUMBERS, word=["answer_contest", "refer", "confirm_reached"])
    def reach(self, booking, number, word):
        rt = self.bench.rt
        if word == "refer":
            for one in ("write", "answer"):
                self.talk(booking=booking, number=number, word=one)
        # The friend answers only a contest, which a walk would rarely have made just before.
        self.attempt("report_no_call", commands.report_no_call(rt, booking))
        if word == "confirm_reached":
            self.attempt(word, contacts.confirm_reached(rt, booking))
        else:
            called_at = self.run(self.bench.clock.now()) if word == "answer_contest" else None
            self.attempt(
                word, contacts.answer_contest(rt, booking, self.holder(booking, number), called_at)
            )

    @step(booking=BOOKING, number=NUMBERS, word=["write", "answer", "read"])
    def talk(self, booking, number, word):
        rt = self.bench.rt
        friend = self.holder(booking, number) if word == "write" else None
        stored = {"claim": None, "build_response": lambda done: {}}
        work = (
            threads.read(rt, booking, friend, 2)
            if word == "read"
            else threads.write(rt, booking, friend, "Hello.", **stored)
        )
        self.attempt(word, work)

    @step(booking=BOOKING, word=["contest", "uphold", "reopen"])
    def object(self, booking, word):
        rt = self.bench.rt
        acts = {
            "contest": lambda: commands.contest(rt, booking, ContestReason.OTHER),
            "uphold": lambda: commands.uphold(rt, booking, actor=OPERATOR),
            "reopen": lambda: commands.reopen(rt, booking, actor=OPERATOR),
        }
        # The desk decides only on an objection, which a walk would rarely have made just before.
        for one in dict.fromkeys(("contest", word)):
            self.attempt(one, acts[one]())

    @step(booking=BOOKING, stars=range(1, 6))
    def rate(self, booking, stars):
        arguments = {"comment": None, "claim": None, "build_response": lambda done: {}}
        self.attempt("rate", commands.rate(self.bench.rt, booking, stars=stars, **arguments))

    @step(booking=BOOKING, number=NUMBERS, word=["review_customer", "reply", "report", "decide"])
    def review(self, booking, number, word):
        rt, friend = self.bench.rt, self.holder(booking, number)
        if word == "review_customer":
            self.attempt(word, reviews.review_customer(rt, booking, friend, 4, None))
            return
        # Replying and deciding need a review that is shown, which a walk would rarely have.
        rated = commands.rate(
            rt, booking, stars=2, comment=None, claim=None, build_response=lambda done: {}
        )
        self.attempt("rate", rated)
        self.attempt("review_customer", reviews.review_customer(rt, booking, friend, 4, None))
        if word == "decide":
            self.note("report", reviews.report(rt, booking, friend=True, text="Untrue."))
            hide = HideReason.UNTRUE if number % 2 else None
            decided = reviews.decide(
                rt, booking, by_friend=False, hide=hide, operator=self.bench.operator
            )
            self.note(word, decided)
        else:
            act = {"reply": reviews.reply, "report": reviews.report}[word]
            self.note(word, act(rt, booking, friend=number % 2 == 0, text="Thank you."))

    @step(booking=BOOKING, word=["add_favourite", "remove_favourite"])
    def prefer(self, booking, word):
        self.note(word, getattr(customers, word)(self.bench.rt, booking))

    @step(number=NUMBERS, word=[str(FriendState.ACTIVE), str(FriendState.PAUSED)])
    def pause(self, number, word):
        friend, state = self.bench.friends[number], FriendState(word)
        self.run(friends.set_state(self.bench.rt, friend, state, actor="system"))
        self.bench.seen[f"{word} done"] += 1

    @step(number=NUMBERS, word=sorted(ALTERATIONS))
    def alter(self, number, word):
        self.note(word, ALTERATIONS[word](self.bench, number))

    @step(by=JUMPS)
    def time_passes(self, by):
        self.run(self.bench.clock.advance(by))

    @step()
    def sweep(self):
        self.bench.seen[
            f"fired: {min(self.run(commands.fire_due_timers(self.bench.rt, 100)), 2)}"
        ] += 1
