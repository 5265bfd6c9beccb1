"""The demo towns: invented helpers and customers at real places.

All people are invented: names are drawn from lists, mail addresses are at example.org (friends) and
example.com (customers), which reach nobody, and phone numbers are from unassigned ranges. Quarters,
postcodes and streets are real; house numbers and points are drawn around the middle of the quarter
and relate to no resident.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from itertools import count as counting
from math import cos, radians
from random import Random
from typing import Any
from unicodedata import normalize

from data.enums import Tier, Wish
from data.markets import Language, Market
from data.records.people import QuietHours
from data.seed.catalogue import load

PRO_SHARE = 0.08
MISSES_DEADLINE_SHARE = 0.1
ALWAYS_REACHABLE_SHARE = 0.2
TOWN_LANGUAGE_SHARE = 0.8
RADIUS_M = (2_000, 12_000)
SPREAD_M = 300.0
FARTHEST_M = 700.0
METRES_PER_DEGREE = 111_320.0
POPULAR_WEIGHT = 5
POPULAR = frozenset({"wifi-setup", "new-pc", "new-phone", "printer-setup", "tv-setup"})
CERTIFICATE_SHARES: Mapping[str, tuple[float, float]] = {
    "wifi": (0.60, 0.95),
    "windows": (0.50, 0.95),
    "mobile": (0.55, 0.80),
    "printer": (0.45, 0.80),
    "tv-audio": (0.35, 0.75),
    "mac": (0.30, 0.70),
    "training": (0.30, 0.40),
    "data": (0.25, 0.85),
    "security": (0.25, 0.85),
    "smart-home": (0.20, 0.70),
    "business": (0.10, 0.90),
}
TRANSLITERATION = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ł": "l", "ı": "i", "đ": "d", "ø": "o"}
)


class TownUnknown(LookupError):
    """There is no such demo town; the message lists the existing ones."""


class Habit(StrEnum):
    """How a friend responds to offers."""

    EAGER = "eager"
    STEADY = "steady"
    CHOOSY = "choosy"
    SLEEPY = "sleepy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperament:
    """The behaviour of an invented friend.

    `accepts` and `declines` are shares of the offers; the others get no answer. Answers come
    `answer_s` seconds after the offer, calls `contact_s` seconds after the award.
    """

    habit: Habit
    accepts: float
    declines: float
    answer_s: int
    contact_s: int
    misses_deadline: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InventedPerson:
    """An invented person at a point on WGS84 in degrees."""

    name: str
    email: str
    phone: str
    language: Language
    street: str
    postcode: str
    city: str
    quarter: str
    country: Market
    lat: float
    lon: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InventedFriend(InventedPerson):
    """An invented helper; `ref` is unique in all towns."""

    ref: str
    languages: frozenset[Language]
    tier: Tier
    radius_m: int
    capacity: int
    certificates: frozenset[str]
    quiet: QuietHours | None
    temperament: Temperament


@dataclass(frozen=True, slots=True, kw_only=True)
class InventedCustomer(InventedPerson):
    """An invented customer who wants the package with the code `package`."""

    package: str
    wishes: tuple[Wish, ...]


@dataclass(frozen=True, slots=True)
class Quarter:
    name: str
    postcode: str
    lat: float
    lon: float
    streets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Culture:
    share: int
    languages: Mapping[Language, float]
    first: tuple[str, ...]
    last: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Town:
    """The facts of a town from which people are invented."""

    key: str
    city: str
    country: Market
    language: Language
    phones: tuple[str, ...]
    phone_digits: int
    house_numbers: tuple[int, int]
    quarters: tuple[Quarter, ...]
    cultures: tuple[Culture, ...]


def invent_friends(town: str, count: int, chance: Random) -> Iterator[InventedFriend]:
    """Invent `count` friends of `town`, deterministic in `chance`. Raises TownUnknown."""
    place = load_town(town)
    return (_friend(place, number, chance) for number in range(1, count + 1))


def invent_customers(town: str, chance: Random) -> Iterator[InventedCustomer]:
    """Invent customers of `town` without end, deterministic in `chance`. Raises TownUnknown."""
    place = load_town(town)
    return (_customer(place, number, chance) for number in counting(1))


def _friend(town: Town, number: int, chance: Random) -> InventedFriend:
    culture = _culture(town, chance)
    languages = _languages(culture, town, chance)
    tier = Tier.PRO if chance.random() < PRO_SHARE else Tier.FRIEND
    return InventedFriend(
        **_person(town, culture, "example.org", number, chance),
        ref=f"{town.key}-{number:04}",
        phone=_phone(town, number),
        language=town.language if town.language in languages else min(languages),
        languages=languages,
        tier=tier,
        radius_m=100 * chance.randint(RADIUS_M[0] // 100, RADIUS_M[1] // 100),
        capacity=chance.choices((1, 2, 3), weights=(5, 3, 2))[0],
        certificates=_certificates(tier, chance),
        quiet=_quiet(chance),
        temperament=_temperament(chance),
    )


def _customer(town: Town, number: int, chance: Random) -> InventedCustomer:
    culture = _culture(town, chance)
    languages = _languages(culture, town, chance)
    at_home = town.language in languages and chance.random() < TOWN_LANGUAGE_SHARE
    packages = sorted(load().packages)
    weights = [POPULAR_WEIGHT if code in POPULAR else 1 for code in packages]
    return InventedCustomer(
        **_person(town, culture, "example.com", number, chance),
        phone=_phone(town, -number),
        language=town.language if at_home else chance.choice(sorted(languages)),
        package=chance.choices(packages, weights=weights)[0],
        wishes=tuple(chance.sample(list(Wish), k=chance.randint(0, 2))),
    )


def _person(
    town: Town, culture: Culture, domain: str, number: int, chance: Random
) -> dict[str, Any]:
    quarter = chance.choice(town.quarters)
    lat, lon = _point_near(quarter, chance)
    first, last = chance.choice(culture.first), chance.choice(culture.last)
    return {
        "name": f"{first} {last}",
        "email": f"{_ascii_letters(first)}.{_ascii_letters(last)}.{number}@{domain}",
        "street": f"{chance.choice(quarter.streets)} {chance.randint(*town.house_numbers)}",
        "postcode": quarter.postcode,
        "city": town.city,
        "quarter": quarter.name,
        "country": town.country,
        "lat": lat,
        "lon": lon,
    }


def _point_near(quarter: Quarter, chance: Random) -> tuple[float, float]:
    """Draw a point around the middle of the quarter, mostly within a few hundred metres."""
    north_m, east_m = (
        max(-FARTHEST_M, min(FARTHEST_M, chance.gauss(0.0, SPREAD_M))) for _ in range(2)
    )
    lat = quarter.lat + north_m / METRES_PER_DEGREE
    lon = quarter.lon + east_m / (METRES_PER_DEGREE * cos(radians(quarter.lat)))
    return round(lat, 6), round(lon, 6)


def _ascii_letters(name: str) -> str:
    folded = (
        normalize("NFKD", name.lower().translate(TRANSLITERATION))
        .encode("ascii", "ignore")
        .decode()
    )
    return "".join(c for c in folded if c.isalnum())


def _phone(town: Town, number: int) -> str:
    """Return the phone number at this place of the ranges, from the end if `number` is negative."""
    size: int = 10**town.phone_digits
    place = number % (size * len(town.phones))
    return f"{town.phones[place // size]}{place % size:0{town.phone_digits}}"


def _culture(town: Town, chance: Random) -> Culture:
    return chance.choices(town.cultures, weights=[c.share for c in town.cultures])[0]


def _languages(culture: Culture, town: Town, chance: Random) -> frozenset[Language]:
    spoken = {language for language, share in culture.languages.items() if chance.random() < share}
    return frozenset(spoken or {town.language})


def _certificates(tier: Tier, chance: Random) -> frozenset[str]:
    held = {
        code
        for code, (friends, pros) in CERTIFICATE_SHARES.items()
        if chance.random() < (pros if tier is Tier.PRO else friends)
    }
    return frozenset(held)


def _quiet(chance: Random) -> QuietHours | None:
    if chance.random() < ALWAYS_REACHABLE_SHARE:
        return None
    return QuietHours(
        from_minute=15 * chance.randint(4 * 20, 4 * 24 - 1),
        until_minute=15 * chance.randint(4 * 6, 4 * 9),
    )


def _temperament(chance: Random) -> Temperament:
    habit = chance.choices(tuple(HABITS), weights=[share for share, *_ in HABITS.values()])[0]
    _, accepts, declines, (soonest_s, latest_s) = HABITS[habit]
    return Temperament(
        habit=habit,
        accepts=accepts,
        declines=declines,
        answer_s=chance.randint(soonest_s, latest_s),
        contact_s=60 * chance.randint(5, 600),
        misses_deadline=chance.random() < MISSES_DEADLINE_SHARE,
    )


HABITS: Mapping[Habit, tuple[int, float, float, tuple[int, int]]] = {
    Habit.EAGER: (35, 0.85, 0.10, (15, 240)),
    Habit.STEADY: (25, 0.60, 0.30, (120, 1200)),
    Habit.CHOOSY: (25, 0.25, 0.65, (60, 900)),
    Habit.SLEEPY: (15, 0.10, 0.05, (900, 3300)),
}


def town_names() -> tuple[str, ...]:
    """Return the names of the demo towns."""
    folder = files("data.seed") / "towns"
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir()))


@cache
def load_town(town: str) -> Town:
    """Load the demo town `town`. Raises TownUnknown."""
    if town not in town_names():
        raise TownUnknown(f"no demo town {town}; there are: {', '.join(town_names())}")
    file = files("data.seed") / "towns" / f"{town}.toml"
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    low, high = table["house_numbers"]
    return Town(
        key=town,
        city=table["city"],
        country=Market(table["country"]),
        language=Language(table["language"]),
        phones=tuple(table["phones"]),
        phone_digits=table["phone_digits"],
        house_numbers=(low, high),
        quarters=tuple(_read_quarter(name, facts) for name, facts in table["quarters"].items()),
        cultures=tuple(_read_culture(facts) for facts in table["cultures"].values()),
    )


def _read_quarter(name: str, facts: Mapping[str, Any]) -> Quarter:
    return Quarter(name, facts["postcode"], facts["lat"], facts["lon"], tuple(facts["streets"]))


def _read_culture(facts: Mapping[str, Any]) -> Culture:
    languages = {Language(code): share for code, share in facts["languages"].items()}
    return Culture(facts["share"], languages, tuple(facts["first"]), tuple(facts["last"]))
