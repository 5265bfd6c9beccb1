"""Customers who book: at places where four friends are free for them, one after the other."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from benchmarks.world import COUNTRIES, LANGUAGES, SPOKEN, population
from data.markets import Language, Market
from data.records.ids import FriendId
from dispatch.flows.jobs.orders import Order
from dispatch.rules.jobs import matching
from dispatch.runtime import Runtime
from geo.gazetteer.addresses import AddressRefused
from geo.geocode import Address
from geo.point import Point

PACKAGE = "wifi-setup"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
TRIES_A_SITE = 30


@dataclass(frozen=True, slots=True)
class Site:
    """Where a customer lives and what she speaks."""

    lat: float
    lon: float
    country: str
    language: str


def sites(rt: Runtime, count: int, seed: int, *, spare: int = 1) -> list[Site]:
    """At most `count` sites for which bookings, one after the other, find four friends each.

    Nobody is asked more often than the policy allows, less `spare`: so it holds in other orders
    of arrival too. The index is left as it was.
    """
    asked: Counter[FriendId] = Counter()
    found: list[Site] = []
    tries = count * TRIES_A_SITE if count < 3_000 else count * 6
    for site in _people(tries, seed):
        if len(found) == count:
            break
        if four := _four(rt, site, rt.policy.live_offers_max - spare):
            found.append(site)
            for friend_id in four:
                asked[friend_id] += 1
                rt.adjust_counters(friend_id, live_offers=1)
    for friend_id, times in asked.items():
        rt.adjust_counters(friend_id, live_offers=-times)
    return found


def _people(count: int, seed: int) -> list[Site]:
    rng = np.random.default_rng(seed)
    crowd = population(count, rng)
    spoken = SPOKEN / SPOKEN.sum(axis=1, keepdims=True)
    words = [rng.choice(len(LANGUAGES), p=spoken[land]) for land in crowd.country]
    return [
        Site(lat, lon, COUNTRIES[land], LANGUAGES[word])
        for lat, lon, land, word in zip(
            crowd.lat.tolist(), crowd.lon.tolist(), crowd.country.tolist(), words, strict=True
        )
    ]


def _four(rt: Runtime, site: Site, live_offers_max: int) -> list[FriendId]:
    point = Point(lat=site.lat, lon=site.lon)
    try:
        rt.gazetteer.plausible(site.country, point)
    except AddressRefused:
        return []
    package = rt.packages[PACKAGE]
    [need, *_] = matching.quote_needs(package, Market(site.country), NOON, rt.policy)
    need = replace(need, language=Language(site.language), live_offers_max=live_offers_max)
    found = rt.index.nearest(
        point,
        certificates=need.certificates,
        want=4,
        qualifies=lambda friend, away_m: matching.reason(friend, away_m, need) is None,
    )
    return [candidate.friend_id for candidate in found] if len(found) == 4 else []


def order(site: Site, number: int) -> Order:
    """What the flow is given for this customer."""
    return Order(
        package=PACKAGE,
        address=Address(
            street=f"Invented Street {number}", postcode="1000", city="Town", country=site.country
        ),
        point=Point(lat=site.lat, lon=site.lon),
        name=f"Customer {number}",
        email=f"customer{number}@example.com",
        phone="+41440000001",
        language=Language(site.language),
        notes="Third floor.",
    )


def body(site: Site, number: int) -> bytes:
    """The same as the JSON of `POST /v1/bookings`."""
    asked = {
        "package": PACKAGE,
        "customer": {
            "name": f"Customer {number}",
            "email": f"customer{number}@example.com",
            "phone": "+41440000001",
            "language": site.language,
        },
        "address": {
            "street": f"Invented Street {number}",
            "postcode": "1000",
            "city": "Town",
            "country": site.country,
            "lat": site.lat,
            "lon": site.lon,
        },
        "notes": "Third floor.",
    }
    return json.dumps(asked).encode()
