"""Minutes of travel by routing servers on a transport that checks what it receives."""

import json
from itertools import pairwise
from math import dist
from urllib.parse import parse_qs

import httpx2
import pytest

from geo.outlines import VERTICES_MAX
from geo.point import Point, distance_m
from geo.routing import Osrm, RoutingFailed, Valhalla

HERE = Point(47.3769, 8.5417)
URL = "https://routing.example"


class Town:
    """A routing server whose roads lead everywhere at 60 km/h, but not east of a river."""

    def __init__(self) -> None:
        self.asked = 0
        self.status, self.body = 200, None

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        if self.status != 200 or self.body is not None:
            return httpx2.Response(self.status, content=self.body or b"")
        if request.url.path == "/isochrone":
            (asked,) = parse_qs(request.url.query.decode())["json"]
            return httpx2.Response(200, json=self.isochrone(json.loads(asked)))
        path = request.url.path.removeprefix("/table/v1/driving/")
        assert parse_qs(request.url.query.decode()) == {"sources": ["0"]}
        return httpx2.Response(200, json={"durations": [self.table(path)]})

    def isochrone(self, asked):
        (origin,), (contour,) = asked["locations"], asked["contours"]
        assert asked["costing"] == "auto"
        assert asked["polygons"] is True
        far = contour["time"] / 111
        ring = [
            (origin["lon"] + far * x / 250, origin["lat"] + far * y / 250)
            for x, y in [
                *((n, -250) for n in range(-250, 251)),
                *((250, n) for n in range(-250, 251)),
                *((-n, 250) for n in range(-250, 251)),
            ]
        ]
        geometry = {"type": "MultiPolygon", "coordinates": [[ring]]}
        return {"type": "FeatureCollection", "features": [{"geometry": geometry}]}

    def table(self, path: str):
        places = [Point(*map(float, reversed(one.split(",")))) for one in path.split(";")]
        assert 2 <= len(places) <= 100, "the most that an OSRM server takes"
        return [
            None if one.lon > HERE.lon + 0.05 else distance_m(places[0], one) / 1000 * 60
            for one in places
        ]


@pytest.fixture
async def town():
    return Town()


@pytest.fixture
async def client(town):
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(town.answer)) as client:
        yield client


async def test_valhalla_draws_the_outline_with_as_few_corners_as_allowed(town, client):
    ring = await Valhalla(URL, client).reach(HERE, 10)
    assert 3 <= len(ring) <= VERTICES_MAX
    assert max(y for _, y in ring) == pytest.approx(HERE.lat + 10 / 111, abs=0.001)
    assert min(x for x, _ in ring) == pytest.approx(HERE.lon - 10 / 111, abs=0.001)
    assert town.asked == 1


async def test_osrm_is_asked_for_times_and_no_point_lies_beyond_the_minutes(town, client):
    ring = await Osrm(URL + "/", client).reach(HERE, 10)
    away = [distance_m(HERE, Point(lat, lon)) for lon, lat in ring]
    assert max(away) <= 10_000
    west = [one for (lon, _), one in zip(ring, away, strict=True) if lon < HERE.lon - 0.01]
    assert min(west) > 7_000
    assert max(lon for lon, _ in ring) <= HERE.lon + 0.05, "there is no bridge"
    assert all(dist(one, other) > 0 for one, other in pairwise(ring))


@pytest.mark.parametrize("kind", [Valhalla, Osrm])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, None),
        (302, None),
        (200, b"<html>"),
        (200, b"{}"),
        (200, b'{"features": [], "durations": [[1, 2]]}'),
        (200, b'{"features": [{"geometry": {"type": "Point"}}], "durations": 7}'),
        (200, b" " * 2_000_001),
    ],
)
async def test_an_answer_of_no_use_is_a_failure(town, client, kind, status, body):
    town.status, town.body = status, body
    with pytest.raises(RoutingFailed):
        await kind(URL, client).reach(HERE, 10)
