"""A friend who collects customers: accept, read, hand back, as fast as the service answers.

A partner's program books next to the friend all the while, and the friend asks for offers.
"""

import contextlib
import time

from dispatch.flows.partners import accounts
from dispatch.rules.policy import POLICY
from tests.proof.connection import Connection
from tests.proof.deployment import Friend, booking_body, connect_runtime
from tests.proof.hostile.target import Figure, Target

JOBS, SHORT = 200, 40
GROUP = 2
DISCLOSED = "SELECT count(DISTINCT booking_id) FROM awards WHERE friend_id = $1"
PAUSED = "SELECT state = 'paused' AND alarmed_at IS NOT NULL FROM friends WHERE id = $1"


async def attack(target: Target) -> list[Figure]:
    """Book, accept and hand back again and again; count the customers that the friend saw."""
    count = JOBS if target.is_whole else SHORT
    friend = next(one for one in target.deployment.friends if one.ref == f"g{GROUP:02}n0")
    async with connect_runtime(target.deployment) as rt:
        _, key = await accounts.add(rt, "Collector")
    began_s = time.monotonic()
    with contextlib.closing(Connection(target.port)) as connection:
        for number in range(count):
            body = booking_body(number, GROUP)
            made = await connection.request("POST", "/v1/bookings", token=key, body=body)
            assert made.is_ok, f"a booking was answered with {made.status}"
            await collect(connection, friend)
    took_s = time.monotonic() - began_s
    async with target.deployment.owner() as owner:
        disclosed = await owner.fetchval(DISCLOSED, friend.id)
        is_paused = await owner.fetchval(PAUSED, friend.id)
    most = POLICY.jobs_per_day
    assert disclosed <= most, f"{disclosed} customers disclosed, not at most {most}"
    assert disclosed > 0, "no customer was disclosed: nothing was tried"
    assert is_paused, f"{disclosed} jobs were handed back, and the friend is not paused"
    return [
        Figure(
            "jobs offered, accepted and handed back where possible", f"{count} in {took_s:.1f} s"
        ),
        Figure("customers disclosed to the friend", f"{disclosed}", f"{most}"),
        Figure("paused by the alarm", "yes", "yes"),
    ]


async def collect(connection: Connection, friend: Friend) -> None:
    """Accept whatever is offered, and hand it back at once."""
    offers = await connection.request("GET", "/v1/me/offers", token=friend.token)
    for offer in offers.json["items"]:
        path = f"/v1/offers/{offer['id']}/accept"
        won = await connection.request("POST", path, token=friend.token)
        if won.is_ok:
            back = f"/v1/bookings/{offer['booking_id']}/hand-back"
            reason = {"reason": "no_time"}
            await connection.request("POST", back, token=friend.token, body=reason)
