"""Records of postcodes and places, and the errors of addresses."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from data.markets import MARKETS, Market
from geo.point import Point, Precision

FORMATS: Mapping[Market, tuple[re.Pattern[str], str]] = {
    market: (re.compile(facts.postcode.pattern), facts.postcode.description)
    for market, facts in MARKETS.items()
}
_SIGNS = "|".join([*Market, *(facts.postcode.sign for facts in MARKETS.values())])
_PREFIX = re.compile(f"^({_SIGNS})-?(?=[0-9])")
# What text programs put in place of a hyphen, and what they hide in a text.
_DASHES = re.compile("[\u00ad\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff]")


class Abroad(NamedTuple):
    """A town under a postcode of another country; `market` and `postcode` are its own if served."""

    town: str
    country: str
    market: Market | None = None
    postcode: str = ""


ABROAD: Mapping[tuple[Market, str], Abroad] = {
    (Market.CH, "6911"): Abroad("Campione d'Italia", "Italy"),
    (Market.CH, "8238"): Abroad("Büsingen am Hochrhein", "Germany", Market.DE, "78266"),
    **{
        (Market.CH, code): Abroad(town, "Liechtenstein")
        for code, town in (
            ("9485", "Nendeln"),
            ("9486", "Schaanwald"),
            ("9487", "Gamprin-Bendern"),
            ("9488", "Schellenberg"),
            ("9489", "Vaduz"),
            ("9490", "Vaduz"),
            ("9491", "Ruggell"),
            ("9492", "Eschen"),
            ("9493", "Mauren"),
            ("9494", "Schaan"),
            ("9495", "Triesen"),
            ("9496", "Balzers"),
            ("9497", "Triesenberg"),
            ("9498", "Planken"),
        )
    },
    (Market.DE, "87491"): Abroad("Jungholz", "Austria", Market.AT, "6691"),
    (Market.DE, "87567"): Abroad("Riezlern", "Austria", Market.AT, "6991"),
    (Market.DE, "87568"): Abroad("Hirschegg", "Austria", Market.AT, "6992"),
    (Market.DE, "87569"): Abroad("Mittelberg", "Austria", Market.AT, "6993"),
}


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


class PostcodeAbroad(UnknownPostcode):
    """The postcode is of this country, the town in another; its own postcode is the cure."""

    def __init__(self, code: str, place: Abroad) -> None:
        own = f"{place.postcode} {place.town}"
        super().__init__(
            "postcode",
            f"postcode {code} is {place.town}, which lies in {place.country}",
            f"give country {place.market} and postcode {place.postcode}"
            if place.market
            else f"the country is not served: give an address in {', '.join(Market)}",
            (own,) if place.market else (),
        )


class UnknownTown(AddressRefused):
    """The town is unknown in its country; towns of similar spelling are suggested."""


class AmbiguousTown(UnknownTown):
    """Several places of the country have this name; they are listed with their regions."""


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


class OtherName(NamedTuple):
    """A further name of a town, as in another language; region and town are those of its rows."""

    country: Market
    name: str
    region: str
    town: str


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
    """Return the postcode in its country's form.

    It may have a country sign, lack separators, and hold any space and dash: D – 01067.
    """
    text = _INVISIBLE.sub("", "".join(postcode.split())).upper()
    text = _PREFIX.sub("", _DASHES.sub("-", text))
    return MARKETS[country].postcode.separate(text)


def number_of(postcode: str) -> int:
    """Return the digits of a postcode as a number."""
    return int("".join(filter(str.isdigit, postcode)))
