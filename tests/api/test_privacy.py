"""Before the award nobody learns who the customer is or where she lives."""

import logging

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
