"""How invented customers live: they book, wait, sometimes lose patience, and rate."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, Final

from api.demo.phone import Line, Phone
from api.demo.time import Time
from data.seed import town
from data.seed.town import InventedCustomer

BY_NIGHT_LESS: Final = 6.0
PARTNER_SHARE: Final = 0.2
RATES_SHARE: Final = 0.85
LOSES_PATIENCE_SHARE: Final = 0.5
STARS: Final = ((5, 4, 3, 2, 1), (60, 25, 9, 4, 2))


@dataclass(slots=True)
class Customers:
    """All customers of the towns; `per_minute` counts bookings in a minute on the wall."""

    time: Time
    chance: Random
    partner_key: str
    per_minute: float
    line: Line = field(init=False)

    async def live(self, line: Line) -> None:
        """Book for ever, each customer once."""
        self.line = line
        people = {name: town.invent_customers(name, self.chance) for name in town.town_names()}
        async with asyncio.TaskGroup() as tasks:
            await self.time.begun.wait()
            while self.per_minute > 0:
                await asyncio.sleep(self._gap_s())
                tasks.create_task(self._customer(next(self._someone(people))))
            await asyncio.Event().wait()

    def _gap_s(self) -> float:
        often = self.per_minute / (BY_NIGHT_LESS if self.time.is_night() else 1.0)
        return self.chance.expovariate(often / 60)

    def _someone(
        self, people: Mapping[str, Iterator[InventedCustomer]]
    ) -> Iterator[InventedCustomer]:
        return people[self.chance.choice(sorted(people))]

    async def _customer(self, one: InventedCustomer) -> None:
        chance = Random(self.chance.getrandbits(64))  # noqa: S311 - plays, guards nothing
        at_shop = chance.random() < PARTNER_SHARE
        caller = Phone(self.line, self.partner_key if at_shop else None)
        key = f"demo-{chance.getrandbits(64):x}"
        asked = order(one) | ({"partner_reference": key} if at_shop else {})
        made = await caller.post("/v1/bookings", asked, key=key)
        if made is not None:
            own = Phone(self.line, made["customer_link"].rpartition("/")[2])
            await self._wait(own, f"/v1/bookings/{made['id']}", chance)

    async def _wait(self, own: Phone, path: str, chance: Random) -> None:
        async for kind, _ in own.hear():
            if kind == "booking.unfilled" and chance.random() < LOSES_PATIENCE_SHARE:
                await self.time.sleep(timedelta(hours=chance.uniform(1, 12)))
                if await own.post(f"{path}/cancel", {"reason": "too_long"}) is not None:
                    return
            elif kind == "booking.cancelled":
                return
            elif kind == "booking.completed":
                if chance.random() < RATES_SHARE:
                    await self.time.sleep(timedelta(minutes=chance.uniform(5, 300)))
                    stars = chance.choices(STARS[0], weights=STARS[1])[0]
                    await own.post(f"{path}/rating", {"stars": stars}, key="rating")
                return


def order(one: InventedCustomer) -> dict[str, Any]:
    """What she sends."""
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
