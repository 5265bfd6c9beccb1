"""Invalid requests: every field in every wrong way gets a problem that names it."""

import json

from api.http.limits import BODY_MAX
from api.server.app import create_app
from tests.api.conftest import BOOKING

LONG = "x" * 3000


def changed(path, value):
    """The booking with one field changed; ... removes it."""
    body = json.loads(json.dumps(BOOKING))
    place = body
    *way, last = path.split(".")
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return body


WRONG = [
    ("package", ..., "is missing"),
    ("package", 7, "is not text"),
    ("package", "", "is too short"),
    ("package", None, "is not text"),
    ("package", LONG, "is longer than 60 characters"),
    ("package", "wifi\0setup", "U+0000"),
    ("customer", ..., "is missing"),
    ("customer", "Vera", "is not an object"),
    ("customer", [], "is not an object"),
    ("customer.name", ..., "is missing"),
    ("customer.name", "  ", "is too short"),
    ("customer.name", "x" * 201, "is longer than 200 characters"),
    ("customer.name", "Vera\nBeispiel", "U+000A"),
    ("customer.name", "Vera\x7f", "U+007F"),
    ("customer.name", "\ud800", "is not well-formed Unicode"),
    ("customer.name", 12, "is not text"),
    ("customer.name", True, "is not text"),
    ("customer.email", "vera", "is not a mail address"),
    ("customer.email", "vera@", "is not a mail address"),
    ("customer.email", "vera@example.com\r\nBcc: x@y.example", "U+000D"),
    ("customer.email", "x" * 250 + "@example.com", "is longer than 254 characters"),
    ("customer.phone", ..., "is missing"),
    ("customer.phone", "12", "is too short"),
    ("customer.phone", "0000", "is not a telephone number"),
    ("customer.phone", 41440001739, "is not text"),
    ("customer.phone", "+41 44 000 17 39\0", "U+0000"),
    ("customer.language", "de-CH", "is not an allowed value"),
    ("customer.language", "xx", "is not an allowed value"),
    ("customer.language", ["de"], "is not an allowed value"),
    ("customer.vip", True, "is not a field"),
    ("address.street", ..., "is missing"),
    ("address.street", "x" * 201, "is longer than 200 characters"),
    ("address.postcode", ..., "is missing"),
    ("address.postcode", 8001, "is not text"),
    ("address.postcode", "8001 8001 8001", "is longer than 12 characters"),
    ("address.city", ..., "is missing"),
    ("address.city", "x" * 121, "is longer than 120 characters"),
    ("address.city", "Zür\0ich", "U+0000"),
    ("address.country", ..., "is missing"),
    ("address.country", "FR", "is not an allowed value"),
    ("address.country", "ch", "is not an allowed value"),
    ("address.lat", ..., "is missing while"),
    ("address.lon", ..., "is missing while"),
    ("address.lat", "47.3", "is not a number"),
    ("address.lat", True, "is not a number"),
    ("address.lat", 91, "is too large"),
    ("address.lat", -90.5, "is too small"),
    ("address.lat", float("nan"), "is not a finite number"),
    ("address.lon", float("inf"), "is not a finite number"),
    ("address.lon", 181, "is too large"),
    ("address.lon", [8.5], "is not a number"),
    ("address.floor", 3, "is not a field"),
    ("notes", "x" * 2001, "is longer than 2000 characters"),
    ("notes", "ring\0twice", "U+0000"),
    ("notes", {"a": 1}, "is not text"),
    ("wishes", "soon", "is not a list"),
    ("wishes", ["never"], "is not an allowed value"),
    ("wishes", ["soon", "soon"], "contains a wish twice"),
    ("wishes", ["soon"] * 6, "has too many entries"),
    ("partner_reference", "A-1", "is only for partners"),
    ("partner_reference", "x" * 201, "is longer than 200 characters"),
    ("quote_id", "none", "is not an id"),
    ("quote_id", 7, "is not an id"),
    ("state", "completed", "is not a field"),
    ("price", {"amount": 1, "currency": "CHF"}, "is not a field"),
    ("partner_id", "0197f0a0-0000-7000-8000-000000000001", "is not a field"),
]


async def test_every_invalid_field_is_reported_with_its_cure(api, problem, owner):
    for path, value, problem_text in WRONG:
        text = json.dumps(changed(path, value))
        answer = await api.client().send(
            "POST", "/v1/bookings", content=text, headers={"Content-Type": "application/json"}
        )
        result = problem(answer, 422, "validation-failed")
        by_field = {error["field"]: error for error in result["errors"]}
        field = next((name for name in by_field if name.startswith(path)), None)
        assert field is not None, (path, value, result)
        assert problem_text in by_field[field]["problem"], (path, value, result)
        assert by_field[field]["cure"]
    assert await owner.fetchval("SELECT count(*) FROM bookings") == 0
    assert await owner.fetchval("SELECT count(*) FROM answers") == 0


async def test_a_field_name_that_is_not_unicode_is_refused(shared_api, problem):
    answer = await shared_api.client().send(
        "POST",
        "/v1/bookings",
        content=json.dumps(BOOKING | {"\ud800": 1}),
        headers={"Content-Type": "application/json"},
    )
    problem(answer, 422, "validation-failed")


async def test_all_invalid_fields_are_reported_at_once(shared_api, problem):
    body = {"package": 1, "customer": {"name": ""}, "address": {}, "extra": 1}
    result = problem(await shared_api.client().post("/v1/bookings", body), 422, "validation-failed")
    fields = {error["field"] for error in result["errors"]}
    assert {"package", "customer.name", "customer.email", "address.street", "extra"} <= fields


async def test_no_response_repeats_the_invalid_value(shared_api):
    body = changed("customer.phone", "Geheimnis-4711")
    assert "4711" not in (await shared_api.client().post("/v1/bookings", body)).text


ADDRESSES = [
    ({"postcode": "0000"}, "address.postcode"),
    ({"postcode": "9999"}, "address.postcode"),
    ({"postcode": "80-01"}, "address.postcode"),
    ({"lat": 8.541, "lon": 47.3667}, "address.lat"),
    ({"lat": 0, "lon": 0}, "address.lat"),
]


async def test_an_impossible_address_is_refused_with_a_hint(shared_api, problem):
    address = {k: v for k, v in BOOKING["address"].items() if k not in {"lat", "lon"}}
    for change, field in ADDRESSES:
        body = BOOKING | {"address": address | change}
        result = problem(
            await shared_api.client().post("/v1/bookings", body), 422, "address-refused"
        )
        assert result["errors"][0]["field"] == field
        assert result["errors"][0]["cure"]


async def test_an_unknown_postcode_suggests_known_ones(shared_api, problem):
    address = {"street": "Weg 1", "postcode": "8009", "city": "Zürich", "country": "CH"}
    result = problem(
        await shared_api.client().post("/v1/quotes", {"package": "wifi-setup", "address": address}),
        422,
        "address-refused",
    )
    assert any("8001" in known or "80" in known for known in result["errors"][0]["suggestions"])


async def test_swapped_coordinates_are_recognised(shared_api, problem):
    address = BOOKING["address"] | {"lat": 8.541, "lon": 47.3667}
    result = problem(
        await shared_api.client().post("/v1/bookings", BOOKING | {"address": address}),
        422,
        "address-refused",
    )
    assert "swapped" in result["detail"]


BODIES = [
    (b"{", "application/json", 400, "malformed-json"),
    (b"", "application/json", 422, "validation-failed"),
    (b"[]", "application/json", 422, "validation-failed"),
    (b"null", "application/json", 422, "validation-failed"),
    (b'"text"', "application/json", 422, "validation-failed"),
    (b"\xff\xfe", "application/json", 400, "malformed-json"),
    (b"[" * 60000, "application/json", 400, "malformed-json"),
    (b'{"package": ' + b"1" * 5000 + b"}", "application/json", 400, "malformed-json"),
    (b"{}", "application/json; charset=utf-8", 422, "validation-failed"),
    (b"{}", "text/plain", 415, "unsupported-media-type"),
    (b"package=wifi-setup", "application/x-www-form-urlencoded", 415, "unsupported-media-type"),
    (b"{}", "", 415, "unsupported-media-type"),
    (b'{"package":"' + b"x" * BODY_MAX + b'"}', "application/json", 413, "too-large"),
]


async def test_an_invalid_body_is_refused(shared_api, problem):
    for body, kind, status, code in BODIES:
        answer = await shared_api.client().send(
            "POST", "/v1/bookings", content=body, headers={"Content-Type": kind}
        )
        problem(answer, status, code)


async def test_a_body_without_a_declared_length_is_limited(shared_api, problem):
    async def endless():
        for _ in range(80):
            yield b"x" * 1024

    answer = await shared_api.client().send(
        "POST", "/v1/bookings", content=endless(), headers={"Content-Type": "application/json"}
    )
    problem(answer, 413, "too-large")


QUERIES = [
    ("/v1/packages", {}, "market"),
    ("/v1/packages", {"market": "FR"}, "market"),
    ("/v1/packages", {"market": "CH", "language": "xx"}, "language"),
    ("/v1/bookings", {"state": "gone"}, "state"),
    ("/v1/bookings", {"limit": "0"}, "limit"),
    ("/v1/bookings", {"limit": "101"}, "limit"),
    ("/v1/bookings", {"limit": "many"}, "limit"),
    ("/v1/bookings", {"cursor": "not ours"}, "cursor"),
    ("/v1/bookings", {"cursor": ""}, "cursor"),
    ("/v1/bookings", {"cursor": "\0"}, "cursor"),
    ("/v1/bookings", {"cursor": "MDAwMS0wMS0wMVQwMDowMDowMCsxNDowMCB4"}, "cursor"),
    ("/v1/bookings", {"cursor": "x" * 201}, "cursor"),
    ("/v1/bookings", {"partner_reference": "a\0b"}, "partner_reference"),
    ("/v1/bookings/{id}/decisions", {"friend": "\0"}, "friend"),
    ("/v1/bookings/{id}/events", {"after": "-1"}, "after"),
    ("/v1/bookings/{id}/events", {"after": str(2**31)}, "after"),
]


async def test_every_invalid_parameter_is_reported(api, problem):
    booking, desk = await api.book(), await api.operator()
    for path, params, field in QUERIES:
        answer = await desk.get(path.format(id=booking["id"]), **params)
        result = problem(answer, 422, "validation-failed")
        assert [error["field"] for error in result["errors"]] == [field], (path, params, result)


async def test_an_invalid_idempotency_key_is_refused(shared_api, problem):
    for key in ("", " ", "x" * 256, "a b", "Schlüssel"):
        headers = {"Idempotency-Key": key.encode("latin-1")}
        answer = await shared_api.client().send(
            "POST", "/v1/bookings", json=BOOKING, headers=headers
        )
        result = problem(answer, 422, "validation-failed")
        assert result["errors"][0]["field"] == "Idempotency-Key"


WORK = [
    ("appointment", {}, "starts_at"),
    ("appointment", {"starts_at": 1767225600}, "starts_at"),
    ("appointment", {"starts_at": "tomorrow"}, "starts_at"),
    ("appointment", {"starts_at": "2026-03-03T14:00:00"}, "starts_at"),
    ("appointment", {"starts_at": "2026-03-03"}, "starts_at"),
    ("appointment", {"starts_at": "9999-12-31T23:59:59Z"}, "starts_at"),
    ("appointment", {"starts_at": "0001-01-01T00:00:00+14:00"}, "starts_at"),
    ("complete", {"summary": "x"}, "minutes"),
    ("complete", {"summary": "x", "minutes": "50"}, "minutes"),
    ("complete", {"summary": "x", "minutes": 50.5}, "minutes"),
    ("complete", {"summary": "x", "minutes": -1}, "minutes"),
    ("complete", {"summary": "x", "minutes": 6001}, "minutes"),
    ("complete", {"summary": "", "minutes": 5}, "summary"),
    ("complete", {"summary": "x" * 2001, "minutes": 5}, "summary"),
    ("complete", {"summary": "a\0b", "minutes": 5}, "summary"),
    ("incomplete", {}, "reason"),
    ("incomplete", {"reason": ""}, "reason"),
    ("hand-back", {}, "reason"),
    ("hand-back", {"reason": "lazy"}, "reason"),
    ("hand-back", {"reason": "no_time", "note": 7}, "note"),
]


async def test_every_invalid_field_of_a_job_step_is_reported(api, problem):
    booking, _ = await api.win()
    friend = await api.friend("f1")
    for verb, body, field in WORK:
        answer = await friend.post(f"/v1/bookings/{booking['id']}/{verb}", body)
        result = problem(answer, 422, "validation-failed")
        assert result["errors"][0]["field"] == field, (verb, body, result)


RATINGS = [
    {},
    {"stars": 0},
    {"stars": 6},
    {"stars": "5"},
    {"stars": 4.5},
    {"stars": True},
    {"stars": 5, "comment": "x" * 1001},
    {"stars": 5, "comment": "\0"},
    {"stars": 5, "friend": "f1"},
]


async def test_an_invalid_rating_is_refused(api, problem):
    booking = await api.book()
    customer = api.client(booking["token"])
    for body in RATINGS:
        answer = await customer.post(f"/v1/bookings/{booking['id']}/rating", body)
        problem(answer, 422, "validation-failed")


async def test_a_package_not_sold_there_is_refused(api, problem):
    api.rt.catalogue.add([_without_switzerland(api.rt.packages["wifi-setup"])])
    result = problem(await api.client().post("/v1/bookings", BOOKING), 422, "package-not-sold-here")
    assert result["errors"][0]["field"] == "package"


def _without_switzerland(package):
    from dataclasses import replace

    return replace(
        package, version=2, prices={m: p for m, p in package.prices.items() if m != "CH"}
    )


async def test_a_quote_is_valid_until_it_expires_and_only_for_its_caller(api, clock, problem):
    from datetime import timedelta

    asked = {"package": "wifi-setup", "address": BOOKING["address"]}
    quote = (await api.client().post("/v1/quotes", asked)).json()
    assert quote["serviceable"] is True
    assert quote["helpers"] == "5+"
    assert quote["price"] == {"amount": 6900, "currency": "CHF"}
    body = BOOKING | {"quote_id": quote["id"]}
    assert (await api.client().post("/v1/bookings", body)).status_code == 201
    partner = await api.partner()
    problem(await partner.post("/v1/bookings", body), 404, "not-found")
    other = body | {"package": "wifi-coverage"}
    problem(await api.client().post("/v1/bookings", other), 409, "quote-expired")
    await clock.advance(timedelta(minutes=15))
    problem(await api.client().post("/v1/bookings", body), 409, "quote-expired")


async def test_an_app_without_a_runtime_has_its_document():
    assert create_app().openapi()["info"]["title"] == "tekkie"
