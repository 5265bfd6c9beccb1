"""From a mail address to an active friend: applications, guardians, and what is refused."""

import re
from uuid import UUID

import pytest

from data.records.ids import PersonId
from dispatch.flows.people import sessions
from dispatch.rules.people.applications import AGAIN_AFTER
from tests.api.test_openapi import OF_JOINING, Story

WHO = {"name": "Mara Muster", "email": "mara@example.com", "language": "de", "market": "CH"}
WHOLE = {
    "phone": "079 123 45 67",
    "birth_date": "1990-05-14",
    "postcode": "8001",
    "city": "Zürich",
    "base": {"lat": 47.3667, "lon": 8.541},
    "radius_m": 5000,
    "education": "university",
    "interests": ["wifi"],
    "skills": ["explaining"],
    "consents": ["terms", "privacy"],
}
GUARDIAN = {"name": "Paula Muster", "email": "paula@example.com", "phone": "079 765 43 21"}
MINOR = {"birth_date": "2009-05-14", "guardian": GUARDIAN}
ME = "/v1/me/application"
JOURNAL = "SELECT kind FROM journal WHERE subject_id = $1::text::uuid ORDER BY seq"
LINK = re.compile(r"https?://\S+/join(?:/guardian)?#(\S+)")


async def ask(api, **changes):
    answer = await api.client().post("/v1/applications", WHO | changes)
    assert answer.status_code == 202, answer.text
    await api.post_letters()
    return answer.json()["request"], api.letters.sent[-1]


def token_in(letter) -> str:
    return LINK.search(letter["text"])[1]


async def join(api, **changes):
    """Confirm the address of an applicant by the link of the letter; returns their client."""
    _, letter = await ask(api, **changes)
    made = await api.client().post("/v1/applications/link", {"token": token_in(letter)})
    assert made.status_code == 201, made.text
    api.http.cookies.clear()
    return api.client(made.json()["token"])


async def patch(me, **fields):
    return await me.send("PATCH", ME, json=fields)


async def submitted(api, **changes):
    """An applicant who has submitted; returns the client and the id."""
    me = await join(api)
    assert (await patch(me, **WHOLE | changes)).status_code == 200
    done = await me.post(f"{ME}/submit")
    assert done.status_code == 200, done.text
    friend = (await me.get("/v1/sessions/current")).json()["id"]
    return me, f"/v1/desk/applications/{friend}", friend


async def test_an_applicant_joins_is_certified_accepted_and_asked(api, owner):
    me, at, friend = await submitted(api)
    desk = await api.operator()
    [row] = (await desk.get("/v1/desk/applications")).json()["items"]
    assert (row["friend_id"], row["certificates"]) == (friend, [])
    seen = (await desk.get(at)).json()
    assert (seen["state"], seen["birth_date"], seen["missing"]) == ("submitted", "1990-05-14", [])
    assert [one["agreed_at"] is None for one in seen["consents"]] == [False, False]
    early = await desk.post(f"{at}/accept")
    assert (early.status_code, early.json()["code"]) == (409, "not-certified-yet")
    await desk.send("PUT", f"/v1/desk/friends/{friend}/certificates/wifi")
    assert [c["code"] for c in (await me.get("/v1/me/profile")).json()["certificates"]] == ["wifi"]
    assert (await desk.post(f"{at}/accept")).status_code == 204
    assert (await me.get("/v1/me/profile")).json()["state"] == "active"
    await api.book()
    assert len((await me.get("/v1/me/offers")).json()["items"]) == 1
    kinds = [r["kind"] for r in await owner.fetch(JOURNAL, friend)]
    assert kinds[:2] == ["application.begun", "application.submitted"]
    assert kinds[-1] == "application.accepted"
    sent = {r["template"] for r in await owner.fetch("SELECT template FROM messages")}
    assert {"application_received", "application_accepted"} <= sent
    looks = {r["act"] for r in await owner.fetch("SELECT act FROM audit")}
    assert {"applications.listed", "application.opened"} <= looks


async def test_the_code_confirms_only_in_the_browser_that_asked(api, problem):
    request, letter = await ask(api)
    body = WHO | {"request": request, "code": letter["code"]}
    for wrong in ({"request": "other"}, {"email": "else@example.com"}, {"code": "000000"}):
        refused = await api.client().post("/v1/applications/code", body | wrong)
        problem(refused, 422, "code-refused")
    made = await api.client().post("/v1/applications/code", body)
    assert made.status_code == 201
    again = await api.client().post("/v1/applications/code", body)
    problem(again, 422, "code-refused")


async def test_a_known_address_gets_the_same_answer_and_a_letter_that_signs_in(api, owner):
    unknown = await api.client().post("/v1/applications", WHO)
    known = await api.client().post("/v1/applications", WHO | {"email": "F1@example.org"})
    assert unknown.json().keys() == known.json().keys()
    assert {**unknown.json(), "request": ""} == {**known.json(), "request": ""}
    await api.post_letters()
    to = {one["email"]: one["text"] for one in api.letters.sent}
    assert "/login#" in to["f1@example.org"]
    assert "/join#" in to["mara@example.com"]
    assert await owner.fetchval("SELECT count(*) FROM people WHERE kind = 'friend'") == 6
    kept = await owner.fetch("SELECT email, name FROM account_mails")
    assert {tuple(row) for row in kept} == {(None, None)}


async def test_the_same_applicant_twice_is_one_account_however_the_address_is_written(api, owner):
    me = await join(api)
    await patch(me, phone="079 123 45 67")
    _, letter = await ask(api, email="MARA@example.com")
    assert "/login#" in letter["text"]
    assert await owner.fetchval("SELECT count(*) FROM applications") == 1
    again = await me.post(ME)
    assert (again.status_code, again.json()["code"]) == (409, "application-exists")


async def test_a_link_works_once_and_only_unchanged(api, problem):
    _, letter = await ask(api)
    token = token_in(letter)
    for wrong in ("x", "x.y", token[:-1], "A" + token[1:], "é" + token):
        refused = await api.client().post("/v1/applications/link", {"token": wrong})
        problem(refused, 422, "link-used-up")
    assert (await api.client().post("/v1/applications/link", {"token": token})).status_code == 201
    used = await api.client().post("/v1/applications/link", {"token": token})
    problem(used, 422, "link-used-up")


async def test_submitting_names_every_missing_field_and_a_draft_stays(api, problem):
    me = await join(api)
    empty = problem(await me.post(f"{ME}/submit"), 422, "application-incomplete")
    fields = [one["field"] for one in empty["errors"]]
    assert fields == [
        *("phone", "birth_date", "postcode", "base"),
        *("consents.terms", "consents.privacy"),
    ]
    await patch(me, **{k: v for k, v in WHOLE.items() if k != "birth_date"})
    later = (await me.get(ME)).json()
    assert later["missing"] == ["birth_date"]
    assert later["phone"] == "+41791234567"
    await patch(me, birth_date="1990-05-14")
    assert (await me.post(f"{ME}/submit")).json()["state"] == "submitted"
    assert (await me.post(f"{ME}/submit")).json()["state"] == "submitted"
    problem(await patch(me, education="other"), 409, "application-not-open")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"birth_date": "2026-03-03"}, "birth_date"),
        ({"birth_date": "2015-01-01"}, "birth_date"),
        ({"birth_date": "1026-01-01"}, "birth_date"),
        ({"birth_date": "2025-02-29"}, "birth_date"),
        ({"phone": "12"}, "phone"),
        ({"base": {"lat": 0.0, "lon": 0.0}}, "base"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "\u0000<script>"}, "name"),
        ({"about": "x" * 501}, "about"),
        ({"interests": ["flying"]}, "interests"),
        ({"consents": ["everything"]}, "consents"),
        ({"skills": ["magic"]}, "skills.0"),
        ({"guardian": GUARDIAN | {"email": "MARA@example.com"}}, "guardian"),
        ({"guardian": GUARDIAN | {"email": "mara+mum@example.com"}}, "guardian"),
        ({"guardian": GUARDIAN | {"email": "\uff4dara@example.com"}}, "guardian"),
        ({"phone": "079 123 45 67", "guardian": GUARDIAN | {"phone": "079 1234567"}}, "guardian"),
        ({"state": "accepted"}, "state"),
    ],
)
async def test_bad_input_is_refused_by_its_field_and_nothing_is_lost(api, fields, field):
    me = await join(api)
    await patch(me, education="school")
    answer = await patch(me, **fields)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert (await me.get(ME)).json()["education"] == "school"


async def test_hostile_texts_are_kept_as_they_are_and_a_leap_day_is_a_birthday(api):
    me = await join(api, name="O'Hara; DROP TABLE friends --")
    kept = (await patch(me, about="<img src=x onerror=alert(1)>", birth_date="2004-02-29")).json()
    assert kept["about"] == "<img src=x onerror=alert(1)>"
    assert kept["birth_date"] == "2004-02-29"


async def test_a_guardian_consents_and_withdraws_by_a_link(api, owner, problem):
    me, at, friend = await submitted(api, **MINOR)
    await api.post_letters()
    letter = api.letters.sent[-1]
    assert letter["email"] == "paula@example.com"
    assert "Mara" in letter["text"]
    assert "2009" not in letter["text"]
    token, guardian = token_in(letter), api.client()
    seen = (await guardian.post("/v1/guardianships/view", {"token": token})).json()
    assert (seen["first_name"], seen["confirmed_at"]) == ("Mara", None)
    child = {"token": token, "of_age": False}
    problem(await guardian.post("/v1/guardianships/confirm", child), 422, "validation-failed")
    yes = {"token": token, "of_age": True}
    assert (await guardian.post("/v1/guardianships/confirm", yes)).json()["confirmed_at"]
    desk = await api.operator()
    await desk.send("PUT", f"/v1/desk/friends/{friend}/certificates/training")
    assert (await desk.post(f"{at}/accept")).status_code == 204

    def stands():
        return api.rt.index.get(next(f.id for f in api.rt.index if str(f.id) == friend)).guarded

    assert stands()
    ended = await guardian.post("/v1/guardianships/withdraw", {"token": token})
    assert ended.json()["ended_at"]
    assert not stands()
    again = await guardian.post("/v1/guardianships/confirm", yes)
    assert again.json()["ended_at"] == ended.json()["ended_at"]
    assert (await me.get(ME)).json()["guardian"]["ended_at"]
    sent = {r["template"] for r in await owner.fetch("SELECT template FROM messages")}
    assert "guardian_withdrawn" in sent
    assert (await me.post(f"{ME}/guardian")).json()["guardian"]["ended_at"] is None
    await api.post_letters()
    fresh = {"token": token_in(api.letters.sent[-1]), "of_age": True}
    assert fresh["token"] != token
    assert (await guardian.post("/v1/guardianships/confirm", fresh)).json()["confirmed_at"]
    assert stands()
    confirmed = await me.post(f"{ME}/guardian")
    assert confirmed.json()["guardian"]["confirmed_at"]
    assert stands()
    wrong = await guardian.post("/v1/guardianships/view", {"token": token[:-1]})
    problem(wrong, 404, "not-found")


async def test_who_needs_no_guardian_cannot_ask_one(api, problem):
    me, _, _ = await submitted(api)
    problem(await me.post(f"{ME}/guardian"), 422, "guardian-refused")


async def test_a_minor_needs_a_guardian_to_submit(api, problem):
    me = await join(api)
    await patch(me, **WHOLE | {"birth_date": "2009-05-14"})
    short = problem(await me.post(f"{ME}/submit"), 422, "application-incomplete")
    assert [one["field"] for one in short["errors"]] == ["guardian"]


async def test_withdrawn_one_applies_again_and_declined_only_after_a_while(api, clock, problem):
    me, at, friend = await submitted(api)
    assert (await me.post(f"{ME}/withdraw")).json()["state"] == "withdrawn"
    problem(await me.post(f"{ME}/withdraw"), 409, "application-not-open")
    again = (await me.post(ME)).json()
    assert (again["state"], again["missing"]) == ("draft", [])
    await patch(me, **WHOLE)
    await me.post(f"{ME}/submit")
    desk = await api.operator()
    refusal = {"reasons": ["knowledge"], "note": "Three exams failed."}
    problem(await desk.post(f"{at}/decline", {"reasons": []}), 422, "validation-failed")
    assert (await desk.post(f"{at}/decline", refusal)).status_code == 204
    told = (await me.get(ME)).json()
    assert (told["state"], told["reasons"]) == ("declined", ["knowledge"])
    assert told["again_at"] > told["ended_at"]
    for state, listed in (("declined", 1), ("submitted", 0)):
        page = await desk.get("/v1/desk/applications", state=state)
        assert len(page.json()["items"]) == listed
    assert "Three exams" not in str(told)
    problem(await me.post(ME), 409, "apply-later")
    await clock.advance(AGAIN_AFTER)
    me = api.client(await sessions.create_token(api.rt, PersonId(UUID(friend))))
    assert (await me.post(ME)).json()["state"] == "draft"


async def test_export_holds_application_and_consents_and_erasure_empties_them(api, owner):
    _, _, friend = await submitted(api, **MINOR)
    desk = await api.operator()
    whole = (await desk.post("/v1/desk/people/export", {"person": friend})).json()
    text = str(whole)
    assert "paula@example.com" in text
    assert "2009-05-14" in text
    assert "'version': '2026-11'" in text
    done = await desk.post("/v1/desk/people/erase", {"person": friend})
    assert done.status_code in (200, 204), done.text
    row = await owner.fetchrow("SELECT * FROM people WHERE id = $1", friend)
    assert (row["birth_date"], row["guardian_name"], row["guardian_email"]) == (None, None, None)
    kept = await owner.fetchrow("SELECT state::text, interests, education FROM applications")
    assert tuple(kept) == ("withdrawn", [], None)
    assert await owner.fetchval("SELECT count(*) FROM guardianships WHERE ended_at IS NULL") == 0


async def test_the_examples_work_and_their_invented_tokens_are_refused(api, problem):
    story, desk = Story(api, OF_JOINING), await api.operator()
    await story.run("begin_application", api.client(), "/v1/applications", status=202)
    for name, path, code in (
        ("confirm_application", "link", "link-used-up"),
        ("confirm_application_by_code", "code", "code-refused"),
    ):
        refused = await api.client().post(f"/v1/applications/{path}", story.bodies.pop(name))
        problem(refused, 422, code)
    for name, path in (("show", "view"), ("confirm", "confirm"), ("withdraw", "withdraw")):
        body = story.bodies.pop(f"{name}_guardianship")
        problem(await api.client().post(f"/v1/guardianships/{path}", body), 404, "not-found")
    me = await join(api)
    await story.run("change_my_application", me, ME, "PATCH")
    await patch(me, consents=WHOLE["consents"])
    assert (await me.post(f"{ME}/submit")).status_code == 200
    friend = (await me.get("/v1/sessions/current")).json()["id"]
    at = f"/v1/desk/applications/{friend}/decline"
    await story.run("decline_application", desk, at, status=204)
    assert story.bodies == {}
