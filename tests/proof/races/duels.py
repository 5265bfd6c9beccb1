"""Two who want what cannot both be had: one after the other in both orders, and at once.

Each duel is played by real connections, its answers and what the database says in the end are
explained by an order of the machine below, or they are wrong. A moment that passes is a call too:
it takes effect when it comes, although whoever acts on it comes a little later.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from tests.proof.house import Friend, House, link_token
from tests.proof.line import Line
from tests.proof.races.linear import Call, explains
from tests.proof.races.rounds import Lane, book, lanes, settle

ORDERS = ("first", "second", "together")
BEFORE_S = 1.3
RUNG_WITHIN_S = 12.0
JITTER_S = 0.02
SURELY_S = 0.25
# Whoever is slower by nature gets so much of a start, at most.
HEAD_START_S = 0.06

OVER = "offer-gone"
NO = "wrong-state"
OPEN = ("offered", "awarded", "contacted", "returned", "cancelled", "declined")
# verb: state -> (state afterwards, answer). What is missing keeps the state and says `otherwise`.
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
        "completed": ("completed", NO),
    },
    "deadline": {"awarded": ("forfeited", "")},
    "expiry": {"offered": ("expired", "")},
}
OTHERWISE = {"accept": OVER, "decline": OVER, "cancel": NO, "deadline": "", "expiry": ""}


def step(state: str, verb: str) -> tuple[str, str]:
    """What a verb does to a job, as one friend sees it."""
    return STEPS[verb].get(state, (state, OTHERWISE.get(verb, "not-found")))


@dataclass(frozen=True, slots=True)
class Duel:
    """Two verbs and the state in which they meet; a `moment` is one that comes by itself."""

    begin: str
    one: str
    other: str

    @property
    def name(self) -> str:
        return f"{self.one} / {self.other}"

    @property
    def timed(self) -> bool:
        return self.one in ("deadline", "expiry")


DUELS = (
    Duel("offered", "cancel", "accept"),
    Duel("contacted", "hand-back", "complete"),
    Duel("awarded", "deadline", "contacted"),
    Duel("offered", "expiry", "decline"),
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
class Meeting:
    """One booking about which two verbs meet."""

    lane: Lane
    booking: dict[str, Any]
    friend: Friend
    offer: str
    lines: tuple[Line, Line]
    due: datetime | None = None
    calls: list[Call] = field(default_factory=list)

    def told(self, duel: "Duel", end: str) -> str:
        """How it ended, and what the second verb was answered first."""
        said = next(call.answer for call in self.calls if call.verb == duel.other)
        return f"{duel.other} was told {said} and it is {end}"

    async def do(self, verb: str, line: Line) -> str:
        """Do something and remember what was answered, and when."""
        token = link_token(self.booking) if verb == "cancel" else self.friend.token
        reply = await line.ask("POST", self._path(verb), token=token, body=BODIES.get(verb))
        assert reply.definite, reply.body
        self.calls.append(Call(verb, reply.code, reply.began_s, reply.ended_s))
        return reply.code

    def _path(self, verb: str) -> str:
        if verb in ("accept", "decline"):
            return f"/v1/offers/{self.offer}/{verb}"
        return f"/v1/bookings/{self.booking['id']}/{verb}"


BODIES: Mapping[str, Any] = {
    "cancel": {"reason": "mistake"},
    "complete": {"summary": "It works again.", "minutes": 20},
    "hand-back": {"reason": "no_time"},
}


@dataclass
class Score:
    """How a duel ended how often, and what could not be explained."""

    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    rounds: int = 0


async def run(
    house: House,
    times: int,
    chance: Random,
    lane_count: int = 4,
    timed: tuple[str, ...] = ORDERS,
) -> dict[str, Score]:
    """Fight every duel `times` times in every order; returns the scores by duel and order.

    `timed` are the orders of those that wait for a moment to come.
    """
    scores: dict[str, Score] = {}
    mine = lanes(house, lane_count)
    number = 1_000_000
    try:
        for duel in DUELS:
            for how in timed if duel.timed else ORDERS:
                score = scores[f"{duel.name}, {how}"] = Score()
                while score.rounds < times:
                    batch = min(times - score.rounds, 4 * lane_count)
                    meetings = await _gather(mine, duel, number, batch)
                    number += batch
                    await _fight(house, duel, how, meetings, chance)
                    await _judge(house, duel, meetings, score)
    finally:
        for lane in mine:
            lane.close()
    return scores


async def _gather(mine: list[Lane], duel: Duel, number: int, count: int) -> list[Meeting]:
    """Bookings in the state where the duel begins, at most five a lane."""

    async def one(index: int) -> Meeting:
        lane = mine[index % len(mine)]
        async with locks[lane.group]:
            booking, offers = await book(lane, number + index)
            here, there = lane.friends[2 * (index // len(mine) % 4) :][:2]
            lines = (Line(here[1].port), Line(there[1].port))
            meeting = Meeting(lane, booking, here[0], offers[str(here[0].id)], lines)
            await _lead_to(meeting, duel.begin)
            meeting.calls.clear()
            return meeting

    locks = {lane.group: asyncio.Lock() for lane in mine}
    return list(await asyncio.gather(*(one(index) for index in range(count))))


async def _lead_to(meeting: Meeting, state: str) -> None:
    line = meeting.lines[0]
    if state in ("awarded", "contacted"):
        assert await meeting.do("accept", line) == "ok"
    if state == "contacted":
        assert await meeting.do("contacted", line) == "ok"


async def _fight(
    house: House, duel: Duel, how: str, meetings: list[Meeting], chance: Random
) -> None:
    if duel.timed:
        await _against_time(house, duel, how, meetings, chance)
        return

    async def fight(meeting: Meeting) -> None:
        pair = [(duel.one, meeting.lines[0]), (duel.other, meeting.lines[1])]
        if how == "second":
            pair.reverse()
        if how == "together":
            # Either verb may come first, and by either process.
            lines = chance.sample(meeting.lines, 2)
            verbs = chance.sample((duel.one, duel.other), 2)
            pair = list(zip(verbs, lines, strict=True))
            for line in lines:
                await line.open()
            later_s = chance.uniform(0, HEAD_START_S)
            await asyncio.gather(meeting.do(*pair[0]), _after(later_s, meeting.do(*pair[1])))
        else:
            for verb, line in pair:
                await meeting.do(verb, line)
        for verb, line in pair:
            await meeting.do(verb, line)

    await asyncio.gather(*(fight(meeting) for meeting in meetings))


async def _after(wait_s: float, doing: Coroutine[Any, Any, str]) -> str:
    await asyncio.sleep(wait_s)
    return await doing


async def _against_time(
    house: House, duel: Duel, how: str, meetings: list[Meeting], chance: Random
) -> None:
    """Let the moment come, and speak a little before it, after it, or as near as can be."""
    async with house.owner() as owner:
        column = "o.expires_at" if duel.one == "expiry" else "a.contact_due_at"
        for meeting in meetings:
            meeting.due = await owner.fetchval(
                f"SELECT {column} FROM offers o LEFT JOIN awards a ON a.offer_id = o.id"
                " WHERE o.id = $1::uuid",
                meeting.offer,
            )
        first = min(m.due for m in meetings if m.due)
        await house.set_clock(first - timedelta(seconds=BEFORE_S), 1.0)
        zero, local_s, blur_s = await _where_is_now(owner)

    async def fight(meeting: Meeting) -> None:
        assert meeting.due is not None
        due_s = local_s + (meeting.due - zero).total_seconds()
        offset_s = {"first": SURELY_S, "second": -SURELY_S}.get(how, 0.0)
        at_s = due_s + offset_s + chance.uniform(-4 * JITTER_S, JITTER_S)
        meeting.calls.append(Call(duel.one, None, due_s - blur_s, due_s + blur_s))
        await meeting.lines[1].open()
        await asyncio.sleep(max(0, at_s - asyncio.get_running_loop().time()))
        await meeting.do(duel.other, meeting.lines[1])
        await meeting.do(duel.other, meeting.lines[0])

    await asyncio.gather(*(fight(meeting) for meeting in meetings))
    await _until_rung(house, meetings)


async def _where_is_now(owner: Any) -> tuple[datetime, float, float]:
    """A moment of the trade, the same moment here, and by how much that may be wrong."""
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


async def _until_rung(house: House, meetings: list[Meeting]) -> None:
    bookings = [meeting.booking["id"] for meeting in meetings]
    async with house.owner() as owner, asyncio.timeout(RUNG_WITHIN_S):
        while await owner.fetchval(  # noqa: ASYNC110 - the database tells nobody
            "SELECT count(*) FROM timers WHERE booking_id = ANY($1::uuid[]) AND due_at <= moment()",
            bookings,
        ):
            await asyncio.sleep(0.1)


async def _judge(house: House, duel: Duel, meetings: list[Meeting], score: Score) -> None:
    async with house.owner() as owner:
        for meeting in meetings:
            end = await owner.fetchval(ENDS, meeting.offer)
            score.rounds += 1
            score.ends[meeting.told(duel, end)] += 1
            if not explains(meeting.calls, step, duel.begin, end=end):
                score.wrong.append(f"{meeting.calls} ended {end}")
    for meeting in meetings:
        await settle(meeting.lane, meeting.booking)
        for line in meeting.lines:
            line.close()
