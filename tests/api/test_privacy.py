"""Before the award nobody learns who the customer is or where she lives."""

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


async def test_an_asked_friend_learns_nothing_that_finds_the_customer(house):
    booking = await house.book()
    offers = await house.offers(booking)
    told = []
    for ref in house.friends:
        friend = await house.friend(ref)
        for path in ("/v1/me/offers", "/v1/me/jobs", "/v1/me/why", f"/v1/bookings/{booking['id']}"):
            told.append((await friend.get(path)).text)
    loser = await house.friend("f4")
    told.append((await loser.post(f"/v1/offers/{offers['f4']}/decline")).text)
    assert [leaks(text) for text in told if leaks(text)] == []


async def test_all_four_are_told_the_same_cell_and_only_steps_of_distance(house):
    await house.book()
    cells, exact = [], []
    for ref in ("f1", "f2", "f3", "f4"):
        [offer] = (await (await house.friend(ref)).get("/v1/me/offers")).json()["items"]
        cells.append(offer["cell"])
        exact.append(offer["distance_m"])
    assert all(cell == cells[0] for cell in cells)
    assert cells[0]["size_m"] == 1000
    assert all(away % 100 == 0 for away in exact)


async def test_the_losers_learn_no_more_than_before(house):
    booking, _ = await house.win("f1")
    offers = await house.offers(booking)
    loser = await house.friend("f2")
    told = [
        (await loser.post(f"/v1/offers/{offers['f2']}/accept")).text,
        (await loser.get(f"/v1/bookings/{booking['id']}")).text,
        (await loser.get("/v1/me/jobs")).text,
    ]
    assert [leaks(text) for text in told if leaks(text)] == []


async def test_events_lists_and_other_parties_name_nobody(house):
    partner = await house.partner()
    booking, _ = await house.win("f1")
    desk, customer = await house.operator(), house.client(booking["token"])
    at = f"/v1/bookings/{booking['id']}"
    told = [
        (await customer.get(at)).text,
        (await customer.get(f"{at}/events")).text,
        (await desk.get("/v1/bookings")).text,
        (await desk.get(f"{at}/events")).text,
        (await desk.get(f"{at}/decisions")).text,
        (await partner.get("/v1/bookings")).text,
    ]
    assert [leaks(text) for text in told if leaks(text)] == []


async def test_the_winner_and_the_desk_know_her(house):
    booking, _ = await house.win("f1")
    at = f"/v1/bookings/{booking['id']}"
    for caller in (await house.friend("f1"), await house.operator()):
        customer = (await caller.get(at)).json()["customer"]
        assert customer["name"] == "Vera Beispiel"
        assert customer["address"]["street"] == "Bahnhofstrasse 1"


async def test_a_refusal_is_no_error_and_the_log_names_nobody(house, caplog):
    with caplog.at_level(logging.DEBUG):
        booking, _ = await house.win("f1")
        offers = await house.offers(booking)
        await (await house.friend("f2")).post(f"/v1/offers/{offers['f2']}/accept")
        await house.client().get(f"/v1/bookings/{booking['id']}")
        await house.client().post("/v1/bookings", {"package": "Vera"})
    ours = [r for r in caplog.records if r.name.split(".")[0] in {"api", "dispatch", "data"}]
    assert [r for r in ours if r.levelno >= logging.WARNING] == []
    assert leaks(" ".join(r.getMessage() for r in ours)) == []


async def test_the_story_told_to_a_customer_leaves_its_friends_out(house):
    booking, _ = await house.win("f1")
    path = f"/v1/bookings/{booking['id']}/events"
    customer = house.client(booking["customer_link"].rsplit("/", 1)[1])
    hers, whole = (await customer.get(path)).text, (await (await house.operator()).get(path)).text
    known = [str(friend_id) for friend_id in house.friends.values()]
    assert not any(friend_id in hers for friend_id in known)
    assert any(friend_id in whole for friend_id in known)
    assert "booking.awarded" in hers


async def told_why(house, ref):
    return [
        line["outcome"]
        for line in (await (await house.friend(ref)).get("/v1/me/why")).json()["items"]
    ]


async def test_a_friends_own_radius_is_no_ruler(house, owner):
    """Whether she lives within it or not: he is told the same."""
    await owner.execute("UPDATE friends SET radius_m = 500 WHERE ref IN ('f4', 'f6')")
    await owner.execute("UPDATE friends SET quiet_from = 0, quiet_until = 1439 WHERE ref ~ '[34]'")
    rows = [friend_row(f"g{n}", north(-50 * n)) for n in (1, 2)]
    house.friends |= await import_friends(house.rt, rows)
    booking = await house.book()
    desk = await house.operator()
    [decision] = (await desk.get(f"/v1/bookings/{booking['id']}/decisions")).json()
    exact = {line["ref"]: line["outcome"] for line in decision["friends"]}
    assert (exact["f5"], exact["f6"]) == ("RANKED_BELOW_K", "OUT_OF_RADIUS")
    assert await told_why(house, "f5") == await told_why(house, "f6") == ["NOT_NEAR_ENOUGH"]
    # Nor is his pillow: he sleeps within his radius as he does beyond it.
    await owner.execute("UPDATE friends SET radius_m = 500 WHERE ref = 'f3'")
    await owner.execute("UPDATE people SET lat = lat + 0.01 WHERE name = 'F3 Muster'")
    await house.book()
    assert await told_why(house, "f3") == ["QUIET_HOURS", "QUIET_HOURS"]
    assert await told_why(house, "f4") == ["QUIET_HOURS", "QUIET_HOURS"]


async def test_a_friend_kept_apart_from_one_customer_does_not_learn_that_she_booked(house, owner):
    await owner.execute(
        """INSERT INTO blocks SELECT id, encode(sha256('vera@example.com'), 'hex'), true, moment()
        FROM friends WHERE ref = 'f1'"""
    )
    await import_friends(house.rt, [friend_row("f1", north(100), capacity=19)])
    booking = await house.book()
    desk = await house.operator()
    [decision] = (await desk.get(f"/v1/bookings/{booking['id']}/decisions", friend="f1")).json()
    assert decision["friends"][0]["outcome"] == "BLOCKED"
    assert await told_why(house, "f1") == []
    assert await told_why(house, "f2") == ["OFFERED"]


TIMES = {"id", "booking_id", "offered_at", "expires_at", "server_time", "at"}


async def all_that_is_told(house, point):
    """What every friend is told of a booking at this point, in his offers and in why."""
    address = BOOKING["address"] | {"lat": point.lat, "lon": point.lon}
    booking = await house.book(address=address)
    told = {}
    for ref in house.friends:
        friend = await house.friend(ref)
        for path in ("/v1/me/offers", "/v1/me/why"):
            items = (await friend.get(path)).json()["items"]
            told[ref, path] = [
                {name: value for name, value in item.items() if name not in TIMES}
                for item in items
                if item["booking_id"] == booking["id"]
            ]
    return told


async def doors(house):
    """Two doors at opposite corners of one cell, and friends on all sides of it, near and far."""
    centre = cells.centre(ZURICH)
    rows = [
        friend_row(
            f"n{n}",
            Point(centre.lat + up * n * 0.0011, centre.lon + right * n * 0.0016),
            radius_m=500 + 150 * n,
        )
        for n, (up, right) in enumerate([(1, 1), (1, -1), (-1, 1), (-1, -1)] * 4, start=1)
    ]
    house.friends |= await import_friends(house.rt, rows)
    found = [
        Point(round(centre.lat + side * 0.004, 6), round(centre.lon + side * 0.006, 6))
        for side in (1, -1)
    ]
    assert {cells.centre(door) for door in found} == {centre}
    return found


async def test_by_cell_nothing_that_a_friend_is_told_depends_on_where_in_it_she_lives(house):
    one, other = await doors(house)
    house.rt.policy = replace(house.rt.policy, rank_by=RankBy.CELL)
    assert await all_that_is_told(house, one) == await all_that_is_told(house, other)


async def test_by_door_who_was_asked_does(house):
    one, other = await doors(house)
    assert await all_that_is_told(house, one) != await all_that_is_told(house, other)
