"""Callers of every kind with their own and others' ids, to replace generated ids.

A generated id names nothing. So most are replaced just before sending by one that exists: mostly
the caller's own, sometimes another's. Ids that come from a link of the document stay.
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
from dispatch.flows.execute import CommandResult
from dispatch.flows.jobs import commands
from dispatch.flows.partners import accounts
from dispatch.flows.people import sessions
from dispatch.rules.jobs.customer_links import customer_token
from dispatch.rules.refusals import Refused
from dispatch.runtime import Runtime
from tests.builders import SIGNED, book_job, live_offers_of, north
from tests.proof.deployment import booking_body

KINDS = ("anonymous", "customer", "friend", "winner", "partner", "operator")
OWN, OTHERS = 0.7, 0.2
# A request line of 64 KB, or a message without an end, is refused with 400 in plain text before
# it reaches the application.
QUERY_LENGTH_MAX = 4_000
DONE = Protocol(summary="It works again.", minutes=30)
HOURS = count()
PACKAGES = ("wifi-setup", "printer-setup")
Ids = dict[str, list[str]]


@dataclass
class Caller:
    """One caller: its credential, its own and others' ids, and one-time secrets."""

    kind: str
    chance: Random
    now: datetime
    tokens: dict[str, str] = field(default_factory=dict)
    token: str | None = None
    address: dict[str, Any] = field(default_factory=dict)
    friend: str = ""
    own: Ids = field(default_factory=dict)
    others: Ids = field(default_factory=dict)
    sessions: Iterator[str] = field(default_factory=lambda: iter(()))
    links: Iterator[str] = field(default_factory=lambda: iter(()))

    def adapt(self, case: Case) -> None:
        """Replace generated ids by existing ones, and use one-time secrets once."""
        name = case.operation.definition.raw["operationId"]
        for word, value in (case.query or {}).items():
            if isinstance(value, str):
                case.query[word] = value[:QUERY_LENGTH_MAX]
        for framing in {"content-length", "transfer-encoding"} & {*map(str.lower, case.headers)}:
            del case.headers[framing]
        for place, value in (case.path_parameters or {}).items():
            if place in self.own and is_well_formed(value) and not is_from_link(case, place):
                case.path_parameters[place] = self._replace_id(place, value)
        if case.headers.get("Authorization") == f"Bearer {self.token}":
            case.headers["Authorization"] = f"Bearer {self._credential(name, case)}"
        if isinstance(case.body, dict) and is_positive(case) and self.chance.random() < OWN:
            case.body |= self._valid_fields(name, case.body)

    def _valid_fields(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Values with which a body refers to something that exists."""
        if name in {"create_quote", "create_booking"}:
            known = body.get("quote_id") if body.get("package") in PACKAGES else None
            fields = {"package": (known and body["package"]) or self.chance.choice(PACKAGES)}
            if name == "create_quote":
                return fields | {"address": self.address}
            person = {**body["customer"], "phone": "+41440001739"}
            reference = body.get("partner_reference") if self.kind == "partner" else None
            own = {"address": self.address, "customer": person, "quote_id": known}
            return fields | own | {"partner_reference": reference}
        if name == "create_session":
            return {"token": token} if (token := next(self.links, None)) else {}
        if name == "set_appointment":
            starts_at = self.now + timedelta(hours=self.chance.randint(1, 1000))
            return {"starts_at": starts_at.isoformat(), "ends_at": None}
        return {"friend": self.friend} if name == "award_booking" else {}

    def _replace_id(self, place: str, generated: str) -> str:
        drawn = self.chance.random()
        if drawn < OWN and self.own[place]:
            return self.chance.choice(self.own[place])
        if drawn < OWN + OTHERS and self.others[place]:
            return self.chance.choice(self.others[place])
        return generated

    def _credential(self, name: str, case: Case) -> str | None:
        if name == "delete_session" and self.token is not None:
            return next(self.sessions, self.token)
        if self.kind == "customer":
            return self.tokens.get(str((case.path_parameters or {}).get("booking_id")), self.token)
        return self.token


def is_positive(case: Case) -> bool:
    """Whether the document allows this request."""
    return case.meta is not None and case.meta.generation.mode.is_positive


def is_well_formed(value: Any) -> bool:
    """Whether it could be an id."""
    try:
        UUID(str(value))
    except ValueError:
        return False
    return True


def is_from_link(case: Case, place: str) -> bool:
    """Whether this id comes from a link of the document."""
    return place in (case._override.path_parameters or {})


async def create_callers(
    rt: Runtime, kinds: Sequence[str], seed: int, jobs_each: int
) -> list[Caller]:
    """The callers, each in a group of friends of its own, each with `jobs_each` bookings."""
    return [
        await _create_caller(rt, kind, group, Random(f"{seed} {kind}"), jobs_each)
        for group, kind in enumerate(kinds)
    ]


async def keep_booking(rt: Runtime, caller: Caller, group: int, ended: asyncio.Event) -> None:
    """Book in the caller's group until `ended`, so that offers and jobs keep coming."""
    near, _ = _nearest_and_farthest(rt, group)
    while not ended.is_set():
        results = [await _book(rt, group, None) for _ in range(3)]
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), timeout=2.0)
        for done in results:
            with suppress(Refused):
                if caller.kind == "winner":
                    await _advance(rt, done, near, 1)
                else:
                    await commands.cancel(
                        rt,
                        done.job.booking.id,
                        actor="customer",
                        reason="other",
                        may_act=lambda job: job.award is None,
                    )


async def _create_caller(
    rt: Runtime, kind: str, group: int, chance: Random, jobs_each: int
) -> Caller:
    near, far = _nearest_and_farthest(rt, group)
    partner, key = await accounts.add(rt, f"Radio {kind}")
    desk = await sessions.add_operator(rt, "Olga Pult", "desk@example.com")
    now = (await _book(rt, group, None)).now
    person = {"friend": far, "winner": near, "operator": desk}.get(kind)
    caller = Caller(
        kind, chance, now, address=booking_body(0, group)["address"], friend=f"g{group:02}n1"
    )
    if person is not None:
        caller.token = await sessions.create_token(rt, PersonId(person))
        spare = [await sessions.create_token(rt, PersonId(person)) for _ in range(20 * jobs_each)]
        caller.sessions = iter(spare)
    if kind == "partner":
        caller.token = key
    caller.links = iter(
        [await sessions.create_login_link(rt, PersonId(near)) for _ in range(jobs_each)]
    )
    partner_id = partner.id if kind == "partner" else None
    caller.own = await _create_bookings(rt, group, partner_id, kind, jobs_each)
    caller.others = await _create_bookings(rt, group, None, "", 2)
    if kind == "customer":
        secret, ids = rt.settings.key(), caller.own["booking_id"]
        caller.tokens = {one: customer_token(secret, BookingId(UUID(one))) for one in ids}
        caller.token = caller.tokens[ids[0]]
    return caller


async def _create_bookings(
    rt: Runtime, group: int, partner_id: PartnerId | None, kind: str, how_many: int
) -> Ids:
    near, far = _nearest_and_farthest(rt, group)
    ids: Ids = {"booking_id": [], "offer_id": []}
    for number in range(how_many):
        done = await _book(rt, group, partner_id)
        asked = near if kind == "winner" else far
        ids["booking_id"].append(str(done.job.booking.id))
        ids["offer_id"] += [str(one.id) for one in live_offers_of(done) if one.friend_id == asked]
        await _advance(rt, done, near, number % 6)
    return ids


async def _book(rt: Runtime, group: int, partner_id: PartnerId | None) -> CommandResult:
    return await book_job(rt, point=north(5_000 * group), partner_id=partner_id)


async def _advance(rt: Runtime, done: CommandResult, friend: FriendId, steps: int) -> None:
    """Take so many steps: accept, confirm contact, schedule, start, complete."""
    booking = done.job.booking.id
    offers = [one for one in live_offers_of(done) if one.friend_id == friend]
    if steps > 0 and offers:
        starts_at = done.now + timedelta(hours=6 + 2 * next(HOURS))
        await commands.accept(rt, offers[0].id, friend)
        verbs = [
            lambda: commands.confirm_contact(rt, booking, friend),
            lambda: commands.schedule(rt, booking, friend, starts_at, None),
            lambda: commands.start(rt, booking, friend),
            lambda: commands.complete(rt, booking, friend, DONE, SIGNED),
        ]
        for verb in verbs[: steps - 1]:
            await verb()


def _nearest_and_farthest(rt: Runtime, group: int) -> tuple[FriendId, FriendId]:
    by_ref = {one.ref: one.id for one in rt.index}
    return by_ref[f"g{group:02}n0"], by_ref[f"g{group:02}n3"]
