"""Codes by SMS that confirm a telephone number: for which, how often, and how long they last.

Only mobiles of the markets get one: numbers that cost the sender much invite abuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from data.markets import MARKETS
from dispatch.rules.policy import Policy
from dispatch.rules.refusals import Refused

LIECHTENSTEIN: Final = 423
CALLING_CODES: Final = frozenset(
    {facts.calling_code for facts in MARKETS.values()} | {LIECHTENSTEIN}
)
TEXT: Final = "phone_code"


class NoTextsSent(Refused):
    """No SMS can be sent here."""

    code = "no-texts-sent"
    detail = "The operator of this service must set TEKKIE_SMS_PROVIDER; `tekkie doctor` says how."


class NumberNotMobile(Refused):
    """This number gets no code."""

    code = "number-not-mobile"
    field = "number"
    detail = (
        "Give a mobile number of " + ", ".join(f"+{one}" for one in sorted(CALLING_CODES)) + "."
    )


class AlreadyConfirmed(Refused):
    """This number is confirmed."""

    code = "already-confirmed"
    field = "number"
    detail = "Nothing is left to do; give another number to change it."


class TooManyTexts(Refused):
    """Too many codes were sent."""

    code = "too-many-texts"
    field = "number"
    detail = "Wait an hour, then ask for another code."


class PhoneCodeRefused(Refused):
    """This code is not valid."""

    code = "phone-code-refused"
    field = "code"
    detail = "Enter the code of the newest SMS; it is valid for a few minutes and a few tries."


class PhoneCodeOver(Refused):
    """No code is valid any more."""

    code = "phone-code-over"
    field = "code"
    detail = "Too late, or too many tries: ask for another code."


def check_number(number: str, *, is_mobile: bool, confirmed: str | None) -> None:
    """Raise NumberNotMobile or AlreadyConfirmed unless this number is to be confirmed.

    `is_mobile` tells of a mobile of CALLING_CODES, `confirmed` is the number confirmed before.
    """
    if not is_mobile:
        raise NumberNotMobile
    if number == confirmed:
        raise AlreadyConfirmed


def check_sends(counts: Mapping[str, int], policy: Policy) -> None:
    """Raise TooManyTexts by how many were sent by number, network and person, this one included."""
    if max(counts.values(), default=0) > policy.phone_codes_max:
        raise TooManyTexts
