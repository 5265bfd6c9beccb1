"""People who go on booking and helping while somebody makes a backup."""

import asyncio
from datetime import timedelta
from random import Random

from data.records.ids import BookingId
from data.records.jobs import Protocol
from dispatch.flows.jobs import commands
from dispatch.rules.refusals import Refused
from dispatch.runtime import Runtime
from tests.builders import booked, live

DONE = Protocol(summary="Works again.", minutes=30)


class Life:
    """Bookings in every state, more and more of them until `stop`."""

    def __init__(self, rt: Runtime, seed: int) -> None:
        self._rt = rt
        self._chance = Random(seed)
        self._ended = asyncio.Event()
        self.booked: list[BookingId] = []

    def stop(self) -> None:
        self._ended.set()

    async def go_on(self, hands: int = 4) -> None:
        """Live until `stop`, several jobs at a time."""
        await asyncio.gather(*(self._hand() for _ in range(hands)))

    async def so_many(self, count: int) -> None:
        """Live until there are `count` bookings."""
        while len(self.booked) < count:
            await asyncio.gather(*(self._one() for _ in range(8)))

    async def _hand(self) -> None:
        while not self._ended.is_set():
            await self._one()

    async def _one(self) -> None:
        done = await booked(self._rt)
        booking_id = done.job.booking.id
        self.booked.append(booking_id)
        offers = live(done)
        try:
            await self._further(booking_id, offers[self._chance.randrange(len(offers))])
        except (Refused, IndexError, ValueError):
            return  # somebody is at his capacity: the booking stays as it is

    async def _further(self, booking_id, offer) -> None:
        friend, steps = offer.friend_id, self._chance.randrange(6)
        if steps == 0:
            await commands.decline(self._rt, offer.id, friend)
            return
        await commands.accept(self._rt, offer.id, friend)
        if steps == 1:
            await commands.hand_back(self._rt, booking_id, friend, "no_time", None)
            return
        await commands.contacted(self._rt, booking_id, friend)
        if steps > 2:
            await commands.complete(self._rt, booking_id, friend, DONE)
        if steps > 4:
            await commands.rate(
                self._rt, booking_id, stars=5, comment=None, claim=None, said=lambda done: {}
            )


A_WHILE = timedelta(hours=13)
