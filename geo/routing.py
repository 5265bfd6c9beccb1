"""How far one comes in some minutes: by a routing server if one is configured, else as the crow.

A server is asked when an area is saved, never while friends are searched for.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from math import cos, pi, radians, sin
from typing import Any, Final, Protocol

import httpx2

from geo.areas import METRES_A_DEGREE, Ring
from geo.outlines import simplify
from geo.point import Point

TIMEOUT_S: Final = 8.0
MOST_BYTES: Final = 2_000_000
RAYS, STEPS = 16, 6
FASTEST_M_A_MINUTE: Final = 1_500.0


class RoutingFailed(Exception):
    """The routing server did not answer, or not with an outline."""


class Router(Protocol):
    """Finds what can be reached from a point by road within some minutes."""

    async def reach(self, origin: Point, minutes: int) -> Ring:
        """Return the outline. Raises RoutingFailed."""
        ...


class Valhalla:
    """The isochrones of a Valhalla server."""

    def __init__(self, url: str, client: httpx2.AsyncClient) -> None:
        self._url, self._client = url.rstrip("/"), client

    async def reach(self, origin: Point, minutes: int) -> Ring:
        """Return the outline that the server draws; of several the first, without its holes."""
        asked = {
            "locations": [{"lat": origin.lat, "lon": origin.lon}],
            "costing": "auto",
            "contours": [{"time": minutes}],
            "polygons": True,
            "denoise": 1.0,
        }
        answer = await _get(self._client, f"{self._url}/isochrone", {"json": json.dumps(asked)})
        try:
            shape = answer["features"][0]["geometry"]
            rings = shape["coordinates"]
            outer = rings[0][0] if shape["type"] == "MultiPolygon" else rings[0]
            return simplify([(float(x), float(y)) for x, y in outer])
        except (LookupError, TypeError, ValueError, AttributeError):
            raise RoutingFailed("the answer has another form than expected") from None


class Osrm:
    """The travel times of an OSRM server, which has no isochrones: those to points on rays."""

    def __init__(self, url: str, client: httpx2.AsyncClient) -> None:
        self._url, self._client = url.rstrip("/"), client

    async def reach(self, origin: Point, minutes: int) -> Ring:
        """Return the outline through the farthest point of each ray that is reached in time."""
        rays = [_ray(origin, number, minutes) for number in range(RAYS)]
        places = [origin, *(point for ray in rays for point in ray)]
        path = ";".join(f"{one.lon:.6f},{one.lat:.6f}" for one in places)
        answer = await _get(self._client, f"{self._url}/table/v1/driving/{path}", {"sources": "0"})
        try:
            times = [None if one is None else float(one) for one in answer["durations"][0]]
        except (LookupError, TypeError, ValueError):
            times = []
        if len(times) != len(places):
            raise RoutingFailed("the answer has another form than expected")
        return tuple(
            _farthest(ray, times[1 + STEPS * n : 1 + STEPS * (n + 1)], minutes)
            for n, ray in enumerate(rays)
        )


def _ray(origin: Point, number: int, minutes: int) -> list[Point]:
    bearing = 2 * pi * number / RAYS
    wide = METRES_A_DEGREE * cos(radians(origin.lat))
    steps = [FASTEST_M_A_MINUTE * minutes * step / STEPS for step in range(1, STEPS + 1)]
    return [
        Point(
            origin.lat + far * cos(bearing) / METRES_A_DEGREE,
            origin.lon + far * sin(bearing) / wide,
        )
        for far in steps
    ]


def _farthest(
    ray: Sequence[Point], times: Sequence[float | None], minutes: int
) -> tuple[float, float]:
    """The last point in time; half way to the first one where none is."""
    in_time = [
        one for one, t in zip(ray, times, strict=True) if t is not None and t <= minutes * 60
    ]
    last = in_time[-1] if in_time else ray[0]
    return round(last.lon, 6), round(last.lat, 6)


async def _get(client: httpx2.AsyncClient, url: str, parameters: dict[str, str]) -> Any:
    body = b""
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            client.stream("GET", url, params=parameters, follow_redirects=False) as answer,
        ):
            if answer.status_code != httpx2.codes.OK:
                raise RoutingFailed(f"status {answer.status_code}")
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MOST_BYTES:
                    raise RoutingFailed("the answer is too long")
        return json.loads(body)
    except (httpx2.HTTPError, TimeoutError) as failure:
        raise RoutingFailed(type(failure).__name__) from None
    except (ValueError, RecursionError):
        raise RoutingFailed("the answer is not JSON") from None
