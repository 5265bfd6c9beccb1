"""The catalogue at the desk: versions, planned changes, packages of partners, bad input."""

import pytest

from data.enums import OperatorRole
from data.store.catalogue import count_versions
from dispatch.flows import catalogue
from dispatch.flows.catalogue import BEGINS_AFTER
from tests.api.conftest import BOOKING, expect

PACKAGES = "/v1/desk/packages"
WIFI = f"{PACKAGES}/wifi-setup"
TEA = f"{PACKAGES}/tea-making"


async def latest_of(desk, path=WIFI):
    """What a change of a package starts from, as its form would send it."""
    version = (await desk.get(path)).json()["versions"][0]
    kept = {
        name: version[name]
        for name in (
            "version",
            "active",
            "category",
            "tier",
            "tiers",
            "minutes",
            "min_age",
            "certificates",
            "texts",
        )
    }
    return kept | {"prices": {m: price["amount"] for m, price in version["prices"].items()}}


async def changed(desk, path=WIFI, **changes):
    return await desk.put(path, await latest_of(desk) | changes)


async def test_a_change_is_sold_some_seconds_later_and_listed_with_its_author(api, clock):
    desk = await api.operator()
    answer = (await changed(desk, minutes=75, prices={"CH": 8900})).json()
    assert [(one["version"], one["author"]) for one in answer["versions"]] == [
        (2, "Olga Pult"),
        (1, None),
    ]
    lines = {one["code"]: one for one in (await desk.get(PACKAGES)).json()["items"]}
    assert lines["wifi-setup"]["planned"] is not None
    for begun, amount in ((False, 6900), (True, 8900)):
        if begun:
            await clock.advance(BEGINS_AFTER)
        await catalogue.refresh(api.rt)
        sold = (await api.client().get("/v1/packages", market="CH")).json()["items"]
        [wifi] = [one for one in sold if one["code"] == "wifi-setup"]
        assert wifi["price"]["amount"] == amount
    assert [
        one
        for one in (await api.client().get("/v1/packages", market="PL")).json()["items"]
        if one["code"] == "wifi-setup"
    ] == []


async def test_the_same_change_again_writes_nothing_and_one_of_an_old_version_is_refused(api):
    desk = await api.operator()
    body = await latest_of(desk)
    assert (await desk.put(WIFI, body | {"minutes": 75})).status_code == 200
    refused = expect(await desk.put(WIFI, body | {"minutes": 80}), 409, "package-changed")
    assert refused["errors"][0]["field"] == "version"
    again = await latest_of(desk)
    assert len((await desk.put(WIFI, again)).json()["versions"]) == 2


async def test_a_planned_version_is_replaced_only_when_that_is_said(api):
    desk = await api.operator()
    planned = await changed(desk, minutes=75, valid_from="2030-01-01T00:00:00Z")
    assert planned.status_code == 200
    refused = await changed(desk, minutes=80)
    assert expect(refused, 409, "planned-version")["errors"][0]["field"] == "valid_from"
    replaced = await changed(desk, minutes=80, replaces_planned=True)
    assert replaced.status_code == 200


async def test_a_package_of_a_partner_is_sold_to_its_customers_only(api, clock):
    desk, partner = await api.operator(), await api.partner()
    [shop] = (await desk.get("/v1/desk/partners")).json()["items"]
    body = await latest_of(desk) | {"version": 0, "partner": shop["id"]}
    assert (await desk.put(TEA, body)).status_code == 200
    await clock.advance(BEGINS_AFTER)
    await catalogue.refresh(api.rt)
    other = await api.partner("Foto Huber")
    for caller, sold in ((partner, True), (other, False), (api.client(), False)):
        codes = {
            one["code"] for one in (await caller.get("/v1/packages", market="CH")).json()["items"]
        }
        assert ("tea-making" in codes) is sold
        quote = await caller.post(
            "/v1/quotes", {"package": "tea-making", "address": BOOKING["address"]}
        )
        map_ = await caller.get("/v1/coverage", package="tea-making", market="CH")
        made = await caller.post("/v1/bookings", BOOKING | {"package": "tea-making"})
        wanted = (201, 200, 201) if sold else (422, 422, 422)
        assert (quote.status_code, map_.status_code, made.status_code) == wanted
        assert "public" not in map_.headers["cache-control"]
    lines = {one["code"]: one for one in (await desk.get(PACKAGES)).json()["items"]}
    assert lines["tea-making"]["partner"] == "Radio Meier"


async def test_a_package_that_is_ended_keeps_its_name_on_its_bookings(api, clock):
    booking = await api.book()
    offer = (await api.offers(booking))["f1"]
    desk = await api.operator()
    assert (await changed(desk, active=False)).status_code == 200
    await clock.advance(BEGINS_AFTER)
    await catalogue.refresh(api.rt)
    expect(await api.client().post("/v1/bookings", BOOKING), 422, "unknown-package")
    friend = await api.friend("f1")
    [listed] = (await friend.get("/v1/me/offers")).json()["items"]
    assert (listed["id"], listed["package"]["name"]) == (offer, "WLAN einrichten")
    view = (await api.client(booking["token"]).get(f"/v1/bookings/{booking['id']}")).json()
    assert view["package_name"] == "WLAN einrichten"


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"version": -1}, "validation-failed", "version"),
        ({"version": 1.5}, "validation-failed", "version"),
        ({"category": "Wi-Fi!"}, "validation-failed", "category"),
        ({"category": "gardening"}, "unknown-category", "category"),
        ({"tier": "expert"}, "validation-failed", "tier"),
        ({"tiers": {"FR": "pro"}}, "validation-failed", "tiers.FR.[key]"),
        ({"minutes": 0}, "validation-failed", "minutes"),
        ({"minutes": 481}, "validation-failed", "minutes"),
        ({"min_age": 15}, "validation-failed", "min_age"),
        ({"certificates": ["tea"]}, "unknown-certificate", "certificates"),
        ({"certificates": ["wifi"] * 11}, "validation-failed", "certificates"),
        ({"prices": {}}, "price-refused", "prices"),
        ({"prices": {"CH": 1}}, "price-refused", "prices"),
        ({"prices": {"CH": -1}}, "validation-failed", "prices.CH"),
        ({"prices": {"CH": "69"}}, "validation-failed", "prices.CH"),
        ({"texts": {}}, "validation-failed", "texts"),
        ({"valid_from": "tomorrow"}, "validation-failed", "valid_from"),
        ({"valid_from": "2030-01-01T00:00:00"}, "validation-failed", "valid_from"),
        ({"partner": "0197f0a0-0000-7000-8000-000000000001"}, "validation-failed", "partner"),
        ({"colour": "red"}, "validation-failed", "colour"),
    ],
)
async def test_bad_input_names_its_field_and_changes_nothing(api, changes, code, field, owner):
    desk = await api.operator()
    before = await count_versions(owner)
    answer = await changed(desk, **changes)
    problem = expect(answer, 422, code)
    assert problem["errors"][0]["field"] == field
    assert (await count_versions(owner))[1] == before[1]


@pytest.mark.parametrize("name", ["", "x" * 81, "Wi-Fi\u0007", "  "])
async def test_bad_texts_are_refused_in_each_language(api, name):
    desk = await api.operator()
    body = await latest_of(desk)
    body["texts"]["pl"]["name"] = name
    problem = expect(await desk.put(WIFI, body), 422, "validation-failed")
    assert problem["errors"][0]["field"] == "texts.pl.name"


async def test_only_an_admin_changes_the_catalogue(api):
    viewer = await api.operator(OperatorRole.VIEWER)
    body = await latest_of(viewer)
    expect(await viewer.put(WIFI, body), 403, "forbidden")
    expect(await viewer.get(f"{PACKAGES}/none-such"), 404, "not-found")
    expect(await viewer.get(f"{PACKAGES}/Wi-Fi"), 404, "not-found")
