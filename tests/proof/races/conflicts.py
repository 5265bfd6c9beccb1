"""Two conflicting requests: one after the other in both orders, and at the same time.

Each conflict runs over real connections. Its answers and the final state must be explained by some
order of the state machine below. A deadline counts as a call too: it takes effect at its moment,
although the worker acts on it a little later.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from tests.builders import SIGNATURE
from tests.proof.connection import Connection
from tests.proof.deployment import Deployment, Friend, link_token
from tests.proof.races.linearizability import Call, is_linearizable
from tests.proof.races.rounds import Lane, book, cancel_booking, open_lanes

ORDERS = ("first", "second", "together")
BEFORE_S = 1.3
FIRED_WITHIN_S = 12.0
JITTER_S = 0.02
CERTAIN_S = 0.25
# The second request starts at most so much later.
HEAD_START_S = 0.06

OFFER_GONE = "offer-gone"
WRONG_STATE = "wrong-state"
OPEN = ("offered", "awarded", "contacted", "returned", "cancelled", "declined")
# verb: state -> (next state, answer). A missing state is kept and answered as in OTHERWISE.
STEPS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "accept": {
        "offered": ("awarded", "ok"),
        "awarded": ("awarded", "ok"),
        "contacted": ("contacted", "ok"),
        "expired": ("expired", "offer-expired"),
    },
    "decline": {
        "offered": ("declined", "ok"),
        "declined": ("declined", "ok"),
        "expired": ("expired", "offer-expired"),
    },
    "cancel": dict.fromkeys(OPEN, ("cancelled", "ok")),
    "contacted": {
        "awarded": ("contacted", "ok"),
        "contacted": ("contacted", "ok"),
        "forfeited": ("forfeited", "contact-deadline-passed"),
    },
    "complete": {"contacted": ("completed", "ok"), "completed": ("completed", "ok")},
    "hand-back": {
        "contacted": ("returned", "ok"),
        "returned": ("returned", "ok"),
        "completed": ("completed", WRONG_STATE),
    },
    "deadline": {"awarded": ("forfeited", "")},
    "expiry": {"offered": ("expired", "")},
}
OTHERWISE = {
    "accept": OFFER_GONE,
    "decline": OFFER_GONE,
    "cancel": WRONG_STATE,
    "deadline": "",
    "expiry": "",
}


def step(state: str, verb: str) -> tuple[str, str]:
    """The next state and the answer of a verb, as one friend sees a job."""
    return STEPS[verb].get(state, (state, OTHERWISE.get(verb, "not-found")))


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two verbs and the state in which they conflict; `one` may be a deadline instead."""

    begin: str
    one: str
    other: str

    @property
    def name(self) -> str:
        return f"{self.one} / {self.other}"

    @property
    def has_deadline(self) -> bool:
        return self.one in ("deadline", "expiry")


CONFLICTS = (
    Conflict("offered", "cancel", "accept"),
    Conflict("awarded", "cancel", "accept"),
    Conflict("contacted", "hand-back", "accept"),
    Conflict("contacted", "hand-back", "complete"),
    Conflict("awarded", "deadline", "contacted"),
    Conflict("offered", "expiry", "decline"),
)
ENDS = """
SELECT CASE WHEN b.state = 'cancelled' THEN 'cancelled'
            WHEN a.state = 'done' THEN 'completed'
            WHEN a.state = 'live' AND a.contacted_at IS NOT NULL THEN 'contacted'
            WHEN a.state = 'live' THEN 'awarded'
            WHEN a.state = 'handed_back' THEN 'returned'
            WHEN a.state = 'forfeited' THEN 'forfeited'
            WHEN o.state = 'live' THEN 'offered'
            ELSE o.state::text END AS state
FROM offers o JOIN bookings b ON b.id = o.booking_id LEFT JOIN awards a ON a.offer_id = o.id
WHERE o.id = $1::uuid"""


@dataclass
class Attempt:
    """One booking on which the two verbs run."""

    lane: Lane
    booking: dict[str, Any]
    friend: Friend
    offer: str
    connections: tuple[Connection, Connection]
    due: datetime | None = None
    calls: list[Call] = field(default_factory=list)

    def describe(self, conflict: "Conflict", end: str) -> str:
        """The final state, and the first answer of the second verb."""
        answer = next(call.answer for call in self.calls if call.verb == conflict.other)
        return f"{conflict.other} answered {answer}, then {end}"

    async def do(self, verb: str, connection: Connection) -> str:
        """Send a request and record its answer and times."""
        token = link_token(self.booking) if verb == "cancel" else self.friend.token
        reply = await connection.request(
            "POST", self._path(verb), token=token, body=BODIES.get(verb)
        )
        assert reply.is_definite, reply.body
        self.calls.append(Call(verb, reply.code, reply.began_s, reply.ended_s))
        return reply.code

    def _path(self, verb: str) -> str:
        if verb in ("accept", "decline"):
            return f"/v1/offers/{self.offer}/{verb}"
        return f"/v1/bookings/{self.booking['id']}/{verb}"


BODIES: Mapping[str, Any] = {
    "cancel": {"reason": "mistake"},
    "complete": {"summary": "It works again.", "minutes": 20, "signature": SIGNATURE},
    "hand-back": {"reason": "no_time"},
}


@dataclass
class Tally:
    """How often each outcome was seen, and what no order explains."""

    outcomes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    rounds: int = 0


async def run(
    deployment: Deployment,
    times: int,
    chance: Random,
    lane_count: int = 4,
    timed: tuple[str, ...] = ORDERS,
) -> dict[str, Tally]:
    """Run every conflict `times` times in every order; returns the tallies by conflict and order.

    `timed` are the orders of the conflicts with a deadline.
    """
    tallies: dict[str, Tally] = {}
    mine = open_lanes(deployment, lane_count)
    number = 1_000_000
    try:
        for conflict in CONFLICTS:
            for how in timed if conflict.has_deadline else ORDERS:
                tally = tallies[f"{conflict.name}, {how}"] = Tally()
                while tally.rounds < times:
                    batch = min(times - tally.rounds, 4 * lane_count)
                    attempts = await _prepare(mine, conflict, number, batch)
                    number += batch
                    await _run_conflict(deployment, conflict, how, attempts, chance)
                    await _check(deployment, conflict, attempts, tally)
    finally:
        for lane in mine:
            lane.close()
    return tallies


async def _prepare(mine: list[Lane], conflict: Conflict, number: int, count: int) -> list[Attempt]:
    """Bookings in the state where the conflict begins, at most five a lane."""

    async def one(index: int) -> Attempt:
        lane = mine[index % len(mine)]
        async with locks[lane.group]:
            booking, offers = await book(lane, number + index)
            here, there = lane.friends[2 * (index // len(mine) % 4) :][:2]
            # Through two processes, or in one batch of the same.
            second = there if index % 2 else here
            connections = (Connection(here[1].port), Connection(second[1].port))
            attempt = Attempt(lane, booking, here[0], offers[str(here[0].id)], connections)
            await _advance_to(attempt, conflict.begin)
            attempt.calls.clear()
            return attempt

    locks = {lane.group: asyncio.Lock() for lane in mine}
    return list(await asyncio.gather(*(one(index) for index in range(count))))


async def _advance_to(attempt: Attempt, state: str) -> None:
    connection = attempt.connections[0]
    if state in ("awarded", "contacted"):
        assert await attempt.do("accept", connection) == "ok"
    if state == "contacted":
        assert await attempt.do("contacted", connection) == "ok"


async def _run_conflict(
    deployment: Deployment, conflict: Conflict, how: str, attempts: list[Attempt], chance: Random
) -> None:
    if conflict.has_deadline:
        await _run_against_deadline(deployment, conflict, how, attempts, chance)
        return

    async def run_one(attempt: Attempt) -> None:
        pair = [(conflict.one, attempt.connections[0]), (conflict.other, attempt.connections[1])]
        if how == "second":
            pair.reverse()
        if how == "together":
            # Either verb may come first, and by either process.
            connections = chance.sample(attempt.connections, 2)
            verbs = chance.sample((conflict.one, conflict.other), 2)
            pair = list(zip(verbs, connections, strict=True))
            for connection in connections:
                await connection.open()
            later_s = chance.uniform(0, HEAD_START_S)
            await asyncio.gather(attempt.do(*pair[0]), _delay(later_s, attempt.do(*pair[1])))
        else:
            for verb, connection in pair:
                await attempt.do(verb, connection)
        for verb, connection in pair:
            await attempt.do(verb, connection)

    await asyncio.gather(*(run_one(attempt) for attempt in attempts))


async def _delay(wait_s: float, doing: Coroutine[Any, Any, str]) -> str:
    await asyncio.sleep(wait_s)
    return await doing


async def _run_against_deadline(
    deployment: Deployment, conflict: Conflict, how: str, attempts: list[Attempt], chance: Random
) -> None:
    """Let the deadline pass, and send the request before it, after it, or as close as possible."""
    async with deployment.owner() as owner:
        column = "o.expires_at" if conflict.one == "expiry" else "a.contact_due_at"
        for attempt in attempts:
            attempt.due = await owner.fetchval(
                f"SELECT {column} FROM offers o LEFT JOIN awards a ON a.offer_id = o.id"
                " WHERE o.id = $1::uuid",
                attempt.offer,
            )
        first = min(m.due for m in attempts if m.due)
        await deployment.set_clock(first - timedelta(seconds=BEFORE_S), 1.0)
        zero, local_s, blur_s = await _align_clocks(owner)

    async def run_one(attempt: Attempt) -> None:
        assert attempt.due is not None
        due_s = local_s + (attempt.due - zero).total_seconds()
        offset_s = {"first": CERTAIN_S, "second": -CERTAIN_S}.get(how, 0.0)
        at_s = due_s + offset_s + chance.uniform(-4 * JITTER_S, JITTER_S)
        attempt.calls.append(Call(conflict.one, None, due_s - blur_s, due_s + blur_s))
        await attempt.connections[1].open()
        await asyncio.sleep(max(0, at_s - asyncio.get_running_loop().time()))
        await attempt.do(conflict.other, attempt.connections[1])
        await attempt.do(conflict.other, attempt.connections[0])

    await asyncio.gather(*(run_one(attempt) for attempt in attempts))
    await _wait_until_fired(deployment, attempts)


async def _align_clocks(owner: Any) -> tuple[datetime, float, float]:
    """A moment of the test clock, that moment on the loop's clock, and the error in seconds."""
    best: tuple[datetime, float, float] | None = None
    loop = asyncio.get_running_loop()
    for _ in range(9):
        before_s = loop.time()
        at = await owner.fetchval("SELECT moment()")
        after_s = loop.time()
        if best is None or after_s - before_s < 2 * best[2]:
            best = (at, (before_s + after_s) / 2, (after_s - before_s) / 2)
    assert best is not None
    return best


async def _wait_until_fired(deployment: Deployment, attempts: list[Attempt]) -> None:
    bookings = [attempt.booking["id"] for attempt in attempts]
    async with deployment.owner() as owner, asyncio.timeout(FIRED_WITHIN_S):
        while await owner.fetchval(  # noqa: ASYNC110 - the database sends no notice
            "SELECT count(*) FROM timers WHERE booking_id = ANY($1::uuid[]) AND due_at <= moment()",
            bookings,
        ):
            await asyncio.sleep(0.1)


async def _check(
    deployment: Deployment, conflict: Conflict, attempts: list[Attempt], tally: Tally
) -> None:
    async with deployment.owner() as owner:
        for attempt in attempts:
            end = await owner.fetchval(ENDS, attempt.offer)
            tally.rounds += 1
            tally.outcomes[attempt.describe(conflict, end)] += 1
            if not is_linearizable(attempt.calls, step, conflict.begin, end=end):
                tally.violations.append(f"{attempt.calls} ended {end}")
    for attempt in attempts:
        await cancel_booking(attempt.lane, attempt.booking)
        for connection in attempt.connections:
            connection.close()
