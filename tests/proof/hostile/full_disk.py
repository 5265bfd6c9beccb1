"""A full disk under the database.

While nothing can be written, bookings get 503 and so does `/readyz`; once there is room again both
recover by themselves, and nothing that was answered is lost.
"""

import asyncio
import time

from tests.proof.chaos.disk import fill, small_disk
from tests.proof.connection import Connection, Unanswered
from tests.proof.deployment import booking_body, deploy, friend_groups
from tests.proof.hostile.target import Figure, Target

ONLY_WHOLE = True
NOT_READY_WITHIN_S = 30.0
READY_WITHIN_S = 60.0
STORED = "SELECT count(*) FROM bookings"


async def attack(target: Target) -> list[Figure]:
    """On a small disk of its own, which only root can make."""
    with small_disk() as disk:
        if disk is None:
            return [Figure("a full disk", "not tried: only root may mount one")]
        async with deploy(friend_groups(3), apis=1, workers=0, disk=disk) as deployment:
            client = Client(deployment.apis[0].port)
            assert await client.book() == 201, "no booking before"
            ballast = fill(disk)
            full_s = await client.until_ready(503, NOT_READY_WITHIN_S)
            refused = await client.book()
            assert refused == 503, f"a booking on a full disk got {refused}"
            ballast.unlink()
            back_s = await client.until_ready(200, READY_WITHIN_S)
            assert await client.book() == 201, "no booking after"
            client.close()
            async with deployment.owner() as owner:
                stored = await owner.fetchval(STORED)
    assert stored >= client.booked, f"{client.booked} were acknowledged and {stored} are stored"
    return [
        Figure("`/readyz` is 503 after", f"{full_s:.1f} s", f"{NOT_READY_WITHIN_S:.0f} s"),
        Figure("200 once there is room, after", f"{back_s:.1f} s", f"{READY_WITHIN_S:.0f} s"),
        Figure("acknowledged, and stored", f"{client.booked}, {stored}", "all"),
    ]


class Client:
    """Books with a new key each time."""

    def __init__(self, port: int) -> None:
        self.booked = self._number = 0
        self._connection = Connection(port)

    async def book(self) -> int:
        """The status of another booking."""
        self._number += 1
        body, key = booking_body(self._number, self._number % 3), f"full-{self._number}"
        status = await self._status("POST", "/v1/bookings", key=key, body=body)
        self.booked += status == 201
        return status

    async def until_ready(self, status: int, within_s: float) -> float:
        """Seconds until the readiness has this status, while others go on booking."""
        began_s = time.monotonic()
        while await self._status("GET", "/readyz") != status:
            took_s = time.monotonic() - began_s
            assert took_s < within_s, f"/readyz is not {status} after {took_s:.0f} s"
            await self.book()
            await asyncio.sleep(0.05)
        return time.monotonic() - began_s

    def close(self) -> None:
        """Close its connection."""
        self._connection.close()

    async def _status(self, *words: str, **options: object) -> int:
        try:
            return (await self._connection.request(*words, **options)).status
        except Unanswered:
            return 0
