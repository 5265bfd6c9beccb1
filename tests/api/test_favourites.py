"""A customer books the friend of an earlier job again: that friend is asked first, and alone."""

import copy

from tests.api.conftest import BOOKING
from tests.builders import SIGNATURE, friend_row, import_friends, north


async def complete(api, ref="f1", **changes):
    """A booking that this friend has completed."""
    booking, _ = await api.win(ref, **changes)
    await finish(await api.friend(ref), booking)
    return booking


async def finish(friend, booking):
    at = f"/v1/bookings/{booking['id']}"
    await friend.post(f"{at}/contacted")
    done = {"summary": "Works again.", "minutes": 30, "signature": SIGNATURE}
    assert (await friend.post(f"{at}/complete", done)).json()["state"] == "completed"


async def book_again(api, earlier, **changes):
    """The same customer, with the link of the earlier booking, wants its friend again."""
    body = BOOKING | {"ask_first": earlier["id"]} | changes
    answer = await api.client(earlier["token"]).post("/v1/bookings", body)
    assert answer.status_code == 201, answer.text
    booking = answer.json()
    return booking | {"token": booking["customer_link"].rpartition("/")[2]}


async def test_the_friend_of_an_earlier_job_is_asked_first_and_both_sides_know(api):
    earlier = await complete(api, "f4")
    booking = await book_again(api, earlier)
    offers = await api.offers(booking)
    assert list(offers) == ["f4"]
    mine = (await (await api.friend("f4")).get("/v1/me/offers")).json()["items"]
    assert [one["asked_for_you"] for one in mine] == [True]
    at = f"/v1/bookings/{booking['id']}"
    shown = (await api.client(booking["token"]).get(at)).json()
    assert shown["asked_first"] == {"first_name": "F4", "until": mine[0]["expires_at"]}
    await (await api.friend("f4")).post(f"/v1/offers/{offers['f4']}/decline")
    assert list(await api.offers(booking)) == ["f4", "f1", "f2", "f3", "f5"]
    later = (await api.client(booking["token"]).get(at)).json()
    assert later["asked_first"] is None
    others = (await (await api.friend("f1")).get("/v1/me/offers")).json()["items"]
    assert [one["asked_for_you"] for one in others] == [False]


async def test_a_favourite_is_found_beyond_the_frame_and_one_who_may_not_be_asked_is_named(api):
    rows = [friend_row("far", north(15_000))]
    rows += [friend_row(f"n{n}", north(10 * n)) for n in range(1, 19)]
    api.friends |= await import_friends(api.rt, rows)
    first = await api.book()
    desk, far = await api.operator(), await api.friend("far")
    by_hand = {"friend": "far"}
    assert (await desk.post(f"/v1/bookings/{first['id']}/award", by_hand)).status_code == 200
    await finish(far, first)
    assert list(await api.offers(await book_again(api, first))) == ["far"]

    await far.send("PATCH", "/v1/me/profile", json={"paused": True})
    booking = await book_again(api, first)
    assert list(await api.offers(booking)) == ["n1", "n2", "n3", "n4"]
    at = f"/v1/bookings/{booking['id']}"
    (decision,) = (await desk.get(f"{at}/decisions")).json()
    assert {one["ref"]: one["outcome"] for one in decision["friends"]}["far"] == "INACTIVE"
    assert (await api.client(booking["token"]).get(at)).json()["asked_first"] is None


async def test_only_the_own_friend_of_a_completed_job_can_be_asked_first(api, problem):
    earlier, other = await complete(api, "f4"), copy.deepcopy(BOOKING)
    other["customer"]["email"] = "other@example.com"
    wanted = {"ask_first": earlier["id"]}
    own = api.client(earlier["token"])
    problem(await own.post("/v1/bookings", other | wanted), 409, "no-such-favourite")

    open_one = await api.book()
    for client, status, code in (
        (api.client(), 404, "not-found"),
        (api.client(open_one["token"]), 404, "not-found"),
        (await api.friend("f4"), 404, "not-found"),
        (await api.partner(), 404, "not-found"),
    ):
        problem(await client.post("/v1/bookings", BOOKING | wanted), status, code)
    unfinished = BOOKING | {"ask_first": open_one["id"]}
    answer = await api.client(open_one["token"]).post("/v1/bookings", unfinished)
    problem(answer, 409, "no-such-favourite")
