"""A caller of every kind, with what is his and what is another's, to be asked for by generated ids.

A generated id names nothing. So most of them are changed, at the last moment, for one that exists:
mostly the caller's own, sometimes another's. What a link of the document carries stays.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any
from uuid import UUID

from schemathesis import Case

from data.records.ids import BookingId, FriendId, PartnerId, PersonId
from data.records.jobs import Protocol
from dispatch.flows.execute import Done
from dispatch.flows.jobs import commands
from dispatch.flows.partners import accounts
from dispatch.flows.people import sessions
from dispatch.rules.jobs.customer_links import customer_token
from dispatch.rules.refusals import Refused
from dispatch.runtime import Runtime
from tests.builders import booked, live, north
from tests.proof.house import order

KINDS = ("anonymous", "customer", "friend", "winner", "partner", "operator")
OWN, ANOTHERS = 0.7, 0.2
# Of a request line of 64 KB, or a message without an end, the server says 400 in plain words
# before it is anybody's.
WORDS_MAX = 4_000
DONE = Protocol(summary="It works again.", minutes=30)
HOURS = count()
PACKAGES = ("wifi-setup", "printer-setup")
Ids = dict[str, list[str]]


@dataclass
class Caller:
    """Who asks: his credential, his own ids and other people's, and what can be used up once."""

    kind: str
    chance: Random
    now: datetime
    tokens: dict[str, str] = field(default_factory=dict)
    token: str | None = None
    address: dict[str, Any] = field(default_factory=dict)
    friend: str = ""
    own: Ids = field(default_factory=dict)
    anothers: Ids = field(default_factory=dict)
    sessions: Iterator[str] = field(default_factory=lambda: iter(()))
    links: Iterator[str] = field(default_factory=lambda: iter(()))

    def before(self, case: Case) -> None:
        """Put ids that exist in the place of generated ones, and use one-time secrets once."""
        name = case.operation.definition.raw["operationId"]
        for word, value in (case.query or {}).items():
            if isinstance(value, str):
                case.query[word] = value[:WORDS_MAX]
        for framing in {"content-length", "transfer-encoding"} & {*map(str.lower, case.headers)}:
            del case.headers[framing]
        for place, value in (case.path_parameters or {}).items():
            if place in self.own and well_formed(value) and not from_a_link(case, place):
                case.path_parameters[place] = self._id(place, value)
        if case.headers.get("Authorization") == f"Bearer {self.token}":
            case.headers["Authorization"] = f"Bearer {self._credential(name, case)}"
        if isinstance(case.body, dict) and positive(case) and self.chance.random() < OWN:
            case.body |= self._meant(name, case.body)

    def _meant(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What a body would have to say to be about something that exists."""
        if name in {"create_quote", "create_booking"}:
            known = body.get("quote_id") if body.get("package") in PACKAGES else None
            said = {"package": (known and body["package"]) or self.chance.choice(PACKAGES)}
            if name == "create_quote":
                return said | {"address": self.address}
            person = {**body["customer"], "phone": "+41440001739"}
            reference = body.get("partner_reference") if self.kind == "partner" else None
            own = {"address": self.address, "customer": person, "quote_id": known}
            return said | own | {"partner_reference": reference}
        if name == "create_session":
            return {"token": token} if (token := next(self.links, None)) else {}
        if name == "set_appointment":
            starts_at = self.now + timedelta(hours=self.chance.randint(1, 1000))
            return {"starts_at": starts_at.isoformat(), "ends_at": None}
        return {"friend": self.friend} if name == "award_booking" else {}

    def _id(self, place: str, generated: str) -> str:
        drawn = self.chance.random()
        if drawn < OWN and self.own[place]:
            return self.chance.choice(self.own[place])
        if drawn < OWN + ANOTHERS and self.anothers[place]:
            return self.chance.choice(self.anothers[place])
        return generated

    def _credential(self, name: str, case: Case) -> str | None:
        if name == "delete_session" and self.token is not None:
            return next(self.sessions, self.token)
        if self.kind == "customer":
            return self.tokens.get(str((case.path_parameters or {}).get("booking_id")), self.token)
        return self.token


def positive(case: Case) -> bool:
    """Whether the document allows this request."""
    return case.meta is not None and case.meta.generation.mode.is_positive


def well_formed(value: Any) -> bool:
    """Whether it could be an id."""
    try:
        UUID(str(value))
    except ValueError:
        return False
    return True


def from_a_link(case: Case, place: str) -> bool:
    """Whether a link of the document gave this id."""
    return place in (case._override.path_parameters or {})


async def made(rt: Runtime, kinds: Sequence[str], seed: int, jobs_each: int) -> list[Caller]:
    """The callers, each in a group of friends of its own, each with `jobs_each` bookings."""
    return [
        await _caller(rt, kind, group, Random(f"{seed} {kind}"), jobs_each)
        for group, kind in enumerate(kinds)
    ]


async def book_on(rt: Runtime, caller: Caller, group: int, ended: asyncio.Event) -> None:
    """Book in the caller's group until `ended`: somebody is always asked, the winner holds jobs."""
    near, _ = _two(rt, group)
    while not ended.is_set():
        made = [await _booked(rt, group, None) for _ in range(3)]
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), timeout=2.0)
        for done in made:
            with suppress(Refused):
                if caller.kind == "winner":
                    await _step_on(rt, done, near, 1)
                else:
                    await commands.cancel(
                        rt,
                        done.job.booking.id,
                        actor="customer",
                        reason="other",
                        mine=lambda job: job.award is None,
                    )


async def _caller(rt: Runtime, kind: str, group: int, chance: Random, jobs_each: int) -> Caller:
    near, far = _two(rt, group)
    partner, key = await accounts.add(rt, f"Radio {kind}")
    desk = await sessions.add_operator(rt, "Olga Pult", "desk@example.com")
    now = (await _booked(rt, group, None)).now
    person = {"friend": far, "winner": near, "operator": desk}.get(kind)
    caller = Caller(kind, chance, now, address=order(0, group)["address"], friend=f"g{group:02}n1")
    if person is not None:
        caller.token = await sessions.token(rt, PersonId(person))
        spare = [await sessions.token(rt, PersonId(person)) for _ in range(20 * jobs_each)]
        caller.sessions = iter(spare)
    if kind == "partner":
        caller.token = key
    caller.links = iter([await sessions.login_link(rt, PersonId(near)) for _ in range(jobs_each)])
    partner_id = partner.id if kind == "partner" else None
    caller.own = await _bookings(rt, group, partner_id, kind, jobs_each)
    caller.anothers = await _bookings(rt, group, None, "", 2)
    if kind == "customer":
        secret, ids = rt.settings.key(), caller.own["booking_id"]
        caller.tokens = {one: customer_token(secret, BookingId(UUID(one))) for one in ids}
        caller.token = caller.tokens[ids[0]]
    return caller


async def _bookings(
    rt: Runtime, group: int, partner_id: PartnerId | None, kind: str, how_many: int
) -> Ids:
    near, far = _two(rt, group)
    ids: Ids = {"booking_id": [], "offer_id": []}
    for number in range(how_many):
        done = await _booked(rt, group, partner_id)
        asked = near if kind == "winner" else far
        ids["booking_id"].append(str(done.job.booking.id))
        ids["offer_id"] += [str(one.id) for one in live(done) if one.friend_id == asked]
        await _step_on(rt, done, near, number % 6)
    return ids


async def _booked(rt: Runtime, group: int, partner_id: PartnerId | None) -> Done:
    return await booked(rt, point=north(5_000 * group), partner_id=partner_id)


async def _step_on(rt: Runtime, done: Done, friend: FriendId, steps: int) -> None:
    """Let the friend accept, reach the customer, agree, begin and end: so many steps of it."""
    booking = done.job.booking.id
    offers = [one for one in live(done) if one.friend_id == friend]
    if steps > 0 and offers:
        starts_at = done.now + timedelta(hours=6 + 2 * next(HOURS))
        await commands.accept(rt, offers[0].id, friend)
        verbs = [
            lambda: commands.contacted(rt, booking, friend),
            lambda: commands.agree(rt, booking, friend, starts_at, None),
            lambda: commands.start(rt, booking, friend),
            lambda: commands.complete(rt, booking, friend, DONE),
        ]
        for verb in verbs[: steps - 1]:
            await verb()


def _two(rt: Runtime, group: int) -> tuple[FriendId, FriendId]:
    by_ref = {one.ref: one.id for one in rt.index}
    return by_ref[f"g{group:02}n0"], by_ref[f"g{group:02}n3"]
