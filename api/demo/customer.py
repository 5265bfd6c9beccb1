"""Simulated customers: they book, wait, sometimes cancel, and rate."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

from api.demo.client import ApiClient, Connection
from api.demo.clock import SimulatedTime
from data.enums import BookingState
from data.records.ids import BookingId
from data.seed import town
from data.seed.town import InventedCustomer
from dispatch.rules.jobs.customer_links import customer_token
from dispatch.rules.trust import mailed_secrets

NIGHT_FACTOR: Final = 6.0
PARTNER_SHARE: Final = 0.2
RATES_SHARE: Final = 0.85
CANCELS_SHARE: Final = 0.5
STARS: Final = ((5, 4, 3, 2, 1), (60, 25, 9, 4, 2))


@dataclass(slots=True)
class Customers:
    """All customers of the towns; `per_minute` is the rate of bookings in real time.

    `secret` gives them the codes of their mails.
    """

    time: SimulatedTime
    chance: Random
    partner_key: str
    secret: bytes
    per_minute: float
    connection: Connection = field(init=False)

    async def run(self, connection: Connection) -> None:
        """Book until cancelled; every customer books once."""
        self.connection = connection
        people = {name: town.invent_customers(name, self.chance) for name in town.town_names()}
        async with asyncio.TaskGroup() as tasks:
            await self.time.started.wait()
            while self.per_minute > 0:
                await asyncio.sleep(self._gap_s())
                tasks.create_task(self._simulate(next(self._next_customer(people))))
            await asyncio.Event().wait()

    def _gap_s(self) -> float:
        rate = self.per_minute / (NIGHT_FACTOR if self.time.is_night() else 1.0)
        return self.chance.expovariate(rate / 60)

    def _next_customer(
        self, people: Mapping[str, Iterator[InventedCustomer]]
    ) -> Iterator[InventedCustomer]:
        return people[self.chance.choice(sorted(people))]

    async def _simulate(self, one: InventedCustomer) -> None:
        chance = Random(self.chance.getrandbits(64))  # noqa: S311 - a simulation
        by_partner = chance.random() < PARTNER_SHARE
        booker = ApiClient(self.connection, self.partner_key if by_partner else None)
        key = f"demo-{chance.getrandbits(64):x}"
        body = booking_request(one) | ({"partner_reference": key} if by_partner else {})
        booking = await booker.post("/v1/bookings", body, key=key)
        if booking is not None:
            booking_id = BookingId(UUID(booking["id"]))
            client = ApiClient(self.connection, customer_token(self.secret, booking_id))
            if booking["state"] == BookingState.UNCONFIRMED:
                code = mailed_secrets.of_booking(self.secret, booking_id).code
                await client.post(f"/v1/bookings/{booking['id']}/confirm", {"code": code})
            await self._wait(client, f"/v1/bookings/{booking['id']}", chance)

    async def _wait(self, client: ApiClient, path: str, chance: Random) -> None:
        async for kind, _ in client.events():
            if kind == "booking.unfilled" and chance.random() < CANCELS_SHARE:
                await self.time.sleep(timedelta(hours=chance.uniform(1, 12)))
                if await client.post(f"{path}/cancel", {"reason": "too_long"}) is not None:
                    return
            elif kind == "booking.cancelled":
                return
            elif kind == "booking.completed":
                if chance.random() < RATES_SHARE:
                    await self.time.sleep(timedelta(minutes=chance.uniform(5, 300)))
                    stars = chance.choices(STARS[0], weights=STARS[1])[0]
                    await client.post(f"{path}/rating", {"stars": stars}, key="rating")
                return


def booking_request(one: InventedCustomer) -> dict[str, Any]:
    """The JSON of a customer's booking."""
    return {
        "package": one.package,
        "customer": {
            "name": one.name,
            "email": one.email,
            "phone": one.phone,
            "language": one.language,
        },
        "address": {
            "street": one.street,
            "postcode": one.postcode,
            "city": one.city,
            "country": one.country,
            "lat": one.lat,
            "lon": one.lon,
        },
        "wishes": list(one.wishes),
    }
