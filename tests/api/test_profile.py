"""The profile that a friend reads and changes."""

from datetime import timedelta
from typing import Any

import pytest

from data.records.ids import FriendId
from dispatch.flows.jobs import commands
from dispatch.flows.people import friends
from dispatch.rules.jobs import matching
from dispatch.rules.refusals import NotFound
from geo.point import Point
from geo.routing import RoutingFailed
from tests.builders import SIGNATURE, book_and_accept, friend_row, import_friends, north

PATH = "/v1/me/profile"


async def patch(caller, body):
    return await caller.send("PATCH", PATH, json=body)


async def test_a_friend_sees_all_stored_data_about_themselves(api):
    seen = (await (await api.friend("f1")).get(PATH)).json()
    assert seen == {
        "ref": "f1",
        "name": "F1 Muster",
        "email": "f1@example.org",
        "phone": "+41440000000",
        "tier": "friend",
        "market": "CH",
        "timezone": "Europe/Zurich",
        "languages": ["de", "en"],
        "radius_m": 20000,
        "base": {"lat": pytest.approx(47.3676, abs=1e-4), "lon": 8.541},
        "capacity": 20,
        "open_jobs": 0,
        "quiet": None,
        "week": None,
        "holidays": [],
        "areas": [],
        "state": "active",
        "paused": False,
        "certificates": seen["certificates"],
        "rating": {"stars": None, "count": 0},
        "alarm": "no_phone",
    }
    assert {one["code"]: one["name"] for one in seen["certificates"]} == {
        "mac": "Mac und macOS",
        "wifi": "WLAN und Heimnetz",
    }
    assert all(
        one["valid_until"] is None or one["valid_until"].endswith("Z")
        for one in seen["certificates"]
    )


async def test_certificates_are_named_in_the_language_that_is_read(api):
    me = await api.friend("f1")
    reader = {"Accept-Language": "fr-CH, de;q=0.5"}
    for method, body in [("GET", {}), ("PATCH", {"json": {"capacity": 4}})]:
        seen = (await me.send(method, PATH, headers=reader, **body)).json()
        names = {one["code"]: one["name"] for one in seen["certificates"]}
        assert names == {"mac": "Mac et macOS", "wifi": "Wi-Fi et réseau domestique"}


CIRCLE = {"kind": "circle", "lat": 47.05, "lon": 8.31, "radius_m": 5000}
SQUARE = [[8.4, 47.3], [8.5, 47.3], [8.5, 47.4], [8.4, 47.4]]


def drawn(*corners: list[Any]) -> dict[str, Any]:
    outline = {"type": "Polygon", "coordinates": [list(corners)]}
    return {"kind": "polygon", "outline": outline}


HOLED = {"kind": "polygon", "outline": {"type": "Polygon", "coordinates": [SQUARE, SQUARE]}}


def span(from_: str, until: str, day: str = "monday") -> dict[str, str]:
    return {"day": day, "from": from_, "until": until}


def holiday(from_: str, until: str) -> dict[str, str]:
    return {"from": from_, "until": until}


async def test_given_fields_change_and_all_others_stay(api, rt):
    me = await api.friend("f1")
    before = (await me.get(PATH)).json()
    change = {
        "radius_m": 8000,
        "base": {"lat": 47.3769, "lon": 8.5417},
        "quiet": {"from": "22:00", "until": "07:00"},
        "week": [
            {"day": "monday", "from": "08:00", "until": "12:00"},
            {"day": "monday", "from": "22:00", "until": "02:00"},
            {"day": "sunday", "from": "00:00", "until": "24:00"},
        ],
        "holidays": [{"from": "2026-12-24", "until": "2027-01-02"}],
        "paused": True,
        "languages": ["en", "fr"],
        "capacity": 4,
    }
    answer = await patch(me, change)
    assert answer.status_code == 200, answer.text
    changed = before | change | {"state": "paused"}
    assert answer.json() == changed == (await me.get(PATH)).json()
    assert rt.index.get(api.friends["f1"]).radius_m == 8000
    again = await patch(me, {"paused": False, "quiet": None, "week": None})
    assert again.json() == before | change | {"paused": False, "quiet": None, "week": None}
    assert (await patch(me, {})).json() == again.json()


async def test_a_paused_friend_gets_no_offer(api):
    await patch(await api.friend("f1"), {"paused": True})
    assert list(await api.offers(await api.book())) == ["f2", "f3", "f4", "f5"]


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"radius_m": 499}, "radius_m", "at least 500"),
        ({"radius_m": 100_001}, "radius_m", "at most 100000"),
        ({"radius_m": "8000"}, "radius_m", "whole number"),
        ({"radius_m": 8000.5}, "radius_m", "whole number"),
        ({"radius_m": None}, "radius_m", "omit it"),
        ({"radius": 8000}, "radius", "spelling"),
        ({"name": "Somebody else"}, "name", "not a field"),
        ({"base": {"lat": 47.4}}, "base.lon", "missing"),
        ({"base": {"lat": 91, "lon": 8}}, "base.lat", "at most 90"),
        ({"base": {"lat": 8.54, "lon": 47.37}}, "base", "swapped"),
        ({"base": {"lat": 52.52, "lon": 13.4}}, "base", "from the nearest place of CH"),
        ({"base": None}, "base", "omit it"),
        ({"quiet": {"from": "24:00", "until": "07:00"}}, "quiet.from", "form"),
        ({"quiet": {"from": "22:00", "until": "22:00"}}, "quiet.until", "paused"),
        ({"quiet": {"from": "22:00"}}, "quiet.until", "missing"),
        ({"quiet": "22:00-07:00"}, "quiet", "object"),
        ({"week": [span("08:00", "25:00")]}, "week.0.until", "form"),
        ({"week": [span("24:00", "07:00")]}, "week.0.from", "form"),
        ({"week": [span("08:00", "08:00")]}, "week.0.until", "whole day"),
        ({"week": [span("08:00", "12:00"), span("11:59", "13:00")]}, "week.1", "overlaps"),
        ({"week": [span("22:00", "07:00", "sunday"), span("06:00", "08:00")]}, "week.1", "overl"),
        ({"week": [span("08:00", "12:00", "caturday")]}, "week.0.day", "one of"),
        ({"week": [span("08:00", "12:00")] * 43}, "week", "at most 42"),
        ({"week": []}, "week", "paused"),
        ({"holidays": [holiday("2026-12-24", "2026-12-23")]}, "holidays.0.until", "before"),
        ({"holidays": [holiday("2026-12-24", "2036-12-24")]}, "holidays.0.until", "365 days"),
        ({"holidays": [holiday("2029-01-01", "2029-01-02")]}, "holidays.0.until", "too far"),
        ({"holidays": [holiday("2026-02-30", "2026-03-02")]}, "holidays.0.from", "no day"),
        ({"holidays": [holiday("1.3.2026", "2026-03-02")]}, "holidays.0.from", "form"),
        ({"holidays": [holiday("2026-12-24", "2026-12-26")] * 2}, "holidays.1", "overlaps"),
        ({"holidays": None}, "holidays", "omit it"),
        ({"areas": [CIRCLE | {"radius_m": 499}]}, "areas.0.radius_m", "at least 500"),
        ({"areas": [CIRCLE | {"radius_m": 60_000}]}, "areas.0.radius_m", "50000 at most"),
        ({"areas": [CIRCLE | {"lat": 8.54, "lon": 47.37}]}, "areas.0", "swapped"),
        ({"areas": [CIRCLE | {"minutes": 20}]}, "areas.0.minutes", "leave it out"),
        ({"areas": [{"kind": "circle", "lat": 47.4, "lon": 8.5}]}, "areas.0.radius_m", "needs"),
        ({"areas": [CIRCLE] * 6}, "areas", "at most 5"),
        ({"areas": [drawn([8.4, 47.3])]}, "areas.0.outline", "corners"),
        ({"areas": [drawn(*SQUARE[:2], SQUARE[3], SQUARE[2])]}, "areas.0.outline", "crosses"),
        ({"areas": [drawn(*[[8.5, 47.3]] * 501)]}, "areas.0.outline.coordinates.0", "at most"),
        ({"areas": [drawn(*[[8.5, 47.3]] * 300)]}, "areas.0.outline", "299 corners"),
        ({"areas": [drawn([8.5, 47.3], [8.501, 47.3], [8.5, 47.301])]}, "areas.0.outline", "small"),
        ({"areas": [drawn([6.5, 46.5], [9.5, 46.5], [9.5, 47.5])]}, "areas.0.outline", "large"),
        ({"areas": [drawn(*([y, x] for x, y in SQUARE))]}, "areas.0.outline", "swapped"),
        (
            {"areas": [drawn([171.0, -41.0], [171.1, -41.0], [171.1, -41.1])]},
            "areas.0.outline",
            "CH",
        ),
        ({"areas": [drawn(["NaN", 47.3], *SQUARE)]}, "areas.0.outline.coordinates.0.0.0", "number"),
        ({"areas": [HOLED]}, "areas.0.outline.coordinates", "holes"),
        ({"paused": "yes"}, "paused", ""),
        ({"languages": []}, "languages", "at least 1"),
        ({"languages": ["de", "de"]}, "languages", "once"),
        ({"languages": ["tlh"]}, "languages.0", "one of"),
        ({"capacity": 0}, "capacity", "at least 1"),
        ({"capacity": 21}, "capacity", "at most 20"),
    ],
)
async def test_an_invalid_profile_is_refused_by_field_with_a_cure(
    shared_api, problem, body, field, words
):
    me = await shared_api.friend("f1")
    before = (await me.get(PATH)).json()
    result = problem(await patch(me, body), 422, "validation-failed")
    [error] = [one for one in result["errors"] if one["field"] == field]
    assert words in f"{error['problem']}; {error['cure']}"
    assert (await me.get(PATH)).json() == before


async def test_capacity_cannot_be_less_than_the_open_jobs(api, rt, problem):
    await book_and_accept(rt)
    await book_and_accept(rt)
    me = await api.friend("f1")
    result = problem(await patch(me, {"capacity": 1}), 422, "validation-failed")
    assert result["errors"][0] == {
        "field": "capacity",
        "problem": "is less than the jobs you hold",
        "cure": "finish or hand back jobs first",
    }
    assert (await me.get(PATH)).json()["open_jobs"] == 2


async def test_stars_are_counted(api):
    booking, _ = await api.win("f1")
    me, at = await api.friend("f1"), f"/v1/bookings/{booking['id']}"
    await me.post(f"{at}/contacted")
    await me.post(
        f"{at}/complete", {"summary": "All online.", "minutes": 50, "signature": SIGNATURE}
    )
    await api.client(booking["token"]).post(f"{at}/rating", {"stars": 4})
    await me.post(f"{at}/customer-review", {"stars": 5})
    assert (await me.get(PATH)).json()["rating"] == {"stars": 4.0, "count": 1}


async def test_only_a_friend_has_a_profile(api, problem):
    problem(await api.client().get(PATH), 401, "unauthenticated")
    problem(await (await api.partner()).get(PATH), 403, "forbidden")
    problem(await patch(await api.operator(), {"paused": True}), 403, "forbidden")


async def test_an_unknown_friend_is_not_found(rt):
    with pytest.raises(NotFound):
        await friends.profile(rt, FriendId(rt.new_id()))


BASE, OTHER_BASE = {"lat": 47.37, "lon": 8.54}, {"lat": 47.38, "lon": 8.55}
DAY = timedelta(hours=24)


async def test_a_base_moves_once_in_24_hours(api, clock, problem):
    me = await api.friend("f1")
    assert (await patch(me, {"base": BASE})).json()["base"] == BASE
    await clock.advance(DAY - timedelta(microseconds=1))
    result = problem(await patch(me, {"base": OTHER_BASE, "capacity": 7}), 409, "base-moved-lately")
    assert result["errors"] == [
        {
            "field": "base",
            "problem": "You have moved your base point recently",
            "cure": "It can be moved again at 2026-03-03T09:00:00Z; leave it out until then.",
        }
    ]
    seen = (await me.get(PATH)).json()
    assert (seen["base"], seen["capacity"]) == (BASE, 20), "nothing of it was changed"
    assert (await patch(me, {"base": BASE, "capacity": 7})).json()["capacity"] == 7
    await clock.advance(timedelta(microseconds=1))
    assert (await patch(me, {"base": OTHER_BASE})).json()["base"] == OTHER_BASE
    problem(await patch(me, {"base": BASE}), 409, "base-moved-lately")


async def test_the_first_base_is_not_a_move(api, owner):
    me = await api.friend("f1")
    await owner.execute("UPDATE people SET lat = NULL, lon = NULL WHERE name = 'F1 Muster'")
    for base in (BASE, OTHER_BASE):
        assert (await patch(me, {"base": base})).json()["base"] == base


async def test_an_import_may_move_a_base_at_any_time(api, rt, problem):
    me = await api.friend("f1")
    for base in (north(10), north(20)):
        await import_friends(rt, [friend_row("f1", base)])
        assert (await me.get(PATH)).json()["base"]["lat"] == base.lat
    await patch(me, {"base": BASE})
    await import_friends(rt, [friend_row("f1", north(30))])
    assert (await me.get(PATH)).json()["base"]["lat"] == north(30).lat
    problem(await patch(me, {"base": OTHER_BASE}), 409, "base-moved-lately")


def shown(**given) -> dict[str, Any]:
    return dict.fromkeys(("kind", "lat", "lon", "radius_m", "minutes", "outline")) | given


async def test_areas_are_kept_as_drawn_and_minutes_without_a_server_are_a_circle(api, rt):
    me = await api.friend("f1")
    reach = {"kind": "minutes", "lat": 47.05, "lon": 8.31, "minutes": 30}
    answer = await patch(me, {"areas": [CIRCLE, drawn(*SQUARE), reach]})
    assert answer.status_code == 200, answer.text
    closed = {"type": "Polygon", "coordinates": [[*SQUARE, SQUARE[0]]]}
    first, second, third = answer.json()["areas"]
    assert (first, second) == (shown(**CIRCLE), shown(kind="polygon", outline=closed))
    assert third == shown(**reach, radius_m=third["radius_m"])
    travel = matching.travel_minutes(third["radius_m"], rt.policy)
    assert travel == 30
    assert rt.index.check() == []
    assert len(rt.index.get(api.friends["f1"]).areas) == 3


async def test_a_friend_is_asked_in_an_area_far_from_the_base(api, rt, owner):
    me = await api.friend("f1")
    await owner.execute("UPDATE friends SET radius_m = 500")
    await owner.execute("UPDATE people SET lat = 46.2, lon = 6.15 WHERE kind = 'friend'")
    await friends.refresh_index(rt, api.friends.values())
    booking = await api.book()
    assert await api.offers(booking) == {}
    area = {"kind": "circle", "lat": 47.3769, "lon": 8.5417, "radius_m": 30_000}
    assert (await patch(me, {"areas": [area]})).status_code == 200
    await commands.fire_due_timers(rt, 10)
    assert list(await api.offers(booking)) == ["f1"], "the unfilled booking is tried at once"


async def test_after_the_first_time_an_area_more_is_a_move_of_the_base(api, clock, problem):
    me = await api.friend("f1")
    other = CIRCLE | {"radius_m": 4000}
    for areas in ([CIRCLE], [other], []):
        assert (await patch(me, {"areas": areas})).status_code == 200
    for change in ({"areas": [CIRCLE]}, {"base": BASE}):
        result = problem(await patch(me, change), 409, "base-moved-lately")
        assert result["errors"][0]["field"] == next(iter(change))
    await clock.advance(DAY)
    assert (await patch(me, {"areas": [CIRCLE], "base": BASE})).status_code == 200
    problem(await patch(me, {"areas": [other]}), 409, "base-moved-lately")


class Roads:
    """A routing server that reaches a square, or fails; it counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Point, int]] = []
        self.fails = False

    async def reach(self, origin: Point, minutes: int):
        self.asked.append((origin, minutes))
        if self.fails:
            raise RoutingFailed("status 500")
        return tuple((x, y) for x, y in SQUARE)


async def test_minutes_become_an_outline_when_saved_and_a_failure_names_the_field(
    api, rt, clock, problem
):
    rt.router = roads = Roads()
    me = await api.friend("f1")
    reach = {"kind": "minutes", "lat": 47.35, "lon": 8.45, "minutes": 20}
    (kept,) = (await patch(me, {"areas": [reach]})).json()["areas"]
    assert kept["outline"]["coordinates"] == [[*SQUARE, SQUARE[0]]]
    roads.fails = True
    assert (await patch(me, {"areas": [reach]})).json()["areas"] == [kept]
    await api.offers(await api.book())
    assert roads.asked == [(Point(47.35, 8.45), 20)], "only a new area asks"
    await clock.advance(DAY)
    result = problem(
        await patch(me, {"areas": [reach, reach | {"minutes": 30}]}), 422, "validation-failed"
    )
    assert [one["field"] for one in result["errors"]] == ["areas.1.minutes"]
    assert (await me.get(PATH)).json()["areas"] == [kept]
