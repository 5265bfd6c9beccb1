"""A simulated town: the rules of the product, a virtual clock and a seed.

Customers book in bursts; friends accept, decline, pause, forget and hand back; sweepers come late
and twice; decisions are lost before they are stored, and responses after. Only the pure rules are
the product's; storing decisions and reading facts, the part of the database, is done in memory.
Everything follows from the seed: the digest of a run is the same in every process.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from heapq import heappop, heappush
from random import Random
from typing import Any
from uuid import UUID

from data.enums import (
    AwardState,
    BookingState,
    FriendState,
    OfferState,
    PackageTier,
    Tier,
    TimerKind,
    Wish,
)
from data.records.decisions import Decision
from data.records.ids import BookingId, FriendId
from data.records.jobs import Appointment, Award, Changes, Job, Offer, Protocol
from data.records.people import Friend
from dispatch.rules.jobs import contact, fan_out, matching, reviews, visit
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.draft import Case, PendingFanOut
from dispatch.rules.jobs.matching import Nearby
from dispatch.rules.policy import Policy, RankBy
from dispatch.rules.refusals import Refused
from tests.builders import SIGNED
from tests.simulation import invariants, people
from tests.simulation.invariants import require
from tests.simulation.levels import Month, count_month
from tests.simulation.people import CELL, PLACES, START

FRIENDS = 24
# More than any fee: the customer accepts every fee.
ANY_FEE = 1_000_000
CUSTOMERS = 90
# With 24 friends few bookings would use up three rounds.
POLICY = Policy(
    rounds=2,
    live_offers_max=4,
    retry_every=timedelta(minutes=15),
    retry_for=timedelta(minutes=45),
)
MS = timedelta(milliseconds=1)
DONE = Protocol(summary="New channel.", minutes=40)
TIMER_RULES = (
    (TimerKind.CONTACT_DEADLINE, rules.forfeit),
    (TimerKind.CONTACT_REMINDER, rules.remind),
    (TimerKind.OFFERS_EXPIRE, fan_out.expire),
    (TimerKind.RETRY, fan_out.retry),
    (TimerKind.CONTACT_CONTESTED, contact.expire),
)


class Town:
    """The run of one seed; after `run()` see its `digest` and the counts in `seen`."""

    def __init__(self, seed: int, rank_by: RankBy = RankBy.DOOR) -> None:
        self.chance = Random(seed)
        self.policy = replace(POLICY, rank_by=rank_by)
        self.now = START
        self.seen: Counter[str] = Counter()
        self.jobs: dict[BookingId, Job] = {}
        self.live_of: defaultdict[FriendId, dict[UUID, Offer]] = defaultdict(dict)
        self.held_of: Counter[FriendId] = Counter()
        self.appointments: defaultdict[FriendId, dict[BookingId, Appointment]] = defaultdict(dict)
        self.messages: set[UUID] = set()
        self.awards: dict[UUID, Award] = {}
        self.stars: defaultdict[FriendId, list[int]] = defaultdict(list)
        self.decisions: list[Decision] = []
        self._digest = sha256()
        self._heap: list[tuple[datetime, int, Callable[[], None]]] = []
        self._count = 0
        self.packages = [people.package(tier) for tier in PackageTier]
        self.friends = {
            f.id: f for f in (people.friend(n, self.chance) for n in range(1, FRIENDS + 1))
        }
        addresses = people.distances(self.friends, self.chance)
        cells = people.distances(self.friends, Random(f"cells of {seed}"))
        self.away_m = {RankBy.DOOR: addresses, RankBy.CELL: cells}
        self.place: dict[BookingId, int] = {}

    @property
    def digest(self) -> str:
        """A hash of everything that happened, in order."""
        return self._digest.hexdigest()

    @property
    def month(self) -> Month:
        """What each friend did, for their level."""
        return count_month(self.awards.values(), self.stars, self.policy)

    def run(self) -> Town:
        """Run until no action is left."""
        for number in range(CUSTOMERS):
            burst = timedelta(hours=5 * self.chance.randrange(10))
            self.after(
                burst + self.random_wait(seconds=20), lambda number=number: self._book(number)
            )
        for _ in range(30):
            self.after(timedelta(minutes=self.chance.randrange(60 * 60)), self._pause)
        while self._heap:
            self.now, _, act = heappop(self._heap)
            act()
        self._check_end()
        return self

    def after(self, wait: timedelta, act: Callable[[], None]) -> None:
        """Schedule `act` after `wait`; acts at the same moment run in the order of the calls."""
        self._count += 1
        heappush(self._heap, (self.now + max(wait, timedelta(0)), self._count, act))

    def random_wait(self, **upto: float) -> timedelta:
        """A random wait of up to this duration."""
        return timedelta(**upto) * self.chance.random()

    def happens(self, percent: float) -> bool:
        """True in so many of a hundred cases."""
        return people.happens(self.chance, percent)

    # The part of the database

    def decide(self, id_: BookingId, name: str, rule: Callable[..., Any], *args: Any) -> bool:
        """Lock, decide, store; False if refused. Some decisions or responses are lost."""
        before = self.jobs[id_]
        try:
            changes, fits = self._changes(before, rule, args)
        except Refused as refused:
            self.seen[f"{name} refused: {refused.code}"] += 1
            return False
        if changes is None:
            self.seen[f"{name} again"] += 1
            return True
        if self.happens(1):
            self.seen["decision lost before it was stored"] += 1
            self.after(self.random_wait(seconds=3), lambda: self._retry(id_, name, rule, args))
            return False
        self._store(before, changes, fits)
        self.seen[name] += 1
        if self.happens(1):
            self.seen["response lost after it was stored"] += 1
            self.after(self.random_wait(seconds=3), lambda: self._retry(id_, name, rule, args))
        return True

    def _retry(self, id_: BookingId, name: str, rule: Callable[..., Any], args: Any) -> None:
        if name == "book" and self.jobs[id_].booking.event_seq:
            return
        if rule is rules.accept:
            args = (args[0], self._read_friend(args[1].id))
        if rule is rules.schedule:
            args = (*args[:2], self._other_appointments(id_))
        self.decide(id_, name, rule, *args)

    def _changes(self, before: Job, rule: Callable[..., Any], args: Any) -> tuple[Any, Any]:
        customer = people.customer(before.booking) if not before.booking.event_seq else None
        case = Case(job=before, now=self.now, policy=self.policy, actor="system", customer=customer)
        verdict = rule(case, *args)
        if not isinstance(verdict, PendingFanOut):
            return verdict, None
        job = verdict.draft.job
        fits = {need.tier: self._fitting_friends(job, need.tier) for need in verdict.needs}
        return fan_out.finish(verdict, self._nearby(job)), (job, verdict, fits)

    def _store(self, before: Job, changes: Changes, asked: Any) -> None:
        after = before.after(changes)
        invariants.check_decision(before, changes, after, self.now)
        invariants.check_job(after)
        if asked is not None:
            self._check_fan_out(before, changes, asked)
        self.decisions += changes.decisions
        self.jobs[before.booking.id] = after
        self._count_jobs(before, changes)
        self._record(changes)
        for offer in changes.offers:
            if offer.state is OfferState.LIVE:
                require(not invariants.has_refused(before, offer), "S5 nobody is asked twice")
                self.live_of[offer.friend_id][offer.id] = offer
                self._react(offer)
            else:
                self.live_of[offer.friend_id].pop(offer.id, None)
        for kind, due in changes.timers.items():
            if due is not None:
                self._sweep_at(before.booking.id, kind, due)
        if changes.award_is_new:
            self._work(after)

    def _check_fan_out(self, before: Job, changes: Changes, asked: Any) -> None:
        """S7: the nearest of the first tier with fitting friends are asked."""
        job, pending, fits = asked
        if invariants.check_favourite(job, changes, fits.values(), self.now):
            self.seen["favourite asked first"] += 1
            return
        for need in pending.needs:
            if fits[need.tier]:
                invariants.check_nearest(job, changes, fits[need.tier], len(job.live))
                break
        else:
            new = [o for o in changes.offers if o.state is OfferState.LIVE]
            require(not new, "S6 nobody is asked who is not fit")
            if not pending.needs:
                self.seen["rounds used up"] += 1
        if len(before.live) > len(job.live) > 0:
            self.seen["top-up"] += any(o.state is OfferState.LIVE for o in changes.offers)
        old = {o.friend_id for o in before.offers if o.state is OfferState.LOST}
        if any(o.state is OfferState.LIVE and o.friend_id in old for o in changes.offers):
            self.seen["a friend who lost is asked again"] += 1

    def _count_jobs(self, before: Job, changes: Changes) -> None:
        award = changes.award
        if award is not None:
            self.awards[award.id] = award
        if changes.rating is not None:
            self.stars[changes.rating.friend_id].append(changes.rating.stars)
        if changes.award_is_new and award is not None:
            self.held_of[award.friend_id] += 1
        elif award is not None and award.state is not AwardState.LIVE:
            self.held_of[award.friend_id] -= 1
            self.appointments[award.friend_id].pop(before.booking.id, None)
        elif award is not None and award.appointment is not None:
            self.appointments[award.friend_id][before.booking.id] = award.appointment
            invariants.check_no_overlap(list(self.appointments[award.friend_id].values()))
        for friend_id, by in changes.open_jobs.items():
            friend = self.friends[friend_id]
            friend = replace(friend, open_jobs=friend.open_jobs + by)
            require(0 <= friend.open_jobs <= friend.capacity, "S8 within the capacity")
            self.friends[friend_id] = friend
        if award is not None:
            count = self.friends[award.friend_id].open_jobs
            require(count == self.held_of[award.friend_id], "S8 the counter is the recount")

    def _record(self, changes: Changes) -> None:
        for event in changes.events:
            self._digest.update(repr((event.seq, event.kind, event.at, event.data)).encode())
            self.seen[event.kind] += 1
            self.seen["cancelled for a fee"] += "fee_minor" in event.data
        for message in changes.messages:
            require(message.id not in self.messages, "D9 a message has an id of its own")
            self.messages.add(message.id)
            self._digest.update(message.id.bytes)

    def _sweep_at(self, id_: BookingId, kind: TimerKind, due: datetime) -> None:
        late = self.random_wait(seconds=2)
        if self.happens(3):
            late = self.random_wait(minutes=40)
        if kind is TimerKind.CONTACT_DEADLINE and self.happens(20):
            late = timedelta(0)
        for wait in (late, late + self.random_wait(seconds=1)) if self.happens(10) else (late,):
            self.after(due - self.now + wait, lambda: self._sweep(id_, late > timedelta(minutes=2)))

    def _sweep(self, id_: BookingId, late: bool) -> None:
        timers = self.jobs[id_].timers
        for kind, rule in TIMER_RULES:
            if kind in timers and timers[kind] <= self.now:
                self.seen["late sweep"] += late
                if not self.decide(id_, str(kind), rule) or self._still_due(id_):
                    self.after(self.random_wait(seconds=1), lambda: self._sweep(id_, False))
                return
        self.seen["a sweeper finds nothing to do"] += 1

    def _still_due(self, id_: BookingId) -> bool:
        return any(due <= self.now for due in self.jobs[id_].timers.values())

    def _nearby(self, job: Job) -> tuple[Nearby, ...]:
        there = matching.booking_reference_point(job.booking, self.policy)
        kind = RankBy.CELL if there == CELL else RankBy.DOOR
        away = self.away_m[kind][self.place[job.booking.id]]
        near = [Nearby(self._read_friend(friend_id), away[friend_id]) for friend_id in self.friends]
        self.chance.shuffle(near)
        return tuple(near)

    def _read_friend(self, friend_id: FriendId) -> Friend:
        friend, count = self.friends[friend_id], self._live_offers(friend_id)
        return replace(friend, live_offers=count) if count else friend

    def _live_offers(self, friend_id: FriendId) -> int:
        return sum(o.expires_at > self.now for o in self.live_of[friend_id].values())

    def _fitting_friends(self, job: Job, tier: Tier) -> list[tuple[float, FriendId]]:
        away = self.away_m[self.policy.rank_by][self.place[job.booking.id]]
        most = POLICY.live_offers_max
        asked = {offer.friend_id for offer in job.live}
        barred = {o.friend_id for o in job.offers if o.state in invariants.REFUSED} | set(
            job.former
        )
        found = []
        for friend in self.friends.values():
            if friend.tier is not tier or friend.id in asked or friend.id in barred:
                continue
            count = self._live_offers(friend.id)
            if invariants.is_fit(friend, away[friend.id], job, count, most):
                found.append((away[friend.id], friend.id))
            elif invariants.is_fit(friend, away[friend.id], job, 0, most):
                self.seen["a friend has too many offers"] += 1
        return found

    # The actions of people

    def _book(self, number: int) -> None:
        id_ = BookingId(UUID(int=(0x0197F0A0_0000_7000_8000 << 64 >> 16) + number))
        booking = people.booking(id_, number, self.now, self.chance)
        self.place[id_] = self.chance.randrange(PLACES)
        package = self.packages[number % 3]
        self.jobs[id_] = Job(
            booking=replace(booking, tier=matching.first_tier(package)), package=package
        )
        self.decide(id_, "book", rules.book)
        if self.happens(25):
            arguments = ("other", self.chance.choice((0, ANY_FEE)))
            self.after(
                self.random_wait(hours=20),
                lambda: self.decide(id_, "cancel", rules.cancel, *arguments),
            )
        if self.happens(4):
            self.after(self.random_wait(hours=20), lambda: self._intervene(id_))

    def _react(self, offer: Offer) -> None:
        life = offer.expires_at - self.now
        draw = self.chance.random()
        if draw < 0.30:
            self.after(self.random_wait(seconds=2), lambda: self._accept(offer))
        elif draw < 0.42:
            self.after(life * self.chance.random(), lambda: self._accept(offer))
        elif draw < 0.72:
            wait = self.random_wait(seconds=50) if self.happens(50) else life * self.chance.random()
            self.after(wait, lambda: self._decline(offer))
        elif draw < 0.80:
            edge = self.chance.choice([-MS, timedelta(0), MS])
            self.after(
                life + edge, lambda: self._accept(offer, f"at {edge / MS:+.0f} ms of expiry")
            )
        elif draw < 0.84:
            self.after(self.random_wait(seconds=2), lambda: self._accept(offer))
            self.after(self.random_wait(seconds=2), lambda: self._decline(offer))
        else:
            self.seen["no answer"] += 1

    def _accept(self, offer: Offer, when: str = "") -> None:
        friend = self._read_friend(offer.friend_id)
        won = self.decide(offer.booking_id, "accept", rules.accept, offer.id, friend)
        if when:
            self.seen[f"accept {when}: {'won' if won else 'refused'}"] += 1
        if self.happens(15):
            self.after(self.random_wait(seconds=1), lambda: self._accept(offer))

    def _decline(self, offer: Offer) -> None:
        before = self.jobs[offer.booking_id]
        if self.decide(offer.booking_id, "decline", rules.decline, offer.id):
            states = [o.state for o in before.offers if o.round == offer.round]
            if states.count(OfferState.DECLINED) >= 3 and len(before.live) == 1:
                self.seen["everybody declined"] += 1
            if self.happens(15):
                self.after(self.random_wait(seconds=1), lambda: self._decline(offer))

    def _work(self, job: Job) -> None:
        award = job.award
        assert award is not None
        id_, due = job.booking.id, award.contact_due_at - self.now
        for _ in range(self.happens(12) + self.happens(12)):
            self.after(self.random_wait(hours=14), lambda: self._report_no_call(id_))
        draw = self.chance.random()
        if draw < 0.12:
            self.seen["forgot to call"] += 1
            self.after(
                due + self.random_wait(hours=2), lambda: self._call(id_, award.id, "too late")
            )
        elif draw < 0.24:
            edge = self.chance.choice([-MS, timedelta(0), MS])
            self.after(due + edge, lambda: self._call(id_, award.id, f"at {edge / MS:+.0f} ms"))
        elif draw < 0.32:
            self.after(due * self.chance.random(), lambda: self._hand_back(id_, award.id))
            self.after(due * self.chance.random(), lambda: self._call(id_, award.id))
        else:
            self.after(due * self.chance.random(), lambda: self._call(id_, award.id))

    def _report_no_call(self, id_: BookingId) -> None:
        self.decide(id_, "report no call", visit.report_no_call)
        award = self.jobs[id_].award
        if award is not None and contact.is_paused(award):
            steps = [("answer", contact.answer, self.now), ("called", contact.confirm)]
            steps += [("settle", contact.settle), *[("no answer", None)] * 4]
            name, rule, *args = self.chance.choice(steps)
            if rule is None:
                return
            self.after(
                self.random_wait(hours=14),
                lambda: self._end_contest(id_, award.id, name, rule, args),
            )

    def _end_contest(self, id_: BookingId, award_id: UUID, name: str, rule: Any, args: Any) -> None:
        # Once it is completed, what the desk upholds is the completion.
        if self._is_held(id_, award_id) and self.jobs[id_].booking.state in invariants.HELD:
            self.decide(id_, name, rule, *args)

    def _request_move(self, id_: BookingId, award_id: UUID) -> None:
        if self._is_held(id_, award_id):
            wishes = (self.chance.choice(list(Wish)),)
            self.decide(id_, "request move", visit.request_move, wishes, None)
            self.after(self.random_wait(hours=1), lambda: self._schedule(id_, award_id))

    def _is_held(self, id_: BookingId, award_id: UUID) -> bool:
        award = self.jobs[id_].award
        return award is not None and award.id == award_id

    def _call(self, id_: BookingId, award_id: UUID, when: str = "") -> None:
        if not self._is_held(id_, award_id):
            self.seen["call after the job was lost"] += 1
            return
        due = self.jobs[id_].timers.get(TimerKind.CONTACT_DEADLINE)
        done = self.decide(id_, "confirm contact", rules.confirm_contact)
        if when:
            self.seen[f"contact {when}: {'in time' if done else 'refused'}"] += 1
        if due is not None and self.now == due:
            self.seen["contact at the moment of the deadline"] += 1
        if self.jobs[id_].booking.state is BookingState.CONTACTED:
            self.after(self.random_wait(hours=3), lambda: self._schedule(id_, award_id))
        elif not done and self._is_held(id_, award_id):
            self.after(self.random_wait(minutes=5), lambda: self._call(id_, award_id))

    def _hand_back(self, id_: BookingId, award_id: UUID) -> None:
        award = self.jobs[id_].award
        if award is not None and self._is_held(id_, award_id):
            holder = self.friends[award.friend_id]
            self.decide(id_, "hand back", rules.hand_back, "cannot_help", None, holder)

    def _other_appointments(self, id_: BookingId) -> tuple[Appointment, ...]:
        award = self.jobs[id_].award
        friend_id = award.friend_id if award else None
        return tuple(a for b, a in self.appointments.get(friend_id, {}).items() if b != id_)

    def _schedule(self, id_: BookingId, award_id: UUID) -> None:
        if not self._is_held(id_, award_id):
            return
        if self.happens(20):
            self._report_no_call(id_)
        if self.happens(80):
            begin = self.now + timedelta(hours=self.chance.randrange(1, 9))
            begin = begin.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
            end = begin + timedelta(minutes=60)
            self.decide(id_, "schedule", rules.schedule, begin, end, self._other_appointments(id_))
            if self.happens(20):
                self.after(self.random_wait(hours=1), lambda: self._schedule(id_, award_id))
            if self.happens(15):
                self.after(self.random_wait(hours=1), lambda: self._request_move(id_, award_id))
        if self.happens(6):
            self.after(self.random_wait(hours=2), lambda: self._hand_back(id_, award_id))
        self.after(
            timedelta(hours=1) + self.random_wait(hours=3), lambda: self._visit(id_, award_id)
        )

    def _set_out(self, id_: BookingId) -> None:
        if self.happens(50):
            self.decide(id_, "on the way", visit.mark_on_the_way)
            if self.jobs[id_].booking.event_seq % 9 == 0:
                self.decide(id_, "not on the way", visit.take_back_on_the_way)

    def _visit(self, id_: BookingId, award_id: UUID) -> None:
        if not self._is_held(id_, award_id):
            return
        if self.happens(20) and self.jobs[id_].booking.state is BookingState.SCHEDULED:
            self.decide(id_, "delay", visit.delay, 20)
        self._set_out(id_)
        if self.happens(70):
            self.decide(id_, "start", rules.start)
        if self.happens(88):
            self.decide(id_, "complete", rules.complete, DONE, SIGNED)
        else:
            self.decide(id_, "mark incomplete", rules.mark_incomplete, "needs_parts", None)
            self.after(self.random_wait(hours=2), lambda: self._intervene(id_))
        state = self.jobs[id_].booking.state
        if state in invariants.HELD and self._is_held(id_, award_id):
            self.after(self.random_wait(hours=1), lambda: self._visit(id_, award_id))
        if state is BookingState.COMPLETED:
            self._rate(id_)

    def _rate(self, id_: BookingId) -> None:
        for _ in range(1 + self.happens(20)):
            self.after(
                self.random_wait(hours=2), lambda: self.decide(id_, "rate", reviews.rate, 5, None)
            )

    def _intervene(self, id_: BookingId) -> None:
        state = self.jobs[id_].booking.state
        if state in (BookingState.OPEN, BookingState.UNFILLED) and self.happens(60):
            friend = self._read_friend(self.chance.choice(list(self.friends)))
            self.decide(id_, "award by hand", rules.award_by_hand, friend)
        elif state is BookingState.INCOMPLETE and self.happens(40):
            self.decide(id_, "cancel", rules.cancel, "other")
        else:
            self.decide(id_, "redispatch", rules.redispatch)

    def _pause(self) -> None:
        id_ = self.chance.choice(list(self.friends))
        self._set_state(id_, FriendState.PAUSED)
        self.after(self.random_wait(hours=3), lambda: self._set_state(id_, FriendState.ACTIVE))

    def _set_state(self, id_: FriendId, state: FriendState) -> None:
        self.friends[id_] = replace(self.friends[id_], state=state)

    def _check_end(self) -> None:
        over = set(BookingState) - invariants.HELD - {BookingState.OPEN}
        for job in self.jobs.values():
            require(job.booking.state in over, f"L4 a booking stays {job.booking.state}")
            require(not job.timers, "L2 a timer that never fired")
            self.seen[f"ended {job.booking.state}"] += 1
        require(set(self.held_of.values()) <= {0}, "S8 everybody is free again")
