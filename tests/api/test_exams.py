"""Exams over the API: what a friend sees and when, and what never leaves the server."""

import json
from datetime import timedelta
from uuid import UUID

import pytest

from data.db import transaction
from data.enums import OperatorRole
from data.store import exams as store
from tests.exam_banks import bank

EXAMS = "/v1/me/exams"
TICK = timedelta(microseconds=1)
ENGLISH = {"accept-language": "en"}


@pytest.fixture
async def winner(api):
    async with transaction(api.rt.pool) as tx:
        await store.put(tx, [bank("printer"), bank("security")])
    return await api.friend("f1")


async def start(friend, certificate="printer", **body):
    response = await friend.post(f"{EXAMS}/{certificate}", body)
    assert response.status_code == 200, response.text
    return response.json()


def path(sitting, tail=""):
    return f"/v1/me/sittings/{sitting['id']}{tail}"


async def put(friend, sitting, position, choice):
    answer = {"choice": choice}
    return await friend.send("PUT", path(sitting, f"/answers/{position}"), json=answer)


async def sit(friend, certificate="printer", *, right):
    """Sit an exam; the texts of the test's bank tell which option is which."""
    begun = await start(friend, certificate)
    for question in begun["questions"]:
        letter = "b" if question["position"] <= right else "c"
        [choice] = [n for n, o in enumerate(question["options"], 1) if o.split()[2] == letter]
        assert (await put(friend, begun, question["position"], choice)).status_code == 204
    done = await friend.post(path(begun, "/finish"), {})
    assert done.status_code == 200
    return done.json()


async def test_the_list_names_the_rules_and_what_can_be_done(winner):
    items = (await winner.send("GET", EXAMS, headers=ENGLISH)).json()["items"]
    assert [one["certificate"] for one in items] == ["printer", "security"]
    assert items[0] == {
        "certificate": "printer",
        "name": "Printers and scanners",
        "questions": 10,
        "minutes": 20,
        "extra_minutes": 10,
        "pass_percent": 80.0,
        "attempts": 3,
        "cooldown_days": 7,
        "practical": False,
        "status": "ready",
        "attempts_left": 3,
        "opens_at": None,
        "valid_until": None,
        "last": None,
    }
    assert items[1]["practical"] is True


async def test_a_sitting_is_in_the_language_asked_for_with_the_time_left(winner, clock):
    begun = await start(winner)
    assert (begun["state"], begun["seconds_left"], begun["result"]) == ("open", 1200.0, None)
    assert len(begun["questions"]) == begun["asked"] == 10
    await clock.advance(timedelta(seconds=90))
    seen = (await winner.send("GET", path(begun), headers={"accept-language": "pl"})).json()
    assert seen["seconds_left"] == 1110.0
    assert seen["questions"][0]["text"].endswith(" in pl?")
    assert seen["questions"][0]["topic"].endswith(" (pl)")


async def test_answers_are_there_after_a_reload(winner):
    begun = await start(winner)
    assert (await put(winner, begun, 3, 4)).status_code == 204
    seen = (await winner.get(path(begun))).json()
    assert [one["choice"] for one in seen["questions"]] == [None, None, 4, *[None] * 7]
    assert (await start(winner)) | {"seconds_left": 0} == seen | {"seconds_left": 0}


async def test_after_a_fail_there_are_topics_to_learn_and_nothing_else(winner):
    done = await sit(winner, right=7)
    assert (done["state"], done["questions"]) == ("failed", [])
    result = done["result"]
    assert (result["correct"], result["explanations"]) == (7, [])
    assert set(result["topics"]) <= {"signal (en)", "safety (en)", "signal (de)", "safety (de)"}
    assert result["topics"]
    assert "Because of" not in json.dumps(done)


async def test_after_a_pass_there_are_explanations(winner):
    done = await sit(winner, right=8)
    assert (done["state"], done["result"]["correct"]) == ("passed", 8)
    shown = done["result"]["explanations"]
    assert [one["is_right"] for one in shown] == [True] * 8 + [False] * 2
    assert all(one["why"].startswith("Because of printer-") for one in shown)
    [own] = [o for o in (await winner.get(EXAMS)).json()["items"] if o["certificate"] == "printer"]
    assert (own["status"], own["last"]["state"], own["valid_until"]) == ("held", "passed", None)


async def test_no_answer_depends_on_the_key_before_the_end(api, winner, monkeypatch):
    """The same sitting with other keys: the API says the same in every byte.

    A key in any form, even in the order of something, would make a difference.
    """
    ids = iter(UUID(int=n + (7 << 76) + (2 << 62)) for n in range(1, 1000))
    bodies = []
    for key in "abcd":
        async with transaction(api.rt.pool) as tx:
            await store.put(tx, [bank("printer", key=key), bank("security")])
        friend = await api.friend(f"f{'abcd'.index(key) + 1}")
        monkeypatch.setattr("dispatch.flows.people.exams._seed", lambda sitting_id: 11)
        monkeypatch.setattr(api.rt, "new_id", lambda: next(ids))
        begun = await start(friend)
        said = [json.dumps((await friend.get(EXAMS)).json())]
        for position in range(1, 11):
            response = await put(friend, begun, position, 1 + position % 4)
            said.append(f"{response.status_code} {response.text}")
        said.append((await friend.get(path(begun))).text)
        bodies.append([one.replace(begun["id"], "id") for one in said])
    assert bodies[0] == bodies[1] == bodies[2] == bodies[3]


async def test_no_response_has_a_field_for_keys(api):
    document = (await api.client().get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    exams = [name for name in schemas if "xam" in name or "itting" in name or "Item" in name]
    assert len(exams) > 5
    for name in exams:
        fields = set(schemas[name].get("properties", {}))
        assert not fields & {"key", "keys", "solution", "right_option", "seed"}, name


async def test_a_late_answer_is_refused_by_the_clock_of_the_server(winner, clock):
    begun = await start(winner)
    await clock.advance(timedelta(minutes=20) - TICK)
    assert (await put(winner, begun, 1, 1)).status_code == 204
    await clock.advance(TICK)
    late = await put(winner, begun, 2, 1)
    assert (late.status_code, late.json()["code"]) == (409, "sitting-over")
    assert (await winner.get(path(begun))).json()["seconds_left"] == 0
    done = (await winner.post(path(begun, "/finish"), {})).json()
    assert done["state"] == "failed"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"choice": 0}, "choice"),
        ({"choice": 5}, "choice"),
        ({"choice": "b"}, "choice"),
        ({"choice": True}, "choice"),
        ({"choice": 1.5}, "choice"),
        ({}, "choice"),
        ({"choice": 1, "at": "2020-01-01T00:00:00Z"}, "at"),
    ],
)
async def test_an_unknown_option_names_the_field(winner, body, problem):
    begun = await start(winner)
    response = await winner.send("PUT", path(begun, "/answers/1"), json=body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == problem


async def test_what_is_not_asked_or_not_ones_own_is_not_found(api, winner):
    assert (await winner.post(f"{EXAMS}/tea", {})).status_code == 404
    begun = await start(winner)
    other = await api.friend("f2")
    for position in ("0", "11", "21", "x"):
        assert (await put(winner, begun, position, 1)).status_code == (404)
    assert (await put(other, begun, 1, 1)).status_code == 404
    assert (await other.get(path(begun))).status_code == 404
    assert (await other.post(path(begun, "/finish"), {})).status_code == 404


async def test_more_time_is_granted_without_a_reason_but_not_later(winner):
    begun = await start(winner, more_time=True)
    assert begun["seconds_left"] == 1800.0
    assert (await start(winner, more_time=False))["seconds_left"] == 1800.0


async def test_another_exam_or_one_too_soon_is_a_problem_that_says_so(winner):
    begun = await start(winner)
    other = await winner.post(f"{EXAMS}/security", {})
    assert (other.status_code, other.json()["code"]) == (409, "another-sitting")
    await winner.post(path(begun, "/finish"), {})
    soon = await winner.post(f"{EXAMS}/printer", {})
    assert (soon.status_code, soon.json()["code"]) == (409, "exam-not-open")
    assert "the next attempt is possible from" in soon.json()["detail"]


async def test_the_desk_decides_a_practical_check(api, winner):
    await sit(winner, "security", right=9)
    desk = await api.operator(OperatorRole.COMMUNITY)
    [check] = (await desk.get("/v1/desk/practical-checks")).json()["items"]
    assert (check["friend_name"], check["correct"], check["asked"]) == ("F1 Muster", 9, 10)
    decide = f"/v1/desk/practical-checks/{check['id']}"
    without = await desk.post(decide, {"confirmed": False})
    assert (without.status_code, without.json()["errors"][0]["field"]) == (422, "reason")
    reason = "The drill was left on."
    assert (await desk.post(decide, {"confirmed": False, "reason": reason})).status_code == 204
    again = await desk.post(decide, {"confirmed": True})
    assert (again.status_code, again.json()["code"]) == (409, "practical-not-due")
    items = (await winner.get(EXAMS)).json()["items"]
    last = next(one["last"] for one in items if one["certificate"] == "security")
    seen = (await winner.get(f"/v1/me/sittings/{last['id']}")).json()
    assert (seen["state"], seen["result"]["reason"]) == ("declined", reason)


async def test_the_desk_sees_statistics_without_keys(api, winner):
    for ref in ("f1", "f2"):
        await sit(await api.friend(ref), right=5)
    desk = await api.operator()
    counts = (await desk.get("/v1/desk/exams")).json()["items"]
    assert counts[0] == {
        "certificate": "printer",
        "active": True,
        "questions": 20,
        "ended": 2,
        "passed": 0,
    }
    seen = (await desk.send("GET", "/v1/desk/exams/printer", headers=ENGLISH)).json()
    assert sum(one["answers"] for one in seen["items"]) == 20
    assert seen["items"][0]["text"].endswith(" in en?")
    assert {one["facility"] for one in seen["items"]} == {None}
    assert {one["sitter"]["friend_name"] for one in seen["fast"]} == {"F1 Muster", "F2 Muster"}
    assert "Because of" not in json.dumps(seen)
