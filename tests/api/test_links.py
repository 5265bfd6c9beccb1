"""Links of customers are revoked by their customer and by the desk."""

from uuid import UUID

from data.records.ids import BookingId
from dispatch.rules.jobs.customer_links import customer_token
from tests.api.conftest import BOOKING


def link(api, booking, generation):
    return customer_token(api.rt.settings.key(), BookingId(UUID(booking["id"])), generation)


async def test_a_renewed_link_makes_all_earlier_ones_invalid(api, problem):
    booking = await api.book()
    at, customer = f"/v1/bookings/{booking['id']}", api.client(booking["token"])
    stranger = api.client((await api.book())["token"])
    problem(await stranger.post(f"{at}/renew-link"), 404, "not-found")
    assert (await customer.get(at)).status_code == 200
    assert (await customer.post(f"{at}/renew-link")).status_code == 200
    for answer in (
        await customer.get(at),
        await customer.post(f"{at}/cancel", {}),
        await customer.post(f"{at}/renew-link"),
    ):
        problem(answer, 401, "unauthenticated")
    again = api.client(link(api, booking, 1))
    assert (await again.get(at)).json()["state"] == "open"
    desk = await api.operator()
    assert (await desk.post(f"{at}/renew-link")).status_code == 200
    problem(await again.get(at), 401, "unauthenticated")
    assert (await api.client(link(api, booking, 2)).get(at)).status_code == 200


async def test_a_repeated_booking_answers_with_its_link_as_long_as_that_is_valid(api):
    keyed = {"Idempotency_Key": "once"}
    first = await api.client().post("/v1/bookings", BOOKING, **keyed)
    again = await api.client().post("/v1/bookings", BOOKING, **keyed)
    assert again.json() == first.json()
    token = first.json()["customer_link"].rpartition("/")[2]
    at = f"/v1/bookings/{first.json()['id']}"
    assert (await api.client(token).post(f"{at}/renew-link")).status_code == 200
    again = await api.client().post("/v1/bookings", BOOKING, **keyed)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == first.json() | {"customer_link": None}


async def test_before_the_address_is_confirmed_no_link_is_renewed(api, owner, problem):
    booking = await api.book()
    await owner.execute("ALTER TABLE bookings DISABLE TRIGGER guard_update")
    await owner.execute("UPDATE bookings SET state = 'unconfirmed' WHERE id = $1", booking["id"])
    answer = await api.client(booking["token"]).post(f"/v1/bookings/{booking['id']}/renew-link")
    problem(answer, 409, "wrong-state")
