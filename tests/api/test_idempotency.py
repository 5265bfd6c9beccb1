"""Idempotency: a request takes effect once, however often and concurrently it arrives."""

import asyncio

from httpx2 import ASGITransport, AsyncClient

from api.server.app import create_app
from dispatch.flows.bootstrap import open_runtime
from tests.api.conftest import BASE, BOOKING
from tests.builders import SIGNATURE
from tests.conftest import settings_in

KEY = {"Idempotency_Key": "till-7-receipt-1"}
REPLAYED = "idempotent-replayed"


async def count(owner, table):
    return await owner.fetchval(f"SELECT count(*) FROM {table}")


async def test_a_repeat_gets_the_first_response(api, owner):
    first = await api.client().post("/v1/bookings", BOOKING, **KEY)
    second = await api.client().post("/v1/bookings", BOOKING, **KEY)
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert first.headers["location"] == second.headers["location"]
    assert REPLAYED not in first.headers
    assert second.headers[REPLAYED] == "true"
    assert await count(owner, "bookings") == 1


async def test_fifty_at_once_make_one_booking(api, owner):
    answers = await asyncio.gather(
        *(api.client().post("/v1/bookings", BOOKING, **KEY) for _ in range(50))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum(REPLAYED not in answer.headers for answer in answers) == 1
    assert await count(owner, "bookings") == 1
    assert await count(owner, "people") == 6 + 1


async def test_fifty_at_once_over_two_processes_make_one_booking(api, database, tmp_path, owner):
    settings = settings_in(tmp_path)
    async with open_runtime(settings, database, application="tests 2") as other:
        transport = ASGITransport(app=create_app(other))
        async with AsyncClient(transport=transport, base_url=BASE) as http:
            headers = {"Idempotency-Key": "twice"}
            answers = await asyncio.gather(
                *(
                    client.post("/v1/bookings", json=BOOKING, headers=headers)
                    for _ in range(25)
                    for client in (http, api.http)
                )
            )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert await count(owner, "bookings") == 1


async def test_the_same_fields_in_another_order_are_the_same_request(api):
    first = await api.client().post("/v1/bookings", BOOKING, **KEY)
    turned = dict(reversed(BOOKING.items()))
    assert (await api.client().post("/v1/bookings", turned, **KEY)).content == first.content


async def test_the_key_of_another_request_is_refused(api, problem):
    await api.client().post("/v1/bookings", BOOKING, **KEY)
    other = BOOKING | {"package": "wifi-coverage"}
    result = problem(
        await api.client().post("/v1/bookings", other, **KEY), 422, "idempotency-key-reused"
    )
    assert result["errors"][0]["field"] == "Idempotency-Key"


async def test_a_refused_request_leaves_its_key_free(api, problem):
    wrong = BOOKING | {"package": "no-such-package"}
    problem(await api.client().post("/v1/bookings", wrong, **KEY), 422, "unknown-package")
    assert (await api.client().post("/v1/bookings", BOOKING, **KEY)).status_code == 201


async def test_keys_of_two_partners_are_independent(api, owner):
    for name in ("Radio Meier", "Elektro Huber"):
        answer = await (await api.partner(name)).post("/v1/bookings", BOOKING, **KEY)
        assert REPLAYED not in answer.headers
    assert await count(owner, "bookings") == 2


async def test_the_stored_response_has_no_secrets_and_no_personal_data(api, owner):
    answer = await api.client().post("/v1/bookings", BOOKING, **KEY)
    kept = str(await owner.fetchval("SELECT body FROM answers"))
    assert answer.json()["customer_link"].rpartition("/")[2] not in kept
    for private in ("Vera", "Beispiel", "vera@example.com", "440001739", "Bahnhofstrasse", "8.541"):
        assert private not in kept


async def test_a_partners_reference_is_unique(api, problem, owner):
    partner = await api.partner()
    first = await partner.post("/v1/bookings", BOOKING | {"partner_reference": "A-1"})
    assert first.json()["partner_reference"] == "A-1"
    result = problem(
        await partner.post("/v1/bookings", BOOKING | {"partner_reference": "A-1"}),
        409,
        "reference-taken",
    )
    assert first.json()["id"] in result["detail"]
    other = await api.partner("Elektro Huber")
    assert (
        await other.post("/v1/bookings", BOOKING | {"partner_reference": "A-1"})
    ).status_code == 201
    assert await count(owner, "bookings") == 2


async def test_one_reference_ten_times_at_once_is_one_booking(api, owner):
    partner = await api.partner()
    body = BOOKING | {"partner_reference": "A-1"}
    answers = await asyncio.gather(*(partner.post("/v1/bookings", body) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    assert await count(owner, "bookings") == 1


async def test_one_reference_over_two_processes_is_one_booking(api, database, tmp_path, owner):
    partner = await api.partner()
    headers = {"Authorization": f"Bearer {partner.token}"}
    settings = settings_in(tmp_path)
    async with open_runtime(settings, database, application="tests 2") as other:
        transport = ASGITransport(app=create_app(other))
        async with AsyncClient(transport=transport, base_url=BASE) as http:
            for number in range(10):
                body = BOOKING | {"partner_reference": f"B-{number}"}
                answers = await asyncio.gather(
                    http.post("/v1/bookings", json=body, headers=headers),
                    api.http.post("/v1/bookings", json=body, headers=headers),
                )
                statuses = sorted(answer.status_code for answer in answers)
                assert statuses == [201, 409], [answer.text for answer in answers]
    assert await count(owner, "bookings") == 10


async def test_a_rating_may_be_repeated_with_its_key(api):
    booking, _ = await api.win()
    friend, customer = await api.friend("f1"), api.client(booking["token"])
    at = f"/v1/bookings/{booking['id']}"
    await friend.post(f"{at}/contacted")
    await friend.post(f"{at}/complete", {"summary": "Done.", "minutes": 10, "signature": SIGNATURE})
    body = {"stars": 5, "comment": "Vera says thanks"}
    first = await customer.post(f"{at}/rating", body, **KEY)
    second = await customer.post(f"{at}/rating", body, **KEY)
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert second.headers[REPLAYED] == "true"


async def test_a_quote_repeated_with_its_key_is_the_same_quote(api):
    body = {
        "package": "wifi-setup",
        "address": {k: BOOKING["address"][k] for k in ("street", "postcode", "city", "country")},
    }
    client = api.client()
    first = await client.post("/v1/quotes", body, Idempotency_Key="my-quote")
    again = await client.post("/v1/quotes", body, Idempotency_Key="my-quote")
    other = await client.post("/v1/quotes", body)
    assert first.status_code == again.status_code == other.status_code == 201
    assert again.json() == first.json() != other.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    changed = await client.post(
        "/v1/quotes", body | {"package": "new-mac"}, Idempotency_Key="my-quote"
    )
    assert changed.status_code == 422
    assert changed.json()["code"] == "idempotency-key-reused"
