"""Before the award nobody learns who the customer is or where they live."""

import logging
from dataclasses import replace

from dispatch.rules.policy import RankBy
from geo import cells
from geo.point import Point
from tests.api.conftest import BOOKING
from tests.builders import ZURICH, friend_row, import_friends, north

PRIVATE = (
    "Vera",
    "Beispiel",
    "vera@example.com",
    "000 17 39",
    "0001739",
    "Bahnhofstrasse",
    "Third floor",
    "47.3667",
    "8.541",
)


def leaks(text):
    return [word for word in PRIVATE if word in text]


async def test_a_friend_with_an_offer_gets_nothing_that_identifies_the_customer(api):
    booking = await api.book()
    offers = await api.offers(booking)
    texts = []
    for ref in api.friends:
        friend = await api.friend(ref)
        for path in ("/v1/me/offers", "/v1/me/jobs", "/v1/me/why", f"/v1/bookings/{booking['id']}"):
            texts.append((await friend.get(path)).text)
    loser = await api.friend("f4")
    texts.append((await loser.post(f"/v1/offers/{offers['f4']}/decline")).text)
    assert [leaks(text) for text in texts if leaks(text)] == []


async def test_all_friends_get_the_same_cell_and_rounded_distances(api):
    await api.book()
    cells, exact = [], []
    for ref in ("f1", "f2", "f3", "f4"):
        [offer] = (await (await api.friend(ref)).get("/v1/me/offers")).json()["items"]
        cells.append(offer["cell"])
        exact.append(offer["distance_m"])
    assert all(cell == cells[0] for cell in cells)
    assert cells[0]["size_m"] == 1000
    assert all(distance % 100 == 0 for distance in exact)


async def test_the_losers_learn_no_more_than_before(api):
    booking, _ = await api.win("f1")
    offers = await api.offers(booking)
    loser = await api.friend("f2")
    texts = [
        (await loser.post(f"/v1/offers/{offers['f2']}/accept")).text,
        (await loser.get(f"/v1/bookings/{booking['id']}")).text,
        (await loser.get("/v1/me/jobs")).text,
    ]
    assert [leaks(text) for text in texts if leaks(text)] == []


async def test_events_and_lists_contain_no_personal_data(api):
    partner = await api.partner()
    booking, _ = await api.win("f1")
    desk, customer = await api.operator(), api.client(booking["token"])
    at = f"/v1/bookings/{booking['id']}"
    texts = [
        (await customer.get(at)).text,
        (await customer.get(f"{at}/events")).text,
        (await desk.get("/v1/bookings")).text,
        (await desk.get(f"{at}/events")).text,
        (await desk.get(f"{at}/decisions")).text,
        (await partner.get("/v1/bookings")).text,
    ]
    assert [leaks(text) for text in texts if leaks(text)] == []


async def test_the_awarded_friend_and_the_desk_see_the_customer(api):
    booking, _ = await api.win("f1")
    at = f"/v1/bookings/{booking['id']}"
    for caller in (await api.friend("f1"), await api.operator()):
        customer = (await caller.get(at)).json()["customer"]
        assert customer["name"] == "Vera Beispiel"
        assert customer["address"]["street"] == "Bahnhofstrasse 1"


async def test_a_refusal_logs_no_error_and_no_personal_data(api, caplog):
    with caplog.at_level(logging.DEBUG):
        booking, _ = await api.win("f1")
        offers = await api.offers(booking)
        await (await api.friend("f2")).post(f"/v1/offers/{offers['f2']}/accept")
        await api.client().get(f"/v1/bookings/{booking['id']}")
        await api.client().post("/v1/bookings", {"package": "Vera"})
    own_records = [r for r in caplog.records if r.name.split(".")[0] in {"api", "dispatch", "data"}]
    assert [r for r in own_records if r.levelno >= logging.WARNING] == []
    assert leaks(" ".join(r.getMessage() for r in own_records)) == []


async def test_the_events_for_a_customer_omit_the_friends(api):
    booking, _ = await api.win("f1")
    path = f"/v1/bookings/{booking['id']}/events"
    customer = api.client(booking["customer_link"].rsplit("/", 1)[1])
    own, whole = (await customer.get(path)).text, (await (await api.operator()).get(path)).text
    known = [str(friend_id) for friend_id in api.friends.values()]
    assert not any(friend_id in own for friend_id in known)
    assert any(friend_id in whole for friend_id in known)
    assert "booking.awarded" in own


async def outcomes_of(api, ref):
    return [
        line["outcome"]
        for line in (await (await api.friend(ref)).get("/v1/me/why")).json()["items"]
    ]


async def test_the_own_radius_does_not_measure_the_distance(api, owner):
    """A friend gets the same outcome whether or not the customer is within the radius."""
    await owner.execute("UPDATE friends SET radius_m = 500 WHERE ref IN ('f4', 'f6')")
    await owner.execute("UPDATE friends SET quiet_from = 0, quiet_until = 1439 WHERE ref ~ '[34]'")
    rows = [friend_row(f"g{n}", north(-50 * n)) for n in (1, 2)]
    api.friends |= await import_friends(api.rt, rows)
    booking = await api.book()
    desk = await api.operator()
    [decision] = (await desk.get(f"/v1/bookings/{booking['id']}/decisions")).json()
    exact = {line["ref"]: line["outcome"] for line in decision["friends"]}
    assert (exact["f5"], exact["f6"]) == ("RANKED_BELOW_K", "OUT_OF_RADIUS")
    assert await outcomes_of(api, "f5") == await outcomes_of(api, "f6") == ["NOT_NEAR_ENOUGH"]
    # Quiet hours are reported within the radius as beyond it.
    await owner.execute("UPDATE friends SET radius_m = 500 WHERE ref = 'f3'")
    await owner.execute("UPDATE people SET lat = lat + 0.01 WHERE name = 'F3 Muster'")
    await api.book()
    assert await outcomes_of(api, "f3") == ["QUIET_HOURS", "QUIET_HOURS"]
    assert await outcomes_of(api, "f4") == ["QUIET_HOURS", "QUIET_HOURS"]


async def test_a_blocked_friend_does_not_learn_that_the_customer_booked(api, owner):
    await owner.execute(
        """INSERT INTO blocks SELECT id, encode(sha256('vera@example.com'), 'hex'), true, moment()
        FROM friends WHERE ref = 'f1'"""
    )
    await import_friends(api.rt, [friend_row("f1", north(100), capacity=19)])
    booking = await api.book()
    desk = await api.operator()
    [decision] = (await desk.get(f"/v1/bookings/{booking['id']}/decisions", friend="f1")).json()
    assert decision["friends"][0]["outcome"] == "BLOCKED"
    assert await outcomes_of(api, "f1") == []
    assert await outcomes_of(api, "f2") == ["OFFERED"]


TIMES = {"id", "booking_id", "offered_at", "expires_at", "server_time", "at"}


async def everything_disclosed(api, point):
    """What every friend gets about a booking at this point, in offers and in `why`."""
    address = BOOKING["address"] | {"lat": point.lat, "lon": point.lon}
    booking = await api.book(address=address)
    disclosed = {}
    for ref in api.friends:
        friend = await api.friend(ref)
        for path in ("/v1/me/offers", "/v1/me/why"):
            items = (await friend.get(path)).json()["items"]
            disclosed[ref, path] = [
                {name: value for name, value in item.items() if name not in TIMES}
                for item in items
                if item["booking_id"] == booking["id"]
            ]
    return disclosed


async def two_points(api):
    """Two points at opposite corners of one cell, and friends on all sides of it, near and far."""
    centre = cells.centre(ZURICH)
    rows = [
        friend_row(
            f"n{n}",
            Point(centre.lat + up * n * 0.0011, centre.lon + right * n * 0.0016),
            radius_m=500 + 150 * n,
        )
        for n, (up, right) in enumerate([(1, 1), (1, -1), (-1, 1), (-1, -1)] * 4, start=1)
    ]
    api.friends |= await import_friends(api.rt, rows)
    found = [
        Point(round(centre.lat + side * 0.004, 6), round(centre.lon + side * 0.006, 6))
        for side in (1, -1)
    ]
    assert {cells.centre(point) for point in found} == {centre}
    return found


async def test_by_cell_no_response_depends_on_the_location_within_the_cell(api):
    one, other = await two_points(api)
    api.rt.policy = replace(api.rt.policy, rank_by=RankBy.CELL)
    assert await everything_disclosed(api, one) == await everything_disclosed(api, other)


async def test_by_door_the_selection_depends_on_the_location(api):
    one, other = await two_points(api)
    assert await everything_disclosed(api, one) != await everything_disclosed(api, other)
