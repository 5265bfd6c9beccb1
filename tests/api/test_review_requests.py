"""Requests that a person looks at a decision again: asked, due, answered by another operator."""

from datetime import timedelta

import pytest

from data.enums import Channel, FriendState, OperatorRole
from data.records.ids import FriendId
from dispatch.flows.people import friends
from scheduler import deadlines
from scheduler.relay import Relay
from scheduler.senders.mail import Mail

ME, DESK = "/v1/me/review-requests", "/v1/desk/review-requests"
LIMITS = {"about": "limits", "text": "I have time for more."}
KEPT = {"outcome": "kept", "reasons": "Two jobs were late <b>last</b> week."}
REMINDED = "SELECT subject_id FROM journal WHERE kind = 'review.due'"
DAY = timedelta(days=1)
TWO_JOBS = {
    "jobs_per_day": 2,
    "hand_backs_per_day": None,
    "capacity_max": None,
    "radius_max_m": None,
}


async def asked(api, body=LIMITS):
    me = await api.friend("f1")
    answer = await me.post(ME, body)
    assert answer.status_code == 201, answer.text
    return me, answer.json()


async def test_a_request_is_answered_with_reasons_in_a_letter_and_on_the_page(api, owner):
    me, made = await asked(api)
    assert made["due_at"] == "2026-03-16T09:00:00Z"
    community = await api.operator(OperatorRole.COMMUNITY)
    [row] = (await community.get(DESK)).json()["items"]
    assert (row["id"], row["text"], row["decided_by_me"]) == (made["id"], LIMITS["text"], False)
    at = f"{DESK}/{made['id']}/answer"
    assert (await community.post(at, KEPT)).status_code == 204
    again = await community.post(at, KEPT)
    assert (again.status_code, again.json()["code"]) == (409, "review-answered")
    assert (await community.get(DESK)).json()["items"] == []
    [mine] = (await me.get(ME)).json()["items"]
    assert (mine["outcome"], mine["reasons"]) == ("kept", KEPT["reasons"])
    kinds = await owner.fetch("SELECT kind FROM journal WHERE kind LIKE 'review.%' ORDER BY seq")
    assert [row["kind"] for row in kinds] == ["review.asked", "review.answered"]
    assert await owner.fetchval("SELECT count(*) FROM timers WHERE kind = 'review_due'") == 0
    mails = await delivered(api)
    assert sum(KEPT["reasons"] in mail for mail in mails) == 1
    looks = await owner.fetchval("SELECT count(*) FROM audit WHERE act = 'review_requests.listed'")
    assert looks == 1


async def delivered(api):
    relay = Relay(api.rt, {Channel.MAIL: Mail.of(api.rt)}, request_tick=lambda: None)
    while True:
        await relay.tick()
        if not relay._under_way and not relay._outcomes:
            break
        for task in list(relay._under_way):
            await task
    return [path.read_text("utf-8") for path in api.rt.settings.mail_folder.glob("*.eml")]


async def test_who_decided_does_not_answer(api):
    admin = await api.operator()
    friend = api.friends["f1"]
    done = await admin.send("PUT", f"/v1/desk/friends/{friend}/limits", json=TWO_JOBS)
    assert done.status_code == 200, done.text
    _, made = await asked(api)
    at = f"{DESK}/{made['id']}/answer"
    assert (await admin.get(DESK)).json()["items"][0]["decided_by_me"] is True
    refused = await admin.post(at, KEPT)
    assert (refused.status_code, refused.json()["code"]) == (409, "review-by-another")
    community = await api.operator(OperatorRole.COMMUNITY)
    assert (await community.post(at, KEPT | {"outcome": "changed"})).status_code == 204


async def test_the_same_is_asked_once_at_a_time(api):
    me, made = await asked(api)
    twice = await me.post(ME, LIMITS)
    assert (twice.status_code, twice.json()["code"]) == (409, "review-asked-already")
    other = await me.post(ME, {"about": "correction", "text": "My town is Uster."})
    assert other.status_code == 201
    desk = await api.operator()
    await desk.post(f"{DESK}/{made['id']}/answer", KEPT)
    assert (await me.post(ME, LIMITS)).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"about": "limits"}, "text"),
        ({"about": "limits", "text": "  "}, "text"),
        ({"about": "limits", "text": "x" * 1001}, "text"),
        ({"about": "limits", "text": "a\x00b"}, "text"),
        ({"about": "weather", "text": "Rain."}, "about"),
        (LIMITS | {"due_at": "2030-01-01T00:00:00Z"}, "due_at"),
    ],
)
async def test_bad_input_is_refused_by_its_field(api, body, field):
    answer = await (await api.friend("f1")).post(ME, body)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [field]


async def test_the_desk_is_reminded_before_the_answer_is_due_and_when_it_is(api, owner, clock):
    await api.operator(OperatorRole.COMMUNITY)
    await api.operator(OperatorRole.VIEWER)
    await asked(api)
    for days, reminders in ((10, 0), (1, 1), (2, 1), (1, 2), (30, 2)):
        await clock.advance(days * DAY)
        await deadlines.sweep(api.rt)
        await deadlines.sweep(api.rt)
        assert len(await owner.fetch(REMINDED)) == reminders
    assert any("2026" in mail or "March" in mail for mail in await delivered(api))


async def test_an_answer_in_time_ends_the_reminders(api, owner, clock):
    _, made = await asked(api)
    desk = await api.operator()
    await desk.post(f"{DESK}/{made['id']}/answer", KEPT)
    await clock.advance(30 * DAY)
    await deadlines.sweep(api.rt)
    assert await owner.fetch(REMINDED) == []


async def test_the_desk_notes_what_a_suspended_friend_writes(api):
    friend = api.friends["f1"]
    await friends.set_state(api.rt, FriendId(friend), FriendState.SUSPENDED, actor="desk")
    desk = await api.operator()
    body = {"about": "suspension", "text": "Wrote by mail: it was not me."}
    noted = await desk.post(f"/v1/desk/people/{friend}/review-requests", body)
    assert noted.status_code == 201, noted.text
    assert (await desk.get(DESK)).json()["items"][0]["about"] == "suspension"
    nobody = await desk.post(f"/v1/desk/people/{noted.json()['id']}/review-requests", body)
    assert nobody.status_code == 404


async def test_export_holds_requests_and_erasure_empties_them(api, owner):
    _, made = await asked(api)
    await asked(api, {"about": "level", "text": "Please look at my level."})
    desk, community = await api.operator(), await api.operator(OperatorRole.COMMUNITY)
    await community.post(f"{DESK}/{made['id']}/answer", KEPT)
    whole = (await desk.post("/v1/desk/people/export", {"person": "f1"})).json()["items"][0]
    [waiting, answered] = whole["review_requests"]
    assert (answered["reasons"], waiting["text"]) == (KEPT["reasons"], "Please look at my level.")
    assert "answered_by" not in answered
    assert (await desk.post("/v1/desk/people/erase", {"person": "f1"})).status_code == 200
    rows = await owner.fetch("SELECT text, reasons, outcome FROM review_requests ORDER BY about")
    assert [tuple(row) for row in rows] == [("–", None, "withdrawn"), ("–", "–", "kept")]
    assert (await community.get(DESK)).json()["items"] == []
    assert await owner.fetchval("SELECT count(*) FROM timers WHERE kind = 'review_due'") == 0
