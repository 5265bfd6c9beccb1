"""A town that lives by itself: the rules of the product, a virtual clock and a seed.

Customers book in bursts, friends accept, decline, sleep, forget and hand back, sweepers come late
and twice, decisions are lost before they are kept and answers after. Only the pure rules are the
product's; what a database would do, keep what was decided and hand out the facts, is done here in
memory. Everything follows from the seed: the digest of a run is the same in every process.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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
from data.markets import Currency, Language, Market
from data.records.catalogue import Package
from data.records.ids import BookingId, FriendId, PersonId, customer_key
from data.records.jobs import Appointment, Booking, Changes, Job, Offer, Protocol
from data.records.money import Money
from data.records.people import Friend, HeldCertificate, Person
from dispatch.rules.jobs import fan_out, matching, visit
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.draft import Case, PendingFanOut
from dispatch.rules.jobs.matching import Nearby
from dispatch.rules.policy import Policy, RankBy
from dispatch.rules.refusals import Refused
from geo.point import Point
from tests.simulation import promises
from tests.simulation.promises import hold

BEGINNING = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)
FRIENDS = 24
# More than any fee: the customer takes what it costs.
DEAR = 1_000_000
CUSTOMERS = 90
PLACES = 6
CELL = Point(47.004, 8.004)
POLICY = Policy(
    rounds=3,
    live_offers_max=4,
    retry_every=timedelta(minutes=15),
    retry_for=timedelta(minutes=45),
)
MS = timedelta(milliseconds=1)
DONE = Protocol(summary="New channel.", minutes=40)
WIFI = HeldCertificate(code="wifi", valid_from=BEGINNING - timedelta(days=9), valid_until=None)
RINGS = (
    (TimerKind.CONTACT_DEADLINE, rules.forfeit),
    (TimerKind.CONTACT_REMINDER, rules.remind),
    (TimerKind.OFFERS_EXPIRE, fan_out.expire),
    (TimerKind.RETRY, fan_out.retry),
)
KEYS = [customer_key(f"customer{n}@example.com") for n in range(9)]


class Town:
    """One seed's worth of life; `live()` runs it to its end, with its `digest` and `seen`."""

    def __init__(self, seed: int, rank_by: RankBy = RankBy.DOOR) -> None:
        self.chance = Random(seed)
        self.policy = replace(POLICY, rank_by=rank_by)
        self.now = BEGINNING
        self.seen: Counter[str] = Counter()
        self.jobs: dict[BookingId, Job] = {}
        self.live_of: defaultdict[FriendId, dict[UUID, Offer]] = defaultdict(dict)
        self.held_of: Counter[FriendId] = Counter()
        self.diary: defaultdict[FriendId, dict[BookingId, Appointment]] = defaultdict(dict)
        self.messages: set[UUID] = set()
        self._digest = sha256()
        self._heap: list[tuple[datetime, int, Callable[[], None]]] = []
        self._count = 0
        self.packages = [self._package(tier) for tier in PackageTier]
        self.friends = {f.id: f for f in (self._friend(n) for n in range(1, FRIENDS + 1))}
        doors, cells = self._distances(self.chance), self._distances(Random(f"cells of {seed}"))
        self.away_m = {RankBy.DOOR: doors, RankBy.CELL: cells}
        self.place: dict[BookingId, int] = {}

    @property
    def digest(self) -> str:
        """A hash of everything that happened, in order."""
        return self._digest.hexdigest()

    def live(self) -> Town:
        """Let everybody live until nothing is left to happen."""
        for number in range(CUSTOMERS):
            burst = timedelta(hours=5 * self.chance.randrange(10))
            self.at(burst + self.some(seconds=20), lambda number=number: self._books(number))
        for _ in range(30):
            self.at(timedelta(minutes=self.chance.randrange(60 * 60)), self._pauses)
        while self._heap:
            self.now, _, act = heappop(self._heap)
            act()
        self._all_came_to_an_end()
        return self

    def at(self, wait: timedelta, act: Callable[[], None]) -> None:
        """Let `act` happen after `wait`; what is due at one moment happens in this order."""
        self._count += 1
        heappush(self._heap, (self.now + max(wait, timedelta(0)), self._count, act))

    def some(self, **upto: float) -> timedelta:
        """A wait of up to so much."""
        return timedelta(**upto) * self.chance.random()

    def luck(self, percent: float) -> bool:
        return self.chance.random() * 100 < percent

    # What the database does

    def decide(self, id_: BookingId, name: str, rule: Callable[..., Any], *args: Any) -> bool:
        """Lock, decide, keep; True unless refused. Now and then a decision or an answer is lost."""
        before = self.jobs[id_]
        try:
            changes, fits = self._changes(before, rule, args)
        except Refused as refused:
            self.seen[f"{name} refused: {refused.code}"] += 1
            return False
        if changes is None:
            self.seen[f"{name} again"] += 1
            return True
        if self.luck(1):
            self.seen["decision lost before it was kept"] += 1
            self.at(self.some(seconds=3), lambda: self._retry(id_, name, rule, args))
            return False
        self._keep(before, changes, fits)
        self.seen[name] += 1
        if self.luck(1):
            self.seen["answer lost after it was kept"] += 1
            self.at(self.some(seconds=3), lambda: self._retry(id_, name, rule, args))
        return True

    def _retry(self, id_: BookingId, name: str, rule: Callable[..., Any], args: Any) -> None:
        if name == "booked" and self.jobs[id_].booking.event_seq:
            return
        if rule is rules.accept:
            args = (args[0], self._as_read(args[1].id))
        if rule is rules.schedule:
            args = (*args[:2], self._taken(id_))
        self.decide(id_, name, rule, *args)

    def _changes(self, before: Job, rule: Callable[..., Any], args: Any) -> tuple[Any, Any]:
        customer = self._customer(before.booking) if not before.booking.event_seq else None
        case = Case(job=before, now=self.now, policy=self.policy, actor="system", customer=customer)
        verdict = rule(case, *args)
        if not isinstance(verdict, PendingFanOut):
            return verdict, None
        job = verdict.draft.job
        fits = {need.tier: self._fits(job, need.tier) for need in verdict.needs}
        return fan_out.finish(verdict, self._nearby(job)), (job, verdict, fits)

    def _keep(self, before: Job, changes: Changes, asked: Any) -> None:
        after = before.after(changes)
        promises.of_step(before, changes, after, self.now)
        promises.of_job(after)
        if asked is not None:
            self._judge(before, changes, asked)
        self.jobs[before.booking.id] = after
        self._count_jobs(before, changes)
        self._write_down(changes)
        for offer in changes.offers:
            if offer.state is OfferState.LIVE:
                hold(not promises.refused_before(before, offer), "S5 nobody is asked twice")
                self.live_of[offer.friend_id][offer.id] = offer
                self._reacts(offer)
            else:
                self.live_of[offer.friend_id].pop(offer.id, None)
        for kind, due in changes.timers.items():
            if due is not None:
                self._sweep_at(before.booking.id, kind, due)
        if changes.award_is_new:
            self._works(after)

    def _judge(self, before: Job, changes: Changes, asked: Any) -> None:
        """S7: the first tier of those in question that has anybody fit is asked, its nearest."""
        job, asking, fits = asked
        for need in asking.needs:
            if fits[need.tier]:
                promises.nearest(job, changes, fits[need.tier], len(job.live))
                break
        else:
            new = [o for o in changes.offers if o.state is OfferState.LIVE]
            hold(not new, "S6 nobody is asked who is not fit")
            if not asking.needs:
                self.seen["rounds spent"] += 1
        if len(before.live) > len(job.live) > 0:
            self.seen["top-up"] += any(o.state is OfferState.LIVE for o in changes.offers)
        old = {o.friend_id for o in before.offers if o.state is OfferState.LOST}
        if any(o.state is OfferState.LIVE and o.friend_id in old for o in changes.offers):
            self.seen["a loser is asked again"] += 1

    def _count_jobs(self, before: Job, changes: Changes) -> None:
        award = changes.award
        if changes.award_is_new and award is not None:
            self.held_of[award.friend_id] += 1
        elif award is not None and award.state is not AwardState.LIVE:
            self.held_of[award.friend_id] -= 1
            self.diary[award.friend_id].pop(before.booking.id, None)
        elif award is not None and award.appointment is not None:
            self.diary[award.friend_id][before.booking.id] = award.appointment
            promises.apart(list(self.diary[award.friend_id].values()))
        for friend_id, by in changes.open_jobs.items():
            friend = self.friends[friend_id]
            friend = replace(friend, open_jobs=friend.open_jobs + by)
            hold(0 <= friend.open_jobs <= friend.capacity, "S8 within his capacity")
            self.friends[friend_id] = friend
        if award is not None:
            count = self.friends[award.friend_id].open_jobs
            hold(count == self.held_of[award.friend_id], "S8 the counter is the recount")

    def _write_down(self, changes: Changes) -> None:
        for event in changes.events:
            self._digest.update(repr((event.seq, event.kind, event.at, event.data)).encode())
            self.seen[event.kind] += 1
            self.seen["cancelled for a fee"] += "fee_minor" in event.data
        for message in changes.messages:
            hold(message.id not in self.messages, "D9 a message has an id of its own")
            self.messages.add(message.id)
            self._digest.update(message.id.bytes)

    def _sweep_at(self, id_: BookingId, kind: TimerKind, due: datetime) -> None:
        late = self.some(seconds=2)
        if self.luck(3):
            late = self.some(minutes=40)
        if kind is TimerKind.CONTACT_DEADLINE and self.luck(20):
            late = timedelta(0)
        for wait in (late, late + self.some(seconds=1)) if self.luck(10) else (late,):
            self.at(due - self.now + wait, lambda: self._sweep(id_, late > timedelta(minutes=2)))

    def _sweep(self, id_: BookingId, late: bool) -> None:
        timers = self.jobs[id_].timers
        for kind, rule in RINGS:
            if kind in timers and timers[kind] <= self.now:
                self.seen["late sweep"] += late
                if not self.decide(id_, str(kind), rule) or self._still_due(id_):
                    self.at(self.some(seconds=1), lambda: self._sweep(id_, False))
                return
        self.seen["a sweeper finds nothing to do"] += 1

    def _still_due(self, id_: BookingId) -> bool:
        return any(due <= self.now for due in self.jobs[id_].timers.values())

    def _nearby(self, job: Job) -> tuple[Nearby, ...]:
        there = matching.booking_reference_point(job.booking, self.policy)
        kind = RankBy.CELL if there == CELL else RankBy.DOOR
        away = self.away_m[kind][self.place[job.booking.id]]
        near = [Nearby(self._as_read(friend_id), away[friend_id]) for friend_id in self.friends]
        self.chance.shuffle(near)
        return tuple(near)

    def _as_read(self, friend_id: FriendId) -> Friend:
        friend, count = self.friends[friend_id], self._live_offers(friend_id)
        return replace(friend, live_offers=count) if count else friend

    def _live_offers(self, friend_id: FriendId) -> int:
        return sum(o.expires_at > self.now for o in self.live_of[friend_id].values())

    def _fits(self, job: Job, tier: Tier) -> list[tuple[float, FriendId]]:
        away = self.away_m[self.policy.rank_by][self.place[job.booking.id]]
        most = POLICY.live_offers_max
        asked = {offer.friend_id for offer in job.live}
        barred = {o.friend_id for o in job.offers if o.state in promises.REFUSED} | set(job.former)
        found = []
        for friend in self.friends.values():
            if friend.tier is not tier or friend.id in asked or friend.id in barred:
                continue
            count = self._live_offers(friend.id)
            if promises.fit(friend, away[friend.id], job, count, most):
                found.append((away[friend.id], friend.id))
            elif promises.fit(friend, away[friend.id], job, 0, most):
                self.seen["a friend has too many offers"] += 1
        return found

    # What people do

    def _books(self, number: int) -> None:
        id_ = BookingId(UUID(int=(0x0197F0A0_0000_7000_8000 << 64 >> 16) + number))
        booking = self._booking(id_, number)
        self.place[id_] = self.chance.randrange(PLACES)
        package = self.packages[number % 3]
        self.jobs[id_] = Job(
            booking=replace(booking, tier=matching.first_tier(package)), package=package
        )
        self.decide(id_, "booked", rules.book)
        if self.luck(15):
            shown = self.chance.choice((0, DEAR))
            words = ("other", shown)
            self.at(self.some(hours=20), lambda: self.decide(id_, "cancel", rules.cancel, *words))
        if self.luck(4):
            self.at(self.some(hours=20), lambda: self._desk(id_))

    def _reacts(self, offer: Offer) -> None:
        life = offer.expires_at - self.now
        mood = self.chance.random()
        if mood < 0.30:
            self.at(self.some(seconds=2), lambda: self._accepts(offer))
        elif mood < 0.42:
            self.at(life * self.chance.random(), lambda: self._accepts(offer))
        elif mood < 0.72:
            wait = self.some(seconds=50) if self.luck(50) else life * self.chance.random()
            self.at(wait, lambda: self._declines(offer))
        elif mood < 0.80:
            edge = self.chance.choice([-MS, timedelta(0), MS])
            self.at(life + edge, lambda: self._accepts(offer, f"at {edge / MS:+.0f} ms of expiry"))
        elif mood < 0.84:
            self.at(self.some(seconds=2), lambda: self._accepts(offer))
            self.at(self.some(seconds=2), lambda: self._declines(offer))
        else:
            self.seen["silence"] += 1

    def _accepts(self, offer: Offer, when: str = "") -> None:
        friend = self._as_read(offer.friend_id)
        won = self.decide(offer.booking_id, "accept", rules.accept, offer.id, friend)
        if when:
            self.seen[f"accept {when}: {'won' if won else 'refused'}"] += 1
        if self.luck(15):
            self.at(self.some(seconds=1), lambda: self._accepts(offer))

    def _declines(self, offer: Offer) -> None:
        before = self.jobs[offer.booking_id]
        if self.decide(offer.booking_id, "decline", rules.decline, offer.id):
            states = [o.state for o in before.offers if o.round == offer.round]
            if states.count(OfferState.DECLINED) >= 3 and len(before.live) == 1:
                self.seen["everybody declined"] += 1
            if self.luck(15):
                self.at(self.some(seconds=1), lambda: self._declines(offer))

    def _works(self, job: Job) -> None:
        award = job.award
        assert award is not None
        id_, due = job.booking.id, award.contact_due_at - self.now
        for _ in range(self.luck(12) + self.luck(12)):
            self.at(self.some(hours=14), lambda: self._misses_a_call(id_))
        mood = self.chance.random()
        if mood < 0.12:
            self.seen["forgot to call"] += 1
            self.at(due + self.some(hours=2), lambda: self._calls(id_, award.id, "too late"))
        elif mood < 0.24:
            edge = self.chance.choice([-MS, timedelta(0), MS])
            self.at(due + edge, lambda: self._calls(id_, award.id, f"at {edge / MS:+.0f} ms"))
        elif mood < 0.32:
            self.at(due * self.chance.random(), lambda: self._hands_back(id_, award.id))
            self.at(due * self.chance.random(), lambda: self._calls(id_, award.id))
        else:
            self.at(due * self.chance.random(), lambda: self._calls(id_, award.id))

    def _misses_a_call(self, id_: BookingId) -> None:
        self.decide(id_, "not called", visit.report_no_call)

    def _wants_another_time(self, id_: BookingId, award_id: UUID) -> None:
        if self._holds(id_, award_id):
            wishes = (self.chance.choice(list(Wish)),)
            self.decide(id_, "ask move", visit.request_move, wishes, None)
            self.at(self.some(hours=1), lambda: self._meets(id_, award_id))

    def _holds(self, id_: BookingId, award_id: UUID) -> bool:
        award = self.jobs[id_].award
        return award is not None and award.id == award_id

    def _calls(self, id_: BookingId, award_id: UUID, when: str = "") -> None:
        if not self._holds(id_, award_id):
            self.seen["call after the job was lost"] += 1
            return
        due = self.jobs[id_].timers.get(TimerKind.CONTACT_DEADLINE)
        done = self.decide(id_, "contacted", rules.confirm_contact)
        if when:
            self.seen[f"contact {when}: {'in time' if done else 'refused'}"] += 1
        if due is not None and self.now == due:
            self.seen["contact in the very moment of the deadline"] += 1
        if self.jobs[id_].booking.state is BookingState.CONTACTED:
            self.at(self.some(hours=3), lambda: self._meets(id_, award_id))
        elif not done and self._holds(id_, award_id):
            self.at(self.some(minutes=5), lambda: self._calls(id_, award_id))

    def _hands_back(self, id_: BookingId, award_id: UUID) -> None:
        if self._holds(id_, award_id):
            self.decide(id_, "hand back", rules.hand_back, "cannot_help", None)

    def _taken(self, id_: BookingId) -> tuple[Appointment, ...]:
        award = self.jobs[id_].award
        friend_id = award.friend_id if award else None
        return tuple(a for b, a in self.diary.get(friend_id, {}).items() if b != id_)

    def _meets(self, id_: BookingId, award_id: UUID) -> None:
        if not self._holds(id_, award_id):
            return
        if self.luck(80):
            begin = self.now + timedelta(hours=self.chance.randrange(1, 9))
            begin = begin.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
            end = begin + timedelta(minutes=60)
            self.decide(id_, "agree", rules.schedule, begin, end, self._taken(id_))
            if self.luck(20):
                self.at(self.some(hours=1), lambda: self._meets(id_, award_id))
            if self.luck(15):
                self.at(self.some(hours=1), lambda: self._wants_another_time(id_, award_id))
        if self.luck(6):
            self.at(self.some(hours=2), lambda: self._hands_back(id_, award_id))
        self.at(timedelta(hours=1) + self.some(hours=3), lambda: self._visits(id_, award_id))

    def _visits(self, id_: BookingId, award_id: UUID) -> None:
        if not self._holds(id_, award_id):
            return
        if self.luck(50):
            self.decide(id_, "on the way", visit.mark_on_the_way)
        if self.luck(70):
            self.decide(id_, "start", rules.start)
        if self.luck(88):
            self.decide(id_, "complete", rules.complete, DONE)
        else:
            self.decide(id_, "give up", rules.mark_incomplete, "needs_parts", None)
            self.at(self.some(hours=2), lambda: self._desk(id_))
        state = self.jobs[id_].booking.state
        if state in promises.HELD and self._holds(id_, award_id):
            self.at(self.some(hours=1), lambda: self._visits(id_, award_id))
        if state is BookingState.COMPLETED:
            for _ in range(1 + self.luck(20)):
                self.at(self.some(hours=2), lambda: self.decide(id_, "rate", rules.rate, 5, None))

    def _desk(self, id_: BookingId) -> None:
        state = self.jobs[id_].booking.state
        if state in (BookingState.OPEN, BookingState.UNFILLED) and self.luck(60):
            friend = self._as_read(self.chance.choice(list(self.friends)))
            self.decide(id_, "by hand", rules.award_by_hand, friend)
        elif state is BookingState.INCOMPLETE and self.luck(40):
            self.decide(id_, "cancel", rules.cancel, "other")
        else:
            self.decide(id_, "redispatch", rules.redispatch)

    def _pauses(self) -> None:
        id_ = self.chance.choice(list(self.friends))
        self._becomes(id_, FriendState.PAUSED)
        self.at(self.some(hours=3), lambda: self._becomes(id_, FriendState.ACTIVE))

    def _becomes(self, id_: FriendId, state: FriendState) -> None:
        self.friends[id_] = replace(self.friends[id_], state=state)

    def _all_came_to_an_end(self) -> None:
        over = set(BookingState) - promises.HELD - {BookingState.OPEN}
        for job in self.jobs.values():
            hold(job.booking.state in over, f"L4 a booking stays {job.booking.state}")
            hold(not job.timers, "L2 a timer that never rang")
            self.seen[f"ended {job.booking.state}"] += 1
        hold(set(self.held_of.values()) <= {0}, "S8 everybody is free again")

    # Who lives here

    def _distances(self, chance: Random) -> list[dict[FriendId, float]]:
        """How far everybody is from each place, in metres."""
        return [
            {friend_id: float(chance.randrange(50, 6000)) for friend_id in self.friends}
            for _ in range(PLACES)
        ]

    def _friend(self, number: int) -> Friend:
        return Friend(
            id=FriendId(UUID(int=number)),
            ref=f"f{number}",
            state=FriendState.ACTIVE,
            tier=Tier.PRO if number % 3 == 0 else Tier.FRIEND,
            market=Market.CH,
            languages=frozenset({Language.DE}) | ({Language.FR} if self.luck(40) else set()),
            lat=47.0,
            lon=8.0,
            radius_m=self.chance.choice([2_000, 5_000, 20_000, 20_000]),
            capacity=self.chance.choice([1, 2, 4]),
            certificates=(WIFI,) if self.luck(85) else (),
            blocked=frozenset({KEYS[0]}) if self.luck(20) else frozenset(),
        )

    def _package(self, tier: PackageTier) -> Package:
        return Package(
            code=f"wifi-{tier}",
            category="wifi_network",
            tier=tier,
            minutes=60,
            certificates=frozenset({"wifi"}),
            texts={},
            prices={},
        )

    def _booking(self, id_: BookingId, number: int) -> Booking:
        return Booking(
            id=id_,
            state=BookingState.OPEN,
            package="wifi",
            market=Market.CH,
            language=Language.FR if self.luck(20) else Language.DE,
            customer_id=PersonId(UUID(int=10_000 + number)),
            customer_key=KEYS[number % len(KEYS)],
            partner_id=None,
            partner_reference=None,
            members_only=False,
            wishes=(),
            price=Money(amount=6900, currency=Currency.CHF),
            pay=Money(amount=5520, currency=Currency.CHF),
            lat=47.0,
            lon=8.0,
            cell_lat=CELL.lat,
            cell_lon=CELL.lon,
            cell_label="",
            created_at=self.now,
            state_at=self.now,
            tier=Tier.FRIEND,
        )

    def _customer(self, booking: Booking) -> Person:
        empty = dict.fromkeys(
            ("phone", "street", "postcode", "city", "country", "lat", "lon", "precision"), None
        )
        return Person(
            id=booking.customer_id,
            name="Vera Beispiel",
            email="vera@example.com",
            language=booking.language,
            radius_m=None,
            notes=None,
            **empty,
        )
