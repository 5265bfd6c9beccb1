"""Against real HTTP servers on loopback that remember what they were asked."""

import asyncio
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from geo.gazetteer.offline import UnknownPostcode
from geo.geocode import Address, GazetteerGeocoder, Nominatim, Photon
from geo.point import Point, Precision

HOME = Address(street="Langstrasse 12a", postcode="8004", city="Zürich", country="CH")
DOOR = Point(47.3781, 8.5275)
POSTCODE = Point(47.3775, 8.5213)


class Remembering(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked = []
        self.status, self.body, self.headers = 200, b"{}", {}
        self.held = threading.Event()
        self.held.set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"

    def answers(self, content, status=200, **headers):
        self.body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.status, self.headers = status, headers


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        parts = urlsplit(self.path)
        question = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.server.asked.append((parts.path, question, dict(self.headers)))
        self.server.held.wait(10)
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_):
        pass


class Memory:
    def __init__(self):
        self.known = {}

    async def get(self, key):
        return self.known.get(key)

    async def put(self, key, located):
        self.known[key] = located


@pytest.fixture
def server():
    server = Remembering()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.held.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
async def client():
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield client


def feature(lat=DOOR.lat, lon=DOOR.lon, kind="house", country="CH"):
    properties = {"type": kind, "countrycode": country}
    point = {"type": "Point", "coordinates": [lon, lat]}
    return {"features": [{"geometry": point, "properties": properties}]}


def photon(server, client, small, **more):
    return Photon(url=server.url, client=client, gazetteer=small, **more)


def nominatim(server, client, small, **more):
    agent = "tekkie (ops@example.org)"
    return Nominatim(url=server.url, user_agent=agent, client=client, gazetteer=small, **more)


async def test_offline_gives_the_point_of_the_postcode(small):
    located = await GazetteerGeocoder(small).locate(HOME)
    assert (located.point, located.precision) == (POSTCODE, Precision.POSTCODE)
    assert located.label == "8004 Zürich"
    with pytest.raises(UnknownPostcode):
        await GazetteerGeocoder(small).locate(
            Address(street="", postcode="9999", city="", country="CH")
        )


async def test_photon_is_asked_near_the_postcode_and_gives_the_door(server, client, small):
    server.answers(feature())
    located = await photon(server, client, small).locate(HOME)
    assert (located.point, located.precision) == (DOOR, Precision.ADDRESS)
    assert located.radius_m == 50
    assert located.label == "Langstrasse 12a, 8004 Zürich"
    [(path, question, _)] = server.asked
    assert path == "/api"
    assert question["q"] == "Langstrasse 12a, 8004 Zürich"
    assert (question["lat"], question["lon"], question["limit"]) == ("47.37750", "8.52130", "1")


async def test_nominatim_is_asked_by_field_and_told_who_asks(server, client, small):
    server.answers([{"lat": str(DOOR.lat), "lon": str(DOOR.lon), "place_rank": 30}])
    located = await nominatim(server, client, small).locate(HOME)
    assert (located.point, located.precision) == (DOOR, Precision.ADDRESS)
    [(path, question, headers)] = server.asked
    assert path == "/search"
    assert headers["User-Agent"] == "tekkie (ops@example.org)"
    assert question["street"] == "Langstrasse 12a"
    assert question["postalcode"] == "8004"
    assert question["countrycodes"] == "ch"
    assert question["format"] == "jsonv2"


async def test_a_street_without_its_house_is_less_exact(server, client, small):
    server.answers(feature(kind="street"))
    assert (await photon(server, client, small).locate(HOME)).precision is Precision.STREET
    server.answers([{"lat": "47.37", "lon": "8.53", "place_rank": 26}])
    assert (await nominatim(server, client, small).locate(HOME)).precision is Precision.STREET


USELESS = [
    feature(kind="city"),
    feature(lat=46.2, lon=6.1),
    feature(country="DE"),
    feature(lat=8.52, lon=47.37),
    feature(lat=200),
    feature(lat="47", lon="8"),
    {"features": []},
    {"features": [{}]},
    {"features": [{"geometry": {"coordinates": [1]}, "properties": {}}]},
    {"features": 7},
    [],
    [None],
    [{"lat": "x", "lon": "8", "place_rank": 30}],
    [{"lat": "47.37", "lon": "8.53", "place_rank": 16}],
    [{"lat": "NaN", "lon": "8.53", "place_rank": 30}],
    None,
    b"<html>",
    b"",
    b"[" * 100_000,
    b" " * 1_100_000,
]


@pytest.mark.parametrize("answer", USELESS)
async def test_a_useless_answer_falls_back_to_the_postcode_without_logging_the_address(
    server, client, small, caplog, answer
):
    server.answers(answer)
    with caplog.at_level(logging.WARNING):
        for geocoder in (photon(server, client, small), nominatim(server, client, small)):
            located = await geocoder.locate(HOME)
            assert (located.point, located.precision) == (POSTCODE, Precision.POSTCODE)
    assert len(caplog.records) == 2
    assert "Langstrasse" not in caplog.text
    assert "8004" not in caplog.text


@pytest.mark.parametrize("status", [301, 403, 429, 500, 503])
async def test_a_refusal_falls_back_and_no_redirect_is_followed(server, client, small, status):
    server.answers(feature(), status, Location=f"{server.url}elsewhere")
    assert (await photon(server, client, small).locate(HOME)).point == POSTCODE
    assert len(server.asked) == 1


async def test_a_geocoder_that_is_away_falls_back(client, small):
    away = Photon(url="http://127.0.0.1:9", client=client, gazetteer=small)
    assert (await away.locate(HOME)).point == POSTCODE


async def test_a_slow_geocoder_falls_back_in_time(server, client, small):
    server.held.clear()
    slow = photon(server, client, small, timeout_s=0.05)
    located = await asyncio.wait_for(slow.locate(HOME), 5)
    assert located.point == POSTCODE


async def test_an_answer_is_remembered_however_the_street_is_spelled(server, client, small):
    server.answers(feature())
    cache = Memory()
    first = await photon(server, client, small, cache=cache).locate(HOME)
    again = Address(street="LANGSTRASSE 12a ", postcode="CH-8004", city="Zuerich", country="ch")
    assert await photon(server, client, small, cache=cache).locate(again) == first
    assert len(server.asked) == 1
    assert [len(key) for key in cache.known] == [32]


async def test_a_fallback_is_not_remembered(server, client, small):
    server.answers({"features": []})
    cache = Memory()
    await photon(server, client, small, cache=cache).locate(HOME)
    assert cache.known == {}


async def test_an_address_without_street_or_postcode_asks_nobody(server, client, small):
    nowhere = Address(street="  ", postcode="8004", city="", country="CH")
    assert (await photon(server, client, small).locate(nowhere)).point == POSTCODE
    unknown = Address(street="Weg 1", postcode="8999", city="", country="CH")
    with pytest.raises(UnknownPostcode):
        await photon(server, client, small).locate(unknown)
    assert server.asked == []


async def test_a_contradicting_town_is_noted_with_the_door_too(server, client, small):
    server.answers(feature())
    odd = Address(street="Langstrasse 12a", postcode="8004", city="Bern", country="CH")
    assert "not to Bern" in (await photon(server, client, small).locate(odd)).note


async def test_nominatim_is_asked_once_a_second_however_many_ask(server, client, small):
    now, slept = 100.0, []

    async def sleep(seconds):
        nonlocal now
        slept.append(seconds)
        now += seconds

    server.answers([{"lat": str(DOOR.lat), "lon": str(DOOR.lon), "place_rank": 30}])
    geocoder = nominatim(server, client, small, clock=lambda: now, sleep=sleep)
    await asyncio.gather(*(geocoder.locate(HOME) for _ in range(4)))
    assert slept == [1.0, 1.0, 1.0]
    assert len(server.asked) == 4
