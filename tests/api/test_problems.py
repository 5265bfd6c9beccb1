"""Problems: every kind has one status and one code, and discloses no internals."""

import asyncio
import json
import logging

import pytest

from api.http import problems
from data.db import (
    ConstraintViolation,
    DatabaseBusy,
    DatabaseConflict,
    DatabaseFull,
    DatabaseUnavailable,
)
from dispatch.flows.group_commit import Overloaded, group_commit
from dispatch.flows.jobs import commands
from dispatch.rules.refusals import NotFound, Refused
from tests.api.conftest import BOOKING
from tests.conftest import end_sessions

SECRET = "/var/lib/postgresql/secret.sock"


def every_refusal(kind=Refused):
    for refusal in kind.__subclasses__():
        yield refusal
        yield from every_refusal(refusal)


def test_every_refusal_of_the_rules_has_its_status():
    outside_http = {"name-taken"}
    unmapped = {
        refusal.__name__
        for refusal in every_refusal()
        if refusal.code not in outside_http
        and refusal.__module__.startswith("dispatch")
        and problems.KINDS.keys().isdisjoint(refusal.__mro__)
        and refusal.code != "refused"
    }
    # Raised only by imports of friends, and reported as a field by the profile's route.
    of_fields = {"CapacityTooLow", "BeyondLimit", "PlanInvalid", "AreaInvalid"}
    assert unmapped == {"EmailTaken"} | of_fields


def test_names_are_unique_and_statuses_sensible():
    codes = [kind.code for kind in problems.KINDS.values()]
    assert len(codes) == len(set(codes))
    for kind in problems.KINDS.values():
        assert 400 <= kind.status <= 599
        assert kind.title
        assert kind.type == f"urn:tekkie:problem:{kind.code}"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DatabaseUnavailable(SECRET), "database-away"),
        (DatabaseBusy(SECRET), "database-busy"),
        (DatabaseConflict(SECRET), "database-conflict"),
        (DatabaseFull(SECRET), "database-full"),
        (Overloaded(SECRET), "overloaded"),
    ],
)
async def test_a_temporary_failure_is_503_with_retry_after(shared_api, monkeypatch, error, code):
    async def fails(*_, **__):
        raise error

    monkeypatch.setattr(commands, "book", fails)
    answer = await shared_api.client().post("/v1/bookings", BOOKING)
    assert answer.status_code == 503
    assert answer.json()["code"] == code
    assert int(answer.headers["retry-after"]) >= 1
    assert SECRET not in answer.text


@pytest.mark.parametrize("error", [RuntimeError(SECRET), ConstraintViolation("awards_one_living")])
async def test_an_unexpected_error_is_500_with_a_request_id_only(
    shared_api, monkeypatch, caplog, error
):
    async def fails(*_, **__):
        raise error

    monkeypatch.setattr(commands, "book", fails)
    with caplog.at_level(logging.ERROR):
        answer = await shared_api.client().post(
            "/v1/bookings", BOOKING, X_Request_Id="request-4711"
        )
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"
    assert answer.headers["x-request-id"] == "request-4711"
    assert answer.headers["x-content-type-options"] == "nosniff"
    for inside in (SECRET, "RuntimeError", "awards_one_living", "Traceback"):
        assert inside not in answer.text
    assert [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_an_unavailable_database_is_503_and_recovers_by_itself(api, owner, problem):
    friend = await api.friend("f1")
    await end_sessions(owner)
    answers = [await friend.get("/v1/me/offers") for _ in range(12)]
    assert {answer.status_code for answer in answers} <= {200, 503}
    for answer in answers:
        if answer.status_code == 503:
            problem(answer, 503, "database-away")
    assert answers[-1].status_code == 200


async def test_a_read_only_database_is_503_until_a_new_connection_accepts_writes(api, rt, problem):
    async with rt.pool.acquire() as connection:
        await connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    problem(await api.client().post("/v1/bookings", BOOKING), 503, "database-away")
    assert (await api.client().post("/v1/bookings", BOOKING)).status_code == 201


async def test_an_overloaded_server_answers_503_at_once(api, monkeypatch, problem):
    monkeypatch.setattr("dispatch.flows.group_commit.QUEUE_MAX", 0)
    problem(await api.client().post("/v1/bookings", BOOKING), 503, "overloaded")


async def test_unknown_paths_and_methods_are_problems_too(shared_api, problem):
    problem(await shared_api.client().get("/v1/nothing"), 404, "not-found")
    problem(await shared_api.client().get("/v1/bookings/"), 404, "not-found")
    wrong = await shared_api.client().send("PUT", "/v1/bookings")
    problem(wrong, 405, "method-not-allowed")
    assert wrong.headers["allow"] == "GET, POST"
    problem(await shared_api.client().send("TRACE", "/v1/packages"), 405, "method-not-allowed")


async def test_every_response_has_a_request_id_and_security_headers(shared_api):
    for path in ("/v1/packages?market=CH", "/v1/nothing", "/v1/me/offers", "/docs"):
        answer = await shared_api.client().get(path)
        assert len(answer.headers["x-request-id"]) == 16
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "includeSubDomains" in answer.headers["strict-transport-security"]
    given = await shared_api.client().send("GET", "/docs", headers={"X-Request-Id": "evil\tid"})
    assert given.headers["x-request-id"] != "evil\tid"


async def test_a_disconnect_does_not_undo_a_request(api, owner):
    task = asyncio.create_task(api.client().post("/v1/bookings", BOOKING))
    for _ in range(1000):
        if group_commit(api.rt).writers:
            break
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await group_commit(api.rt).close()
    assert await owner.fetchval("SELECT count(*) FROM bookings") == 1


def test_missing_and_foreign_have_the_same_response():
    first = problems.error_response(NotFound("booking 4711 of Vera"))
    second = problems.error_response(NotFound())
    assert first.body == second.body
    assert "Vera" not in json.loads(first.body)["detail"]
