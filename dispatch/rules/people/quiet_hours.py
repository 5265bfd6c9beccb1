"""Quiet hours in local time. Deadlines are elapsed time and do not depend on it."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

from data.markets import MARKETS, Market
from data.records.people import QuietHours


@cache
def zone(market: Market) -> ZoneInfo:
    """The time zone of a market."""
    return ZoneInfo(MARKETS[market].timezone)


def local_minute(now: datetime, market: Market) -> int:
    """Minutes since local midnight (0 to 1439) in the market's time zone."""
    local = now.astimezone(zone(market))
    return local.hour * 60 + local.minute


def is_quiet(quiet: QuietHours | None, minute: int) -> bool:
    """Whether local `minute` lies in the quiet span; the span may run over midnight."""
    if quiet is None:
        return False
    if quiet.from_minute < quiet.until_minute:
        return quiet.from_minute <= minute < quiet.until_minute
    return minute >= quiet.from_minute or minute < quiet.until_minute
