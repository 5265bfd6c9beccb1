"""Records of postcodes and places, and the errors of addresses."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.markets import MARKETS, Market
from geo.point import Point, Precision

FORMATS: Mapping[Market, tuple[re.Pattern[str], str]] = {
    market: (re.compile(facts.postcode.pattern), facts.postcode.description)
    for market, facts in MARKETS.items()
}
_SIGNS = "|".join([*Market, *(facts.postcode.sign for facts in MARKETS.values())])
_PREFIX = re.compile(f"^({_SIGNS})[- ]?(?=[0-9])")


class GazetteerMissing(RuntimeError):
    """The compiled gazetteer is missing or unreadable."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"the gazetteer {path.name} {problem}; install tekkie again, or run make setup in a "
            "copy of the repository"
        )


class AddressRefused(ValueError):
    """An address that cannot be located: the field, the problem and the cure."""

    def __init__(
        self, field: str, problem: str, cure: str, suggestions: Sequence[str] = ()
    ) -> None:
        super().__init__(f"{problem}; {cure}")
        self.field = field
        self.problem = problem
        self.cure = cure
        self.suggestions = tuple(suggestions)


class CountryNotServed(AddressRefused):
    """The country has no market."""


class UnknownPostcode(AddressRefused):
    """The postcode is malformed or unknown in its country; the nearest known are suggested."""


class UnknownTown(AddressRefused):
    """The town is unknown in its country; towns of similar spelling are suggested."""


class PointImplausible(AddressRefused):
    """The point lies outside the named country."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Postcode:
    """One town of one postcode, compiled or imported; `radius_m` covers most of the town."""

    country: Market
    postcode: str
    town: str
    region: str
    lat: float
    lon: float
    precision: Precision
    radius_m: int

    @property
    def point(self) -> Point:
        """The middle of the town."""
        return Point(self.lat, self.lon)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The point of a postcode or town with its precision; `note` tells a problem of the request."""

    country: Market
    postcode: str
    town: str
    region: str
    point: Point
    precision: Precision
    radius_m: int
    note: str = ""

    @property
    def timezone(self) -> str:
        """The IANA time zone of the country."""
        return MARKETS[self.country].timezone

    @property
    def label(self) -> str:
        """Postcode and town as in a postal address."""
        return f"{self.postcode} {self.town}".strip()


def parse_market(country: str) -> Market:
    """Return the market of a country code. Raises CountryNotServed."""
    try:
        return Market(country.strip().upper())
    except ValueError:
        raise CountryNotServed(
            "country",
            f"country {country[:20]!r} is not served",
            f"use one of {', '.join(Market)}",
            tuple(Market),
        ) from None


def normalize_postcode(country: Market, postcode: str) -> str:
    """Return the postcode in its country's form (input also as NNNNN, or with a country sign)."""
    text = _PREFIX.sub("", postcode.strip().upper()).replace(" ", "")
    return MARKETS[country].postcode.separate(text)


def number_of(postcode: str) -> int:
    """Return the digits of a postcode as a number."""
    return int("".join(filter(str.isdigit, postcode)))
