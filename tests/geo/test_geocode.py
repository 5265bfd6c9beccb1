"""Geocoders against HTTP servers on loopback that record their requests."""

import asyncio
import json
import logging
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from geo.gazetteer import offline
from geo.gazetteer.offline import Gazetteer, UnknownPostcode
from geo.gazetteer.town_index import TownIndex
from geo.geocode import Address, GazetteerGeocoder, Nominatim, Photon
from geo.point import Point, Precision
from tests.geo.conftest import small_lines, write_compressed

HOME = Address(street="Langstrasse 12a", postcode="8004", city="Zürich", country="CH")
BUILDING = Point(47.3781, 8.5275)
POSTCODE = Point(47.3775, 8.5213)


class RecordingServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests = []
        self.status, self.body, self.headers = 200, b"{}", {}
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"

    def set_answer(self, content, status=200, **headers):
        self.body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.status, self.headers = status, headers


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        parts = urlsplit(self.path)
        parameters = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.server.requests.append((parts.path, parameters, dict(self.headers)))
        self.server.may_answer.wait(10)
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_):
        pass


class DictCache:
    def __init__(self):
        self.entries = {}

    async def get(self, key):
        return self.entries.get(key)

    async def put(self, key, located):
        self.entries[key] = located


@pytest.fixture
def server():
    server = RecordingServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.may_answer.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
async def client():
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield client


def feature(lat=BUILDING.lat, lon=BUILDING.lon, kind="house", country="CH", **changes):
    properties = {"type": kind, "countrycode": country, "postcode": "8004"} | (
        {"street": "Langstrasse", "housenumber": "12a"} if kind == "house" else {"name": "Langstr."}
    )
    point = {"type": "Point", "coordinates": [lon, lat]}
    return {"features": [{"geometry": point, "properties": properties | changes}]}


def result(lat=f"{BUILDING.lat}", lon=f"{BUILDING.lon}", rank=30, **changes):
    parts = {"country_code": "ch", "postcode": "8004", "road": "Langstrasse"}
    number = {"house_number": "12a"} if rank == 30 else {}
    return [{"lat": lat, "lon": lon, "place_rank": rank, "address": parts | number | changes}]


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


async def test_towns_are_searched_off_the_event_loop_and_only_if_they_must(tmp_path, monkeypatch):
    fresh = Gazetteer.load(write_compressed(tmp_path / "small.dat", small_lines()))
    built = []

    def build(*asked):
        built.append(threading.current_thread())
        return TownIndex(*asked)

    monkeypatch.setattr(offline, "TownIndex", build)
    for geocoder in (GazetteerGeocoder(fresh), Photon(url="", client=None, gazetteer=fresh)):
        for city in ("Zürich", "ZUERICH", "", " "):
            assert (await geocoder.locate(replace(HOME, street="", city=city))).point == POSTCODE
    assert built == []
    misspelt = replace(HOME, street="", city="Zurigo")
    found = [GazetteerGeocoder(fresh).locate(misspelt) for _ in range(5)]
    assert {one.point for one in await asyncio.gather(*found)} == {POSTCODE}
    with pytest.raises(UnknownPostcode):
        await GazetteerGeocoder(fresh).locate(replace(misspelt, postcode="9999"))
    assert len(built) == 1
    assert built[0] is not threading.main_thread()


async def test_photon_searches_near_the_postcode_and_returns_the_building(server, client, small):
    server.set_answer(feature())
    located = await photon(server, client, small).locate(HOME)
    assert (located.point, located.precision) == (BUILDING, Precision.ADDRESS)
    assert located.radius_m == 50
    assert located.label == "Langstrasse 12a, 8004 Zürich"
    [(path, parameters, _)] = server.requests
    assert path == "/api"
    assert parameters["q"] == "Langstrasse 12a, 8004 Zürich"
    assert (parameters["lat"], parameters["lon"], parameters["limit"]) == (
        "47.37750",
        "8.52130",
        "5",
    )


async def test_nominatim_gets_the_address_by_field_and_a_user_agent(server, client, small):
    server.set_answer(result())
    located = await nominatim(server, client, small).locate(HOME)
    assert (located.point, located.precision) == (BUILDING, Precision.ADDRESS)
    [(path, parameters, headers)] = server.requests
    assert path == "/search"
    assert headers["User-Agent"] == "tekkie (ops@example.org)"
    assert parameters["street"] == "Langstrasse 12a"
    assert parameters["postalcode"] == "8004"
    assert parameters["countrycodes"] == "ch"
    assert parameters["format"] == "jsonv2"


async def test_a_street_without_its_house_is_less_exact(server, client, small):
    server.set_answer(feature(kind="street"))
    assert (await photon(server, client, small).locate(HOME)).precision is Precision.STREET
    server.set_answer(result(rank=26))
    assert (await nominatim(server, client, small).locate(HOME)).precision is Precision.STREET


@pytest.mark.parametrize("number", ["12", "120a", "", "14-16", 7])
async def test_a_house_of_another_number_is_a_point_of_its_street(server, client, small, number):
    for geocoder, answer in (
        (photon(server, client, small), feature(housenumber=number)),
        (nominatim(server, client, small), result(house_number=number)),
    ):
        server.set_answer(answer)
        located = await geocoder.locate(HOME)
        assert (located.point, located.precision) == (BUILDING, Precision.STREET)
        assert located.radius_m == 500


async def test_of_several_answers_the_house_that_was_asked_for_is_taken(server, client, small):
    elsewhere, near = feature(postcode="8400", lat=47.5), feature(housenumber="14", lat=47.3779)
    server.set_answer({"features": [f["features"][0] for f in (elsewhere, near, feature())]})
    located = await photon(server, client, small).locate(HOME)
    assert (located.point, located.precision, located.note) == (BUILDING, Precision.ADDRESS, "")


async def test_a_misspelt_street_is_found_as_a_street(server, client, small):
    server.set_answer(feature())
    typed = replace(HOME, street="Lanstrasse 12a")
    assert (await photon(server, client, small).locate(typed)).precision is Precision.STREET


CASES = [
    ("Hauptstrasse 24", "8001", feature(lat=47.4991, lon=8.7241, street="Hauptstrasse",
        housenumber="24", postcode="8400"), Precision.POSTCODE),
    ("Langstrasse 23", "8004", feature(housenumber="230"), Precision.STREET),
    ("Bahnhofstrasse 12a", "8001", feature(street="Ganz Andere Gasse", housenumber="7",
        postcode="8001"), Precision.POSTCODE),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
async def test_a_house_that_was_not_asked_for_is_not_believed(server, client, small, case):
    street, postcode, answer, precision = case
    server.set_answer(answer)
    asked = Address(street=street, postcode=postcode, city="Zürich", country="CH")
    located = await photon(server, client, small).locate(asked)
    assert located.precision is precision
    assert bool(located.note) is (precision is Precision.POSTCODE)


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
    result(rank=16),
    result(lat="46.2", lon="6.1"),
    result(country_code="de"),
    result(postcode="8400"),
    result(postcode=""),
    result(road="Ganz Andere Gasse"),
    [{"lat": "47.37", "lon": "8.53", "place_rank": 30}],
    feature(postcode="8400"),
    feature(postcode=None),
    feature(street="Bahnhofstrasse"),
    feature(kind="street", name="Bahnhofplatz"),
    feature(postcode=8400),
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
    server.set_answer(answer)
    with caplog.at_level(logging.WARNING):
        for geocoder in (photon(server, client, small), nominatim(server, client, small)):
            located = await geocoder.locate(HOME)
            assert (located.point, located.precision) == (POSTCODE, Precision.POSTCODE)
            assert "could not be located; the middle of 8004 Zürich was taken" in located.note
    assert len(caplog.records) == 2
    assert "Langstrasse" not in caplog.text
    assert "8004" not in caplog.text


@pytest.mark.parametrize("status", [301, 403, 429, 500, 503])
async def test_a_refusal_falls_back_and_no_redirect_is_followed(server, client, small, status):
    server.set_answer(feature(), status, Location=f"{server.url}elsewhere")
    assert (await photon(server, client, small).locate(HOME)).point == POSTCODE
    assert len(server.requests) == 1


async def test_an_unavailable_geocoder_falls_back(client, small):
    away = Photon(url="http://127.0.0.1:9", client=client, gazetteer=small)
    assert (await away.locate(HOME)).point == POSTCODE


async def test_a_slow_geocoder_falls_back_in_time(server, client, small):
    server.may_answer.clear()
    slow = photon(server, client, small, timeout_s=0.05)
    located = await asyncio.wait_for(slow.locate(HOME), 5)
    assert located.point == POSTCODE


async def test_an_answer_is_cached_for_all_spellings_of_the_street(server, client, small):
    server.set_answer(feature())
    cache = DictCache()
    first = await photon(server, client, small, cache=cache).locate(HOME)
    again = Address(street="LANGSTRASSE 12a ", postcode="CH-8004", city="Zuerich", country="ch")
    assert await photon(server, client, small, cache=cache).locate(again) == first
    assert len(server.requests) == 1
    assert [len(key) for key in cache.entries] == [32]


async def test_a_cached_answer_notes_a_contradicting_town_too(server, client, small):
    server.set_answer(feature())
    geocoder, odd = photon(server, client, small, cache=DictCache()), replace(HOME, city="Bern")
    await geocoder.locate(HOME)
    assert "not to Bern" in (await geocoder.locate(odd)).note
    assert len(server.requests) == 1


async def test_a_fallback_is_not_cached(server, client, small):
    server.set_answer({"features": []})
    cache = DictCache()
    await photon(server, client, small, cache=cache).locate(HOME)
    assert cache.entries == {}


async def test_an_address_without_street_or_known_postcode_makes_no_request(server, client, small):
    nowhere = Address(street="  ", postcode="8004", city="", country="CH")
    assert (await photon(server, client, small).locate(nowhere)).point == POSTCODE
    unknown = Address(street="Weg 1", postcode="8999", city="", country="CH")
    with pytest.raises(UnknownPostcode):
        await photon(server, client, small).locate(unknown)
    assert server.requests == []


async def test_a_contradicting_town_is_noted_with_the_building_too(server, client, small):
    server.set_answer(feature())
    odd = Address(street="Langstrasse 12a", postcode="8004", city="Bern", country="CH")
    assert "not to Bern" in (await photon(server, client, small).locate(odd)).note


async def test_concurrent_requests_to_nominatim_are_sent_once_a_second(server, client, small):
    now, slept = 100.0, []

    async def sleep(seconds):
        nonlocal now
        slept.append(seconds)
        now += seconds

    server.set_answer(result())
    geocoder = nominatim(server, client, small, clock=lambda: now, sleep=sleep)
    await asyncio.gather(*(geocoder.locate(HOME) for _ in range(4)))
    assert slept == [1.0, 1.0, 1.0]
    assert len(server.requests) == 4
