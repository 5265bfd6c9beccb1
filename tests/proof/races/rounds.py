"""Rounds of eight simultaneous accepts by real connections: four friends, each of them twice."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from random import Random
from typing import Any

from tests.proof.house import Friend, House, link_token, order
from tests.proof.line import Line, Reply, Unanswered
from tests.proof.races.linear import Accept, Said, check_round

WINNERS = """
SELECT a.booking_id::text AS booking, f.ref FROM awards a JOIN friends f ON f.id = a.friend_id
WHERE a.booking_id = ANY($1::uuid[])"""
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
SAID = {"ok": Said.WON, "offer-gone": Said.LOST, None: Said.UNKNOWN}


@dataclass
class Round:
    """One booking, what was asked about it and what was answered."""

    booking: str
    accepts: list[Accept] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@dataclass
class Lane:
    """Four friends with two connections each, and their customer."""

    group: int
    customer: Line
    friends: list[tuple[Friend, Line]]

    def close(self) -> None:
        for line in [self.customer, *(line for _, line in self.friends)]:
            line.close()


def lanes(house: House, count: int) -> list[Lane]:
    """The lanes of the first groups, every friend connected to each API process."""
    made = []
    for group in range(count):
        members = [friend for friend in house.friends if friend.ref.startswith(f"g{group:02}")]
        lines = [(friend, Line(api.port)) for friend in members for api in _two(house)]
        made.append(Lane(group, Line(_two(house)[group % 2].port), lines))
    return made


def _two(house: House) -> list[Any]:
    return [house.apis[0], house.apis[-1]]


async def run(
    house: House, count: int, chance: Random, lane_count: int = 4, within_s: float = inf
) -> list[Round]:
    """Play `count` rounds in several lanes at once; returns all of them, each checked.

    On a machine too busy for them it ends after `within_s`.
    """
    until_s = asyncio.get_running_loop().time() + within_s
    numbers = iter(range(count))
    rounds: list[Round] = []

    async def work(lane: Lane) -> None:
        try:
            for number in numbers:
                if asyncio.get_running_loop().time() > until_s:
                    return
                rounds.append(await _play(lane, number, chance))
        finally:
            lane.close()

    async with asyncio.TaskGroup() as group:
        for lane in lanes(house, lane_count):
            group.create_task(work(lane))
    await _check(house, rounds)
    return rounds


async def _play(lane: Lane, number: int, chance: Random) -> Round:
    booking, offers = await book(lane, number)
    played = Round(booking["id"])
    runners = [(friend, line, offers[str(friend.id)]) for friend, line in lane.friends]
    chance.shuffle(runners)
    for _, line, _ in runners:
        await line.open()
    replies = await asyncio.gather(*(_accept(*runner, played) for runner in runners))
    first = next((reply for reply in replies if reply is not None and reply.ok), None)
    if first is not None:
        won = next(one for one, reply in zip(runners, replies, strict=True) if reply is first)
        again = [runner for runner in runners if runner[0] is won[0]]
        replies += [await _accept(*runner, played) for runner in again]
        bodies = {reply.body for reply in replies if reply is not None and reply.ok}
        if len(bodies) != 1:
            played.wrong.append(f"the winner got {len(bodies)} different answers")
    await settle(lane, booking)
    return played


async def book(lane: Lane, number: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Book in a lane; returns the booking and the offers by the friends' ids."""
    made = await lane.customer.ask(
        "POST", "/v1/bookings", key=f"race-{lane.group}-{number}", body=order(number, lane.group)
    )
    assert made.status == 201, made.body
    booking: dict[str, Any] = made.said
    told = await asyncio.gather(
        *(_asked(friend, line, booking["id"]) for friend, line in lane.friends[::2])
    )
    offers = {friend: offer for found in told for friend, offer in found}
    assert len(offers) == 4, offers
    return booking, offers


async def _asked(friend: Friend, line: Line, booking: str) -> list[tuple[str, str]]:
    """What this friend is asked about a booking: his id and his offer's."""
    page = await line.ask("GET", "/v1/me/offers", token=friend.token)
    return [
        (str(friend.id), offer["id"])
        for offer in page.said["items"]
        if offer["booking_id"] == booking
    ]


async def settle(lane: Lane, booking: dict[str, Any]) -> None:
    """Cancel, so that nobody is busy in the next round."""
    path = f"/v1/bookings/{booking['id']}/cancel"
    reply = await lane.customer.ask("POST", path, token=link_token(booking), body={})
    assert reply.definite, reply.body


async def _accept(friend: Friend, line: Line, offer: str, played: Round) -> Reply | None:
    began_s = asyncio.get_running_loop().time()
    try:
        reply = await line.ask("POST", f"/v1/offers/{offer}/accept", token=friend.token)
    except Unanswered:
        now_s = asyncio.get_running_loop().time()
        played.accepts.append(Accept(friend.ref, began_s, now_s, Said.UNKNOWN))
        return None
    said = SAID.get(reply.code, Said.UNKNOWN if not reply.definite else None)
    if said is None or not reply.definite:
        played.wrong.append(f"{friend.ref} was answered {reply.status} {reply.code}")
    played.accepts.append(Accept(friend.ref, reply.began_s, reply.ended_s, said or Said.UNKNOWN))
    return reply


async def _check(house: House, rounds: list[Round]) -> None:
    async with house.owner() as owner:
        rows = await owner.fetch(WINNERS, [one.booking for one in rounds])
    winners = {row["booking"]: row["ref"] for row in rows}
    if len(winners) != len(rows):
        rounds[0].wrong.append("a booking has been awarded more than once")
    for one in rounds:
        winner = winners.get(one.booking)
        if winner is None:
            one.wrong.append("nobody has won")
        one.wrong += check_round(one.accepts, winner)


async def deadlocks(house: House) -> int:
    """How many deadlocks the server counts and has written down."""
    async with house.owner() as owner:
        counted: int = await owner.fetchval(DEADLOCKS)
    return max(counted, house.postmaster.said().count("deadlock detected"))


def answers(rounds: Iterable[Round]) -> Counter[str]:
    """How often each answer was given."""
    return Counter(str(call.said) for one in rounds for call in one.accepts)


def keep(rounds: Iterable[Round], file: Path) -> None:
    """Write the history, one round a line."""
    with file.open("w", encoding="utf-8") as out:
        for one in rounds:
            calls = [[c.friend, c.invoked_s, c.returned_s, str(c.said)] for c in one.accepts]
            out.write(json.dumps({"booking": one.booking, "accepts": calls}) + "\n")
