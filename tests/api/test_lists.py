"""Lists: pages, filters and languages."""

import pytest

from api.http.languages import preferred_language
from data.markets import Language, Market
from geo.point import Point
from tests.api.conftest import BOOKING
from tests.builders import friend_row, import_friends


async def test_pages_contain_every_booking_once(api):
    desk = await api.operator()
    made = [(await api.book())["id"] for _ in range(7)]
    found, cursor = [], None
    for _ in range(10):
        params = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await desk.get("/v1/bookings", **params)).json()
        found += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        await api.book()  # what is new comes before the first page and disturbs no later one
    assert found == made[::-1]


async def test_a_full_page_without_more_rows_is_the_last(api):
    desk = await api.operator()
    for _ in range(2):
        await api.book()
    page = (await desk.get("/v1/bookings", limit=2)).json()
    assert len(page["items"]) == 2
    assert page["next_cursor"] is None


async def test_a_partner_sees_only_own_bookings(api):
    partner, other = await api.partner(), await api.partner("Elektro Huber")
    await api.book()
    await partner.post("/v1/bookings", BOOKING | {"partner_reference": "A-1"})
    await partner.post("/v1/bookings", BOOKING | {"partner_reference": "A-2"})
    await other.post("/v1/bookings", BOOKING | {"partner_reference": "A-1"})
    items = (await partner.get("/v1/bookings")).json()["items"]
    assert [item["partner_reference"] for item in items] == ["A-2", "A-1"]
    items = (await partner.get("/v1/bookings", partner_reference="A-1")).json()["items"]
    assert len(items) == 1
    items = (await (await api.operator()).get("/v1/bookings")).json()["items"]
    assert len(items) == 4


async def test_bookings_and_jobs_are_found_by_state(api):
    desk = await api.operator()
    booking, _ = await api.win("f1")
    await api.book()
    items = (await desk.get("/v1/bookings", state="awarded")).json()["items"]
    assert [item["id"] for item in items] == [booking["id"]]
    assert items[0]["friend"]["first_name"] == "F1"
    friend = await api.friend("f1")
    assert len((await friend.get("/v1/me/jobs", state="awarded")).json()["items"]) == 1
    assert (await friend.get("/v1/me/jobs", state="completed")).json()["items"] == []


async def test_a_friends_jobs_come_in_pages(api):
    for _ in range(3):
        await api.win("f1")
    friend = await api.friend("f1")
    first = (await friend.get("/v1/me/jobs", limit=2)).json()
    rest = (await friend.get("/v1/me/jobs", limit=2, cursor=first["next_cursor"])).json()
    assert len({job["booking_id"] for job in first["items"] + rest["items"]}) == 3
    assert rest["next_cursor"] is None


async def test_events_continue_after_the_given_number(api):
    booking, _ = await api.win("f1")
    customer = api.client(booking["token"])
    path = f"/v1/bookings/{booking['id']}/events"
    everything = (await customer.get(path)).json()["items"]
    first = (await customer.get(path, limit=2)).json()
    rest = (await customer.get(path, after=first["next_cursor"])).json()
    assert first["items"] + rest["items"] == everything
    assert (await customer.get(path, after=1000)).json() == {"items": [], "next_cursor": None}


SPOKEN = [
    ({}, None, "WLAN einrichten"),
    ({}, "fr-CH, en;q=0.8", "Installation du Wi-Fi"),
    ({}, "ru, en;q=0.5", "Wi-Fi setup"),
    ({}, "ru", "WLAN einrichten"),
    ({"language": "pl"}, "fr", "Konfiguracja Wi-Fi"),
]


async def test_the_catalogue_is_in_the_requested_language(api):
    for query, header, name in SPOKEN:
        headers = {"Accept-Language": header} if header else {}
        answer = await api.client().send(
            "GET", "/v1/packages", params={"market": "CH", **query}, headers=headers
        )
        found = {item["code"]: item for item in answer.json()["items"]}
        assert len(found) >= 20
        assert found["wifi-setup"]["name"] == name
        assert found["wifi-setup"]["price"] == {"amount": 6900, "currency": "CHF"}


async def test_the_catalogue_lists_all_markets_beside_the_packages_of_one(api):
    answer = (await api.client().get("/v1/packages", market="PL")).json()
    assert {item["price"]["currency"] for item in answer["items"]} == {"PLN"}
    assert answer["next_cursor"] is None
    assert [market["code"] for market in answer["markets"]] == [*Market]
    assert answer["markets"][0] == {
        "code": "CH",
        "currency": "CHF",
        "timezone": "Europe/Zurich",
        "languages": ["de", "fr", "it"],
        "calling_code": 41,
        "phone_example": "044 123 45 67",
        "postcode_example": "8004",
    }


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", None),
        ("*", None),
        ("de;q=0", None),
        ("de;q=0.1,it;q=0.9", Language.IT),
        ("EN-us", Language.EN),
        ("de;q=x,pl;q=0.1", Language.PL),
        ("fr;q=5, de", Language.FR),
        (";;;,,,", None),
    ],
)
def test_an_accept_language_header_is_parsed_leniently(header, wanted):
    assert preferred_language(header) == wanted


async def test_a_friend_far_away_was_not_considered(api):
    others = [friend_row(f"near{n}", Point(lat=47.37, lon=8.54)) for n in range(100)]
    await import_friends(api.rt, [friend_row("far", Point(lat=46.2, lon=6.15)), *others])
    booking = await api.book()
    desk = await api.operator()
    path = f"/v1/bookings/{booking['id']}/decisions"
    [decision] = (await desk.get(path, friend="far")).json()
    [line] = decision["friends"]
    assert line["outcome"] == "OUT_OF_FRAME"
    assert line["rank"] is None
    assert 220_000 < line["distance_m"] < 230_000
    assert (await desk.get(path, friend="nobody")).status_code == 404
