"""Rounds of eight simultaneous accepts over real connections: four friends, each twice."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from random import Random
from typing import Any

from tests.proof.connection import Connection, Reply, Unanswered
from tests.proof.deployment import Deployment, Friend, booking_body, link_token
from tests.proof.races.linearizability import Accept, Outcome, check_round

WINNERS = """
SELECT a.booking_id::text AS booking, f.ref FROM awards a JOIN friends f ON f.id = a.friend_id
WHERE a.booking_id = ANY($1::uuid[])"""
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
OUTCOMES = {"ok": Outcome.WON, "offer-gone": Outcome.LOST, None: Outcome.UNKNOWN}


@dataclass
class Round:
    """One booking with its accepts and violations."""

    booking: str
    accepts: list[Accept] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


@dataclass
class Lane:
    """Four friends with two connections each, and their customer."""

    group: int
    customer: Connection
    friends: list[tuple[Friend, Connection]]

    def close(self) -> None:
        for connection in [self.customer, *(connection for _, connection in self.friends)]:
            connection.close()


def open_lanes(deployment: Deployment, count: int) -> list[Lane]:
    """Lanes of the first groups, every friend connected to each API process."""
    lanes = []
    for group in range(count):
        members = [friend for friend in deployment.friends if friend.ref.startswith(f"g{group:02}")]
        connections = [
            (friend, Connection(api.port)) for friend in members for api in _two_apis(deployment)
        ]
        lanes.append(Lane(group, Connection(_two_apis(deployment)[group % 2].port), connections))
    return lanes


def _two_apis(deployment: Deployment) -> list[Any]:
    return [deployment.apis[0], deployment.apis[-1]]


async def run(
    deployment: Deployment, count: int, chance: Random, lane_count: int = 4, within_s: float = inf
) -> list[Round]:
    """Run `count` rounds in several lanes at once; returns all of them, checked.

    Stops after `within_s` on a machine too busy for all.
    """
    until_s = asyncio.get_running_loop().time() + within_s
    numbers = iter(range(count))
    rounds: list[Round] = []

    async def work(lane: Lane) -> None:
        try:
            for number in numbers:
                if asyncio.get_running_loop().time() > until_s:
                    return
                rounds.append(await _run_round(lane, number, chance))
        finally:
            lane.close()

    async with asyncio.TaskGroup() as group:
        for lane in open_lanes(deployment, lane_count):
            group.create_task(work(lane))
    await _check(deployment, rounds)
    return rounds


async def _run_round(lane: Lane, number: int, chance: Random) -> Round:
    booking, offers = await book(lane, number)
    round_ = Round(booking["id"])
    runners = [(friend, connection, offers[str(friend.id)]) for friend, connection in lane.friends]
    chance.shuffle(runners)
    for _, connection, _ in runners:
        await connection.open()
    replies = await asyncio.gather(*(_accept(*runner, round_) for runner in runners))
    first = next((reply for reply in replies if reply is not None and reply.is_ok), None)
    if first is not None:
        won = next(one for one, reply in zip(runners, replies, strict=True) if reply is first)
        again = [runner for runner in runners if runner[0] is won[0]]
        replies += [await _accept(*runner, round_) for runner in again]
        bodies = {reply.body for reply in replies if reply is not None and reply.is_ok}
        if len(bodies) != 1:
            round_.violations.append(f"the winner got {len(bodies)} different answers")
    await cancel_booking(lane, booking)
    return round_


async def book(lane: Lane, number: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Book in a lane; returns the booking and the offers by the friends' ids."""
    made = await lane.customer.request(
        "POST",
        "/v1/bookings",
        key=f"race-{lane.group}-{number}",
        body=booking_body(number, lane.group),
    )
    assert made.status == 201, made.body
    booking: dict[str, Any] = made.json
    found = await asyncio.gather(
        *(
            _read_offers(friend, connection, booking["id"])
            for friend, connection in lane.friends[::2]
        )
    )
    offers = {friend: offer for items in found for friend, offer in items}
    assert len(offers) == 4, offers
    return booking, offers


async def _read_offers(
    friend: Friend, connection: Connection, booking: str
) -> list[tuple[str, str]]:
    """The friend's live offers for a booking: pairs of friend id and offer id."""
    page = await connection.request("GET", "/v1/me/offers", token=friend.token)
    return [
        (str(friend.id), offer["id"])
        for offer in page.json["items"]
        if offer["booking_id"] == booking
    ]


async def cancel_booking(lane: Lane, booking: dict[str, Any]) -> None:
    """Cancel, so that everybody is free in the next round."""
    path = f"/v1/bookings/{booking['id']}/cancel"
    reply = await lane.customer.request("POST", path, token=link_token(booking), body={})
    assert reply.is_definite, reply.body


async def _accept(
    friend: Friend, connection: Connection, offer: str, round_: Round
) -> Reply | None:
    began_s = asyncio.get_running_loop().time()
    try:
        reply = await connection.request("POST", f"/v1/offers/{offer}/accept", token=friend.token)
    except Unanswered:
        now_s = asyncio.get_running_loop().time()
        round_.accepts.append(Accept(friend.ref, began_s, now_s, Outcome.UNKNOWN))
        return None
    outcome = OUTCOMES.get(reply.code, Outcome.UNKNOWN if not reply.is_definite else None)
    if outcome is None or not reply.is_definite:
        round_.violations.append(f"{friend.ref} was answered {reply.status} {reply.code}")
    round_.accepts.append(
        Accept(friend.ref, reply.began_s, reply.ended_s, outcome or Outcome.UNKNOWN)
    )
    return reply


async def _check(deployment: Deployment, rounds: list[Round]) -> None:
    async with deployment.owner() as owner:
        rows = await owner.fetch(WINNERS, [one.booking for one in rounds])
    winners = {row["booking"]: row["ref"] for row in rows}
    if len(winners) != len(rows):
        rounds[0].violations.append("a booking was awarded more than once")
    for one in rounds:
        winner = winners.get(one.booking)
        if winner is None:
            one.violations.append("nobody won")
        one.violations += check_round(one.accepts, winner)


async def count_deadlocks(deployment: Deployment) -> int:
    """The deadlocks that the server has counted or logged."""
    async with deployment.owner() as owner:
        counted: int = await owner.fetchval(DEADLOCKS)
    return max(counted, deployment.postmaster.read_log().count("deadlock detected"))


def count_answers(rounds: Iterable[Round]) -> Counter[str]:
    """How often each outcome was answered."""
    return Counter(str(call.outcome) for one in rounds for call in one.accepts)


def write_history(rounds: Iterable[Round], file: Path) -> None:
    """Write the history, one round a connection."""
    with file.open("w", encoding="utf-8") as out:
        for one in rounds:
            calls = [[c.friend, c.invoked_s, c.returned_s, str(c.outcome)] for c in one.accepts]
            out.write(json.dumps({"booking": one.booking, "accepts": calls}) + "\n")
