"""Geocoding of street addresses: the gazetteer by default, Photon or Nominatim if configured.

What a geocoder answers is compared with the address: country, postcode, street and house number. A
house of another number is as exact as its street; any other difference makes the answer unusable.
If the geocoder is slow, wrong or unavailable, the result is the postcode's own point with its
precision, and a note. Addresses are personal data and are never logged.
"""

import asyncio
import hashlib
import json
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from time import monotonic
from typing import Any, Protocol

import httpx2

from geo.gazetteer.addresses import normalize_postcode
from geo.gazetteer.offline import FARTHEST_FROM_POSTCODE_M, Gazetteer, Place
from geo.gazetteer.street_names import (
    fold_street,
    is_same_number,
    is_similar_street,
    split_street,
)
from geo.gazetteer.town_names import fold
from geo.point import Point, Precision, distance_m

log = logging.getLogger(__name__)

TIMEOUT_S = 2.0
MOST_BYTES = 1_000_000
ADDRESS_RADIUS_M = 50
STREET_RADIUS_M = 500
NOMINATIM_PAUSE_S = 1.0
ANSWERS_MAX = 5
# Part of the cache's keys: another number here forgets what was accepted by other checks.
CHECKS = "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address as written by the customer; the street may be empty."""

    street: str
    postcode: str
    city: str
    country: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GeocodedAddress:
    """The point of an address with its precision and a label."""

    point: Point
    precision: Precision
    radius_m: int
    label: str
    note: str = ""


class Geocoder(Protocol):
    """Locates addresses; raises AddressRefused when not even the town is known."""

    async def locate(self, address: Address) -> GeocodedAddress: ...


class Cache(Protocol):
    """A cache of results by the SHA-256 of geocoder name and address."""

    async def get(self, key: bytes) -> GeocodedAddress | None: ...

    async def put(self, key: bytes, located: GeocodedAddress) -> None: ...


class GazetteerGeocoder:
    """Locates by the gazetteer only: the point of the postcode."""

    def __init__(self, gazetteer: Gazetteer) -> None:
        self._gazetteer = gazetteer

    async def locate(self, address: Address) -> GeocodedAddress:
        """Return the point of the address's postcode and town."""
        return _from_place(await _find_place(self._gazetteer, address))


async def _find_place(gazetteer: Gazetteer, address: Address) -> Place:
    """The place of an address; a search builds an index of towns first, so it takes a thread."""
    asked = address.country, address.postcode, address.city
    if written := gazetteer.find_as_written(*asked):
        return written
    return await asyncio.to_thread(gazetteer.find, *asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What a geocoder found; `streets` are the names under which it may be asked for."""

    point: Point
    precision: Precision
    country: str
    postcode: str
    streets: tuple[str, ...]
    number: str


class _UnusableAnswer(Exception):
    """The geocoder's answer cannot be used; the message contains no part of the address."""


class _HttpGeocoder(ABC):
    """The common part of Photon and Nominatim: cache, timeout, checks and fallback."""

    name: str
    path: str

    def __init__(
        self,
        *,
        url: str,
        client: httpx2.AsyncClient,
        gazetteer: Gazetteer,
        cache: Cache | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._url = url.rstrip("/")
        self._client = client
        self._gazetteer = gazetteer
        self._cache = cache
        self._timeout_s = timeout_s

    async def locate(self, address: Address) -> GeocodedAddress:
        """Return the point of the address, or that of its postcode if the geocoder fails."""
        place = await _find_place(self._gazetteer, address)
        if not address.street.strip():
            return _from_place(place)
        key = self._key(address, place)
        cached = await self._cache.get(key) if self._cache else None
        if cached:
            return replace(cached, note=place.note)
        try:
            located = await self._request(address, place)
        except (_UnusableAnswer, httpx2.HTTPError, TimeoutError) as failure:
            reason = (
                str(failure) if isinstance(failure, _UnusableAnswer) else type(failure).__name__
            )
            log.warning("geocoder %s: %s; the postcode's point is used", self.name, reason)
            return replace(_from_place(place), note=_join_notes(place.note, _fallback_note(place)))
        if self._cache:
            await self._cache.put(key, located)
        return located

    async def _request(self, address: Address, place: Place) -> GeocodedAddress:
        async with asyncio.timeout(self._timeout_s):
            await self._wait()
            answer = await self._get(self._parameters(address, place))
        try:
            answers = list(islice(self._parse(answer), ANSWERS_MAX))
        except (LookupError, TypeError, ValueError, AttributeError):
            raise _UnusableAnswer("the answer has another form than expected") from None
        point, precision = _best(answers, address, place)
        return GeocodedAddress(
            point=point,
            precision=precision,
            radius_m=ADDRESS_RADIUS_M if precision is Precision.ADDRESS else STREET_RADIUS_M,
            label=f"{address.street.strip()}, {place.label}",
            note=place.note,
        )

    async def _get(self, parameters: Mapping[str, str]) -> Any:
        url, body = f"{self._url}{self.path}", b""
        async with self._client.stream(
            "GET", url, params=parameters, headers=self._headers(), follow_redirects=False
        ) as answer:
            if answer.status_code != httpx2.codes.OK:
                raise _UnusableAnswer(f"status {answer.status_code}")
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MOST_BYTES:
                    raise _UnusableAnswer("the answer is too long")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise _UnusableAnswer("the answer is not JSON") from None

    def _key(self, address: Address, place: Place) -> bytes:
        parts = (self.name, CHECKS, place.country, place.postcode, place.town, address.street)
        return hashlib.sha256("\0".join(fold(part) for part in parts).encode()).digest()

    def _headers(self) -> dict[str, str]:
        return {"Accept": "application/json"}

    async def _wait(self) -> None:
        return

    @abstractmethod
    def _parameters(self, address: Address, place: Place) -> dict[str, str]: ...

    @abstractmethod
    def _parse(self, answer: Any) -> Iterator[_Answer]: ...


class Photon(_HttpGeocoder):
    """A Photon server at `url`, searched near the postcode's point."""

    name = "photon"
    path = "/api"

    def _parameters(self, address: Address, place: Place) -> dict[str, str]:
        return {
            "q": f"{address.street.strip()}, {place.label}",
            "lat": f"{place.point.lat:.5f}",
            "lon": f"{place.point.lon:.5f}",
            "limit": f"{ANSWERS_MAX}",
        }

    def _parse(self, answer: Any) -> Iterator[_Answer]:
        for feature in answer["features"]:
            lon, lat = feature["geometry"]["coordinates"]
            found = feature["properties"]
            yield _Answer(
                point=Point(lat, lon),
                precision=_precision_of_rank({"house": 30, "street": 26}.get(found["type"], 0)),
                country=found["countrycode"].upper(),
                postcode=str(found.get("postcode") or ""),
                streets=_texts(found, "street", "name", "locality", "district", "city"),
                number=str(found.get("housenumber") or ""),
            )


class Nominatim(_HttpGeocoder):
    """A Nominatim server at `url`; at most one request per second, with a user agent (its policy).

    The limit is per process: use the public server from one process only.
    """

    name = "nominatim"
    path = "/search"

    def __init__(
        self,
        *,
        url: str,
        user_agent: str,
        client: httpx2.AsyncClient,
        gazetteer: Gazetteer,
        cache: Cache | None = None,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(
            url=url, client=client, gazetteer=gazetteer, cache=cache, timeout_s=timeout_s
        )
        self._user_agent = user_agent
        self._clock, self._sleep = clock, sleep
        self._lock, self._next_request_at = asyncio.Lock(), -math.inf

    def _headers(self) -> dict[str, str]:
        return {**super()._headers(), "User-Agent": self._user_agent}

    async def _wait(self) -> None:
        async with self._lock:
            pause_s = self._next_request_at - self._clock()
            if pause_s > 0:
                await self._sleep(pause_s)
            self._next_request_at = self._clock() + NOMINATIM_PAUSE_S

    def _parameters(self, address: Address, place: Place) -> dict[str, str]:
        return {
            "street": address.street.strip(),
            "postalcode": place.postcode,
            "city": place.town,
            "countrycodes": place.country.lower(),
            "viewbox": _view_box(place.point),
            "format": "jsonv2",
            "addressdetails": "1",
            "limit": f"{ANSWERS_MAX}",
        }

    def _parse(self, answer: Any) -> Iterator[_Answer]:
        for found in answer:
            parts = found["address"]
            yield _Answer(
                point=Point(float(found["lat"]), float(found["lon"])),
                precision=_precision_of_rank(int(found["place_rank"])),
                country=parts["country_code"].upper(),
                postcode=str(parts.get("postcode") or ""),
                streets=_texts(parts, "road", "hamlet", "village", "suburb", "town", "city"),
                number=str(parts.get("house_number") or ""),
            )


def _best(answers: Sequence[_Answer], address: Address, place: Place) -> tuple[Point, Precision]:
    """Return the first house that is the one asked for, else the first part of its street."""
    problem = "the address was not found"
    best: tuple[Point, Precision] | None = None
    for answer in answers:
        try:
            precision = _confirmed_precision(answer, address, place)
        except _UnusableAnswer as unusable:
            problem = str(unusable)
            continue
        if precision is Precision.ADDRESS:
            return answer.point, precision
        best = best or (answer.point, precision)
    if best is None:
        raise _UnusableAnswer(problem)
    return best


def _confirmed_precision(answer: _Answer, address: Address, place: Place) -> Precision:
    """Return how exactly an answer is the address asked for. Raises _UnusableAnswer."""
    if answer.precision not in (Precision.ADDRESS, Precision.STREET):
        raise _UnusableAnswer("the answer is no more exact than the postcode")
    if answer.country != place.country:
        raise _UnusableAnswer("the answer lies in another country")
    if normalize_postcode(place.country, answer.postcode) != place.postcode:
        raise _UnusableAnswer("the answer has another postcode or none")
    if distance_m(answer.point, place.point) > FARTHEST_FROM_POSTCODE_M:
        raise _UnusableAnswer("the answer lies far from the postcode")
    street, number = split_street(address.street)
    asked, found = fold_street(street), [fold_street(name) for name in answer.streets]
    if asked in found:
        same = answer.precision is Precision.ADDRESS and is_same_number(number, answer.number)
        return Precision.ADDRESS if same else Precision.STREET
    if any(is_similar_street(asked, name) for name in found):
        return Precision.STREET
    raise _UnusableAnswer("the answer is another street")


def _precision_of_rank(rank: int) -> Precision:
    """Return the precision of a place rank: 30 is a house, 26 and 27 are streets."""
    if rank >= 28:
        return Precision.ADDRESS
    return Precision.STREET if rank >= 26 else Precision.TOWN


def _texts(found: Mapping[str, Any], *fields: str) -> tuple[str, ...]:
    return tuple(str(found[field]) for field in fields if found.get(field))


def _fallback_note(place: Place) -> str:
    return f"the street address could not be located; the middle of {place.label} was taken"


def _join_notes(*notes: str) -> str:
    return "; ".join(filter(None, notes))


def _view_box(point: Point, degrees: float = 0.3) -> str:
    west, east = max(point.lon - degrees, -180), min(point.lon + degrees, 180)
    south, north = max(point.lat - degrees, -90), min(point.lat + degrees, 90)
    return f"{west:.4f},{north:.4f},{east:.4f},{south:.4f}"


def _from_place(place: Place) -> GeocodedAddress:
    return GeocodedAddress(
        point=place.point,
        precision=place.precision,
        radius_m=place.radius_m,
        label=place.label,
        note=place.note,
    )
