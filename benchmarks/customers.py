"""Customers at places where four friends are free, one booking after another."""

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
    """The place and language of a customer."""

    lat: float
    lon: float
    country: str
    language: str
    postcode: str = ""
    city: str = ""


def find_sites(rt: Runtime, count: int, seed: int, *, spare: int = 1) -> list[Site]:
    """At most `count` sites whose bookings, one after another, find four friends each.

    Nobody is asked more often than the policy allows, less `spare`, so that it holds in other
    orders of arrival too. The index is left unchanged.
    """
    asked: Counter[FriendId] = Counter()
    found: list[Site] = []
    tries = count * TRIES_A_SITE if count < 3_000 else count * 6
    for site in _random_sites(tries, seed):
        if len(found) == count:
            break
        if four := _nearest_four(rt, site, rt.policy.live_offers_max - spare):
            found.append(_with_town(rt, site))
            for friend_id in four:
                asked[friend_id] += 1
                rt.adjust_counters(friend_id, live_offers=1)
    for friend_id, times in asked.items():
        rt.adjust_counters(friend_id, live_offers=-times)
    return found


def _random_sites(count: int, seed: int) -> list[Site]:
    rng = np.random.default_rng(seed)
    places = population(count, rng)
    spoken = SPOKEN / SPOKEN.sum(axis=1, keepdims=True)
    words = [rng.choice(len(LANGUAGES), p=spoken[land]) for land in places.country]
    return [
        Site(lat, lon, COUNTRIES[land], LANGUAGES[word])
        for lat, lon, land, word in zip(
            places.lat.tolist(), places.lon.tolist(), places.country.tolist(), words, strict=True
        )
    ]


def _with_town(rt: Runtime, site: Site) -> Site:
    town = rt.gazetteer.nearest(Point(lat=site.lat, lon=site.lon), Market(site.country))[0]
    return replace(site, postcode=town.postcode, city=town.town)


def _nearest_four(rt: Runtime, site: Site, live_offers_max: int) -> list[FriendId]:
    point = Point(lat=site.lat, lon=site.lon)
    try:
        rt.gazetteer.check_plausible(site.country, point)
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


def create_order(site: Site, number: int) -> Order:
    """The order of this customer for the flow."""
    return Order(
        package=PACKAGE,
        address=Address(
            street=f"Invented Street {number}",
            postcode=site.postcode,
            city=site.city,
            country=site.country,
        ),
        point=Point(lat=site.lat, lon=site.lon),
        name=f"Customer {number}",
        email=f"customer{number}@example.com",
        phone="+41440000001",
        language=Language(site.language),
        notes="Third floor.",
    )


def booking_body(site: Site, number: int) -> bytes:
    """The same as the JSON body of `POST /v1/bookings`."""
    fields = {
        "package": PACKAGE,
        "customer": {
            "name": f"Customer {number}",
            "email": f"customer{number}@example.com",
            "phone": "+41440000001",
            "language": site.language,
        },
        "address": {
            "street": f"Invented Street {number}",
            "postcode": site.postcode,
            "city": site.city,
            "country": site.country,
            "lat": site.lat,
            "lon": site.lon,
        },
        "notes": "Third floor.",
    }
    return json.dumps(fields).encode()
