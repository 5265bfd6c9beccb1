"""The markets: one entry per country, with everything that depends on the country alone.

Whatever else the product knows of a country is derived from `MARKETS`, or compared with it by
`tests/data/test_markets.py`, which names what a market lacks. docs/changing.md: "Add a market".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple


class Currency(StrEnum):
    CHF = "CHF"
    EUR = "EUR"
    PLN = "PLN"


class Language(StrEnum):
    DE = "de"
    EN = "en"
    FR = "fr"
    IT = "it"
    PL = "pl"


class Market(StrEnum):
    CH = "CH"
    DE = "DE"
    AT = "AT"
    PL = "PL"


class Frame(NamedTuple):
    """The parallels and meridians around a country, a little widened, in degrees."""

    south: float
    north: float
    west: float
    east: float


NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostcodeForm:
    """Postcodes of digits, with separators where `example` has them.

    `sign` is the country's sign on vehicles, which people write before a postcode: D-10115.
    """

    pattern: str
    example: str
    sign: str

    @property
    def digits(self) -> int:
        """How many digits a postcode has."""
        return sum(letter.isdigit() for letter in self.example)

    @property
    def description(self) -> str:
        """The form in words, with the example."""
        mask = re.sub("[0-9]", "N", self.example)
        plain = self.digits == len(self.example)
        return f"{f'{NUMBERS[self.digits]} digits' if plain else mask}, for example {self.example}"

    def separate(self, text: str) -> str:
        """A postcode or its beginning with separators, when it is written as digits alone."""
        if not (text.isascii() and text.isdigit() and len(text) <= self.digits):
            return text
        digits = iter(text)
        separated = ""
        for letter in self.example:
            separated += next(digits, "") if letter.isdigit() else letter
        return separated.rstrip("- ")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFacts:
    """A country as the trade sees it.

    `languages` are the official ones the product has texts in, the default first;
    `phone_example` is written as at home; `vat_per_mille` is the standard rate;
    `records_years` is how long vouchers of payments must be kept;
    who has `adult_age` may decide alone;
    `lowest_price_minor` is the least a package may cost, in minor units of the currency.
    """

    currency: Currency
    timezone: str
    languages: tuple[Language, ...]
    calling_code: int
    phone_example: str
    vat_per_mille: int
    records_years: int
    adult_age: int
    lowest_price_minor: int
    postcode: PostcodeForm
    frame: Frame

    @property
    def language(self) -> Language:
        """The language spoken by default."""
        return self.languages[0]


MARKETS: Final[Mapping[Market, MarketFacts]] = {
    Market.CH: MarketFacts(
        currency=Currency.CHF,
        timezone="Europe/Zurich",
        languages=(Language.DE, Language.FR, Language.IT),
        calling_code=41,
        phone_example="044 123 45 67",
        vat_per_mille=81,
        records_years=10,
        adult_age=18,
        lowest_price_minor=2500,
        postcode=PostcodeForm(pattern="[1-9][0-9]{3}", example="8004", sign="CH"),
        frame=Frame(south=45.7, north=48.0, west=5.8, east=10.6),
    ),
    Market.DE: MarketFacts(
        currency=Currency.EUR,
        timezone="Europe/Berlin",
        languages=(Language.DE,),
        calling_code=49,
        phone_example="030 1234567",
        vat_per_mille=190,
        records_years=8,
        adult_age=18,
        lowest_price_minor=2500,
        postcode=PostcodeForm(pattern="[0-9]{5}", example="10115", sign="D"),
        frame=Frame(south=47.1, north=55.2, west=5.7, east=15.2),
    ),
    Market.AT: MarketFacts(
        currency=Currency.EUR,
        timezone="Europe/Vienna",
        languages=(Language.DE,),
        calling_code=43,
        phone_example="01 2345678",
        vat_per_mille=200,
        records_years=7,
        adult_age=18,
        lowest_price_minor=2500,
        postcode=PostcodeForm(pattern="[1-9][0-9]{3}", example="1070", sign="A"),
        frame=Frame(south=46.2, north=49.2, west=9.4, east=17.3),
    ),
    Market.PL: MarketFacts(
        currency=Currency.PLN,
        timezone="Europe/Warsaw",
        languages=(Language.PL,),
        calling_code=48,
        phone_example="22 123 45 67",
        vat_per_mille=230,
        records_years=5,
        adult_age=18,
        lowest_price_minor=9900,
        postcode=PostcodeForm(pattern="[0-9]{2}-[0-9]{3}", example="00-950", sign="PL"),
        frame=Frame(south=48.9, north=55.0, west=14.0, east=24.3),
    ),
}

# Taken where a country must be assumed.
HOME: Final = next(iter(MARKETS))
