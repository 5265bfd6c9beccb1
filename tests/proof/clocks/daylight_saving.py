"""Both nights of the year in which local time changes, in every market."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import asyncpg

from data.markets import MARKETS, Market
from dispatch.flows.jobs import commands
from dispatch.runtime import Runtime
from geo.gazetteer.offline import Gazetteer, Place
from geo.geocode import Address
from scheduler.deadlines import sweep
from tests.builders import book_job, friend_row, import_friends, live_offers_of, north
from tests.conftest import Clock

# In local time of each market.
EVENINGS = tuple(map(datetime.fromisoformat, ("2026-03-28T20:30", "2026-10-24T20:30")))
LATER_H = (0, 1.5, 3, 4.5)
TWELVE_HOURS_S = 43_200


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockChangeNight:
    """One award in such a night, in local and elapsed time."""

    market: Market
    awarded: datetime
    due: datetime
    elapsed_s: float
    local_s: float
    fired_early: int
    fired_in_time: int
    fired_again: int

    @property
    def is_right(self) -> bool:
        """Exactly twelve hours elapsed; fired once and not a microsecond early."""
        fired = (self.fired_early, self.fired_in_time, self.fired_again)
        return self.elapsed_s == TWELVE_HOURS_S and fired == (0, 1, 0)


@cache
def places() -> Mapping[Market, Place]:
    """The place of every market's example of a postcode."""
    gazetteer = Gazetteer.load()
    return {
        market: gazetteer.find(market, facts.postcode.example) for market, facts in MARKETS.items()
    }


async def create_friends(rt: Runtime) -> None:
    """Create two friends in each market."""
    rows = [
        friend_row(
            f"{market.lower()}{number}",
            north(200 * number, place.point),
            market=market,
            capacity=20,
        )
        for market, place in places().items()
        for number in (1, 2)
    ]
    await import_friends(rt, rows)


async def run_night(
    rt: Runtime, owner: asyncpg.Connection, clock: Clock, *, market: Market, at: datetime
) -> ClockChangeNight:
    """Award a job at this local time and let the night pass up to its deadline."""
    zone = ZoneInfo(MARKETS[market].timezone)
    await clock.set(at.replace(tzinfo=zone).astimezone(UTC))
    place = places()[market]
    address = Address(
        street="Allee 1", postcode=place.postcode, city=place.town, country=market.value
    )
    done = await book_job(rt, point=place.point, address=address)
    offer = live_offers_of(done)[0]
    job = (await commands.accept(rt, offer.id, offer.friend_id)).job
    assert job.award is not None
    awarded, due = job.award.awarded_at, job.award.contact_due_at
    fired = []
    for then in (due - timedelta(microseconds=1), due, due + timedelta(hours=2)):
        before = await _missed(owner, job.booking.id)
        await clock.set(then)
        await sweep(rt)
        fired.append(await _missed(owner, job.booking.id) - before)
    await commands.cancel(
        rt, job.booking.id, actor="customer", reason="solved", may_act=lambda job: True
    )
    local = due.astimezone(zone).replace(tzinfo=None) - awarded.astimezone(zone).replace(
        tzinfo=None
    )
    return ClockChangeNight(
        market=market,
        awarded=awarded,
        due=due,
        elapsed_s=(due - awarded).total_seconds(),
        local_s=local.total_seconds(),
        fired_early=fired[0],
        fired_in_time=fired[1],
        fired_again=fired[2],
    )


async def _missed(owner: asyncpg.Connection, booking: object) -> int:
    found: int = await owner.fetchval(
        "SELECT count(*) FROM events WHERE booking_id = $1 AND kind = 'contact.missed'", booking
    )
    return found
