"""The public coverage map: correct, cached, and without personal data."""

from dataclasses import replace

import pytest
import shapely

from data.markets import Market
from data.records.ids import FriendId
from dispatch.flows.people import friends
from dispatch.flows.people.friends import ProfileChange
from dispatch.flows.places.coverage import PUBLIC_MAP_LIFE_S, PublicMaps
from geo.coverage import maps
from geo.point import Point
from tests.builders import ZURICH, friend_row, import_friends, import_neighbours, north

QUERY = {"package": "wifi-setup", "market": "CH"}
HOME = shapely.Point(ZURICH.lon, ZURICH.lat)


async def test_anybody_may_see_the_coverage_of_a_package(shared_api):
    answer = await shared_api.client().get("/v1/coverage", **QUERY)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/geo+json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    coverage = answer.json()
    assert set(coverage) == {"type", "features"}
    [many] = [one for one in coverage["features"] if one["properties"]["helpers"] == "5+"]
    assert many["properties"] == {"helpers": "5+", "package": "wifi-setup", "market": "CH"}
    assert shapely.geometry.shape(many["geometry"]).contains(HOME)


async def test_everybody_sees_the_same_map(shared_api):
    plain = (await shared_api.client().get("/v1/coverage", **QUERY)).text
    for caller in (
        await shared_api.operator(),
        await shared_api.partner(),
        await shared_api.friend("f1"),
    ):
        assert (await caller.get("/v1/coverage", **QUERY)).text == plain


async def test_no_friend_is_named_in_the_map(shared_api):
    text = (await shared_api.client().get("/v1/coverage", **QUERY)).text
    for ref, friend_id in shared_api.friends.items():
        assert str(friend_id) not in text
        assert f'"{ref}"' not in text


async def test_a_package_without_certified_friends_has_no_areas(shared_api):
    answer = await shared_api.client().get("/v1/coverage", package="wifi-setup", market="PL")
    assert answer.json() == {"type": "FeatureCollection", "features": []}


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ({"package": "nope", "market": "CH"}, "unknown-package", "package"),
        ({"market": "CH"}, "validation-failed", "package"),
        ({"package": "wifi-setup"}, "validation-failed", "market"),
        ({"package": "wifi-setup", "market": "FR"}, "validation-failed", "market"),
        ({"package": "wifi\x00setup", "market": "CH"}, "validation-failed", "package"),
    ],
)
async def test_an_invalid_query_is_refused_by_field(shared_api, problem, query, code, field):
    result = problem(await shared_api.client().get("/v1/coverage", **query), 422, code)
    assert [error["field"] for error in result["errors"]] == [field]


async def test_the_map_does_not_show_who_is_busy(rt):
    await import_neighbours(rt, 2, capacity=1)
    before = await PublicMaps(rt).areas("wifi-setup", Market.CH)
    for one in list(rt.index):
        rt.index.put(replace(one, open_jobs=1, live_offers=99))
    after = await PublicMaps(rt).areas("wifi-setup", Market.CH)
    assert [area.helpers for area in before] == ["1-4"]
    assert after == before


async def test_a_move_within_the_cell_does_not_change_the_map(rt):
    refs = await import_friends(rt, [friend_row("alone", Point(lat=47.3667, lon=8.5410))])
    before = await PublicMaps(rt).areas("wifi-setup", Market.CH)
    moved = ProfileChange(base=north(900), radius_m=17_000)
    await friends.change_profile(rt, FriendId(refs["alone"]), moved)
    assert await PublicMaps(rt).areas("wifi-setup", Market.CH) == before


async def test_a_paused_friend_is_on_no_map(rt):
    refs = await import_neighbours(rt, 1)
    await friends.change_profile(rt, refs["f1"], ProfileChange(paused=True))
    assert await PublicMaps(rt).areas("wifi-setup", Market.CH) == []


async def test_a_map_is_computed_once_in_a_quarter_of_an_hour(rt, monkeypatch):
    made = []

    def count(able, market, atlas):
        made.append(len(able))
        return []

    monkeypatch.setattr(maps, "public_areas", count)
    now = [1000.0]
    public = PublicMaps(rt, lambda: now[0])
    await public.areas("wifi-setup", Market.CH)
    await import_neighbours(rt, 3)
    now[0] += PUBLIC_MAP_LIFE_S
    await public.areas("wifi-setup", Market.CH)
    assert made == [0]
    now[0] += 1
    await public.areas("wifi-setup", Market.CH)
    assert made == [0, 3]
    await public.areas("wifi-setup", Market.DE)
    assert made == [0, 3, 0]
