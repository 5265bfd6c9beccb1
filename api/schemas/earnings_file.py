"""A month of earnings as a CSV file for spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import datetime
from io import StringIO
from typing import Final
from zoneinfo import ZoneInfo

from data.records.catalogue import Catalogue
from data.records.earnings import EarningLine
from dispatch.rules.money.earnings import cause_of_charge
from dispatch.rules.people.exports import disarm

COLUMNS: Final = ["at", "booking", "package", "cause", "pay", "currency", "minutes", "reversed_at"]
BYTE_ORDER_MARK: Final = "\ufeff"
MINOR: Final = 100
"""All currencies have two decimals."""


def write(lines: Iterable[EarningLine], timezone: str, catalogue: Catalogue) -> str:
    """The file, with times in this zone; reversed amounts stand with the time of the reversal."""
    zone = ZoneInfo(timezone)
    file = StringIO(BYTE_ORDER_MARK)
    file.seek(0, 2)
    out = csv.writer(file)
    out.writerow(COLUMNS)
    out.writerows(_row(one, zone, catalogue) for one in lines)
    return file.getvalue()


def _row(one: EarningLine, zone: ZoneInfo, catalogue: Catalogue) -> list[str]:
    name = catalogue.at(one.package, one.package_version).texts[one.language].name
    cause = cause_of_charge(one.cancel_fee_minor, reversed_=one.reversed_at is not None)
    whole, cents = divmod(one.pay_minor, MINOR)
    return [
        _time(one.at, zone),
        str(one.booking_id),
        disarm(name),
        cause,
        f"{whole}.{cents:02}",
        one.currency,
        "" if one.minutes is None else str(one.minutes),
        "" if one.reversed_at is None else _time(one.reversed_at, zone),
    ]


def _time(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(sep=" ", timespec="seconds")
