"""Telephone numbers as people write them, brought to E.164."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from typing import Final

from phonenumbers import (
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    format_number,
    is_valid_number,
    number_type,
    parse,
)

from data.markets import MARKETS, Market

COSTLY: Final = frozenset({PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST})
"""Kinds of numbers that nobody should be made to call."""
_CODES = "|".join(sorted({str(facts.calling_code) for facts in MARKETS.values()}))
_E164 = re.compile(rf"\+({_CODES})([1-9][0-9]{{6,11}})")
_SPACING = re.compile(r"[\s\-./()]")
# The zero before an area code, which Poland gave up: phonenumbers no longer knows it.
_TRUNK_ZERO = re.compile(rf"((?:(?:\+|00)(?:{_CODES})[\s\-./]*)?)\(?0\)?[\s\-./]*(?=[1-9(])")
_EXTENSION = re.compile(
    r"(?:;ext=|#|\b(?:ext|extension|x|int|interno|poste|wew|wewn|dw|durchwahl|nst|nebenstelle|app"
    r"|apparat)\b)[.:\s]*([0-9]{1,7})\s*$",
    re.IGNORECASE,
)


def is_mobile(number: str, calling_codes: Collection[int]) -> bool:
    """Whether a number in E.164 is a mobile of one of these countries."""
    parsed = parse(number, None)
    return parsed.country_code in calling_codes and number_type(parsed) == PhoneNumberType.MOBILE


class PhoneInvalid(ValueError):
    """The text is no telephone number that can be dialled; `problem` follows its name."""

    def __init__(self, problem: str, cure: str) -> None:
        super().__init__(f"{problem}; {cure}")
        self.problem = problem
        self.cure = cure


def parse_phone(text: str, region: str | None) -> str:
    """Return a number in E.164; one without country code is of `region`. Raises PhoneInvalid."""
    plain = _E164.fullmatch(_SPACING.sub("", text))
    if plain:
        number = PhoneNumber(country_code=int(plain[1]), national_number=int(plain[2]))
        kind = number_type(number)
        if kind != PhoneNumberType.UNKNOWN:  # it is valid
            return _callable(number, kind)
    found = _EXTENSION.search(text)
    parsed = _valid(text, region) or _valid(_TRUNK_ZERO.sub(r"\1", text.strip(), count=1), region)
    if found or (parsed and parsed.extension):
        extension = found[1] if found else parsed and parsed.extension
        raise PhoneInvalid(
            f"has the extension {extension}, which cannot be dialled from here",
            "give a number without extension",
        )
    if parsed is None:
        where = f"of {region} or abroad" if region else "with a country code"
        raise PhoneInvalid(
            f"is not a telephone number {where}",
            f"write it with the country code, like {_example(region)}",
        )
    return _callable(parsed, number_type(parsed))


def _callable(number: PhoneNumber, kind: int) -> str:
    if kind in COSTLY:
        raise PhoneInvalid(
            "is a number that costs its callers extra", "give an ordinary telephone number"
        )
    return format_number(number, PhoneNumberFormat.E164)


def _valid(text: str, region: str | None) -> PhoneNumber | None:
    try:
        number = parse(text, region)
    except NumberParseException:
        return None
    return number if is_valid_number(number) else None


@cache
def _example(region: str | None) -> str:
    market = Market(region) if region and region in MARKETS else Market.CH
    number = parse(MARKETS[market].phone_example, market)
    return format_number(number, PhoneNumberFormat.INTERNATIONAL)
