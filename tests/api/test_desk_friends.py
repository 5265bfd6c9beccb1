"""Friends for the desk: search, details, states, certificates, imports."""

import json
from uuid import uuid4

import pytest

from api.http.middleware import BODY_MAX_BY_PATH
from dispatch.flows.people import sessions
from dispatch.rules.policy import DAY_LIMIT_MAX
from tests.api.conftest import expect
from tests.builders import friend_row, import_friends

COLUMNS = "ref,name,email,phone,radius_km,languages,lat,lon\n"
BEA = "zh-900,Bea Beispiel,bea@example.org,+41 44 000 17 39,8,de;en,47.37,8.54\n"
DAN = "zh-901,Dan Beispiel,dan@example.org,+41 44 000 17 40,8,de,47.36,8.55\n"
IMPORT = "/v1/desk/friends/import"
LARGE = 6 * 1024 * 1024


async def found(desk, **params):
    return [row["ref"] for row in (await desk.get("/v1/desk/friends", **params)).json()["items"]]


async def test_friends_are_found_by_ref_name_mail_and_town(api):
    desk = await api.operator()
    await import_friends(
        api.rt,
        [
            friend_row("be-1", name="Jörg Ötzi", city="Bern", postcode="3011"),
            friend_row("be-2", name="Samuel Joerger-Bauer", phone="+41440000011", city="Thun"),
        ],
    )
    for q in ("BE-1", "otzi", "jörg öt", "Oetzi", "be-1@example.org", "bern", "3011"):
        assert await found(desk, q=q) == ["be-1"], q
    for q in (
        "044 000 00 11",
        "+41 44 000 00 11",
        "0041 (0)44 000 00 11",
        "jörger",
        "samuel bauer",
    ):
        assert await found(desk, q=q) == ["be-2"], q
    assert await found(desk, q="Jörg") == await found(desk, q="be-") == ["be-1", "be-2"]
    assert await found(desk, q=str(api.friends["f3"])) == ["f3"]
    assert await found(desk, q="muster") == [f"f{n}" for n in range(1, 7)]
    assert await found(desk, q="uster") == []


async def test_friends_come_in_pages_by_ref_and_state(api):
    desk = await api.operator()
    at = f"/v1/desk/friends/{api.friends['f4']}/state"
    assert (await desk.post(at, {"state": "suspended"})).status_code == 200
    assert await found(desk, state="suspended") == ["f4"]
    seen, cursor = [], None
    while cursor is not None or not seen:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await desk.get("/v1/desk/friends", **query)).json()
        seen += [row["ref"] for row in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [f"f{n}" for n in range(1, 7)]
    for cursor in ("%", "gA", "AA"):
        expect(await desk.get("/v1/desk/friends", cursor=cursor), 422, "validation-failed")


async def test_applicants_are_listed_apart_and_decided_by_no_change_of_state(api, owner, problem):
    await owner.execute("UPDATE friends SET state = 'applicant' WHERE ref = 'f1'")
    desk, friend, at = await api.operator(), await api.friend("f1"), "/v1/desk/friends"

    async def listed(**query):
        return [one["ref"] for one in (await desk.get(at, **query)).json()["items"]]

    assert "f1" not in await listed()
    assert await listed(state="applicant") == ["f1"] == await listed(q="f1@example.org")
    state = f"{at}/{api.friends['f1']}/state"
    problem(await desk.post(state, {"state": "active"}), 409, "application-undecided")
    problem(await desk.post(state, {"state": "applicant"}), 422, "validation-failed")
    resumed = await friend.send("PATCH", "/v1/me/profile", json={"paused": False})
    problem(resumed, 409, "application-undecided")
    assert (await friend.get("/v1/me/profile")).json()["state"] == "applicant"
    assert (await friend.get("/v1/me/offers")).json()["items"] == []


async def test_a_suspended_friend_loses_access_and_the_reason_stays_private(api, owner):
    desk, friend = await api.operator(), await api.friend("f1")
    at = f"/v1/desk/friends/{api.friends['f1']}"
    for _ in range(2):
        asked = {"state": "suspended", "reason": "Vera Beispiel complained."}
        result = await desk.post(f"{at}/state", asked)
        assert result.json()["state"] == "suspended"
    assert (await friend.get("/v1/me/profile")).status_code == 401
    whole = (await desk.get(at)).json()
    [note] = whole["notes"]
    assert note["text"] == "suspended: Vera Beispiel complained."
    assert note["name"] == "Olga Pult"
    journal = f"/v1/desk/people/{whole['id']}/journal"
    [entry] = (await desk.get(journal)).json()["items"]
    assert (entry["kind"], entry["actor"].split(":")[0]) == ("friend.suspended", "operator")
    assert "Vera" not in json.dumps(entry)
    looks = "SELECT subject_kind, subject FROM audit WHERE act = 'journal.opened'"
    assert [tuple(row) for row in await owner.fetch(looks)] == [("person", whole["id"])]
    expect(await desk.get(journal.replace(whole["id"], str(uuid4()))), 404, "not-found")
    await desk.post(f"{at}/state", {"state": "active"})
    assert (await friend.get("/v1/me/profile")).status_code == 401  # signs in anew
    assert "complained" not in (await friend.get("/v1/me/profile")).text


async def test_a_reason_that_cannot_be_stored_is_refused_without_changes(api, owner, problem):
    note = {"at": "2026-03-02T09:00:00Z", "by": str(api.friends["f2"]), "text": "x"}
    await owner.execute("UPDATE people SET desk_notes = $1 WHERE kind = 'friend'", [note] * 200)
    desk, at = await api.operator(), f"/v1/desk/friends/{api.friends['f1']}"
    asked = {"state": "suspended", "reason": "A complaint."}
    result = problem(await desk.post(f"{at}/state", asked), 409, "notes-full")
    assert result["errors"][0]["field"] == "reason"
    assert (await desk.get(at)).json()["state"] == "active"
    assert (await desk.post(f"{at}/state", {"state": "suspended"})).json()["state"] == "suspended"


async def test_a_certificate_decides_about_offers(api, owner):
    desk = await api.operator()
    at = f"/v1/desk/friends/{api.friends['f2']}"

    def codes(answer):
        assert answer.status_code == 200, answer.text
        return [held["code"] for held in answer.json()["certificates"]]

    for _ in range(2):
        given = await desk.send("PUT", f"{at}/certificates/printer")
        assert codes(given) == ["mac", "printer", "wifi"]
    assert codes(await desk.delete(f"{at}/certificates/wifi")) == ["mac", "printer"]
    booking = await api.book()
    assert "f2" not in await api.offers(booking)
    for path in (f"{at}/certificates/wifi", f"{at}/certificates/magic"):
        expect(await desk.delete(path), 404, "not-found")
    expect(await desk.send("PUT", f"{at}/certificates/magic"), 404, "not-found")
    lines = await owner.fetch("SELECT kind, data FROM journal WHERE kind ~ '^friend' ORDER BY seq")
    assert [(line["kind"], line["data"]) for line in lines] == [
        ("friend.certified", {"certificate": "printer"}),
        ("friend.uncertified", {"certificate": "wifi"}),
    ]


async def test_a_file_is_imported_after_a_dry_run_and_then_changes_nothing(api):
    desk = await api.operator()
    file = {"filename": "friends.csv", "content": COLUMNS + BEA + DAN}

    async def counts(**more):
        answer = await desk.post(IMPORT, file | more)
        assert answer.status_code == 200, answer.text
        result = answer.json()
        assert result["rows"] == []
        return result["taken_in"], result["changed"], result["unchanged"]

    assert await counts(dry_run=True) == (2, 0, 0)
    assert await found(desk, q="zh-") == []
    assert await counts() == (2, 0, 0)
    assert await found(desk, q="zh-") == ["zh-900", "zh-901"]
    assert await counts() == (0, 0, 2)
    file["content"] = file["content"].replace("Dan ", "Daniel ")
    assert await counts(dry_run=True) == (0, 1, 1)
    assert await counts() == (0, 1, 1)
    assert await found(desk, q="daniel") == ["zh-901"]


async def test_another_address_signs_out_and_is_told_at_the_old_one(api, owner):
    desk = await api.operator()
    file = {"filename": "friends.csv", "content": COLUMNS + BEA + DAN}
    assert (await desk.post(IMPORT, file)).status_code == 200
    people = await owner.fetch("SELECT p.id, f.ref FROM people p JOIN friends f ON f.id = p.id")
    ids = {row["ref"]: row["id"] for row in people}
    bea, dan = [await sessions.create_token(api.rt, ids[ref]) for ref in ("zh-900", "zh-901")]
    file["content"] = file["content"].replace("bea@", "mallory@").replace("Dan ", "Daniel ")
    assert (await desk.post(IMPORT, file)).json()["changed"] == 2
    assert (await api.client(bea).get("/v1/me/offers")).status_code == 401
    assert (await api.client(dan).get("/v1/me/offers")).status_code == 200
    await api.post_letters()
    [letter] = api.letters.sent
    assert letter["email"] == "bea@example.org"
    assert "mallory" not in letter["text"]
    changed = "SELECT subject_id, data FROM journal WHERE kind = 'friend.changed'"
    assert {row["subject_id"]: row["data"] for row in await owner.fetch(changed)} == {
        ids["zh-900"]: {"fields": ["email"]},
        ids["zh-901"]: {"fields": ["name"]},
    }


async def test_a_bad_row_stops_an_import_unless_skipped(api):
    desk = await api.operator()
    file = {"filename": "friends.csv", "content": COLUMNS + BEA + DAN.replace("47.36,", "8.5,")}
    result = (await desk.post(IMPORT, file)).json()
    [row] = result.pop("rows")
    assert (row["line"], row["field"]) == (3, "lat")
    assert row["cure"]
    expected = {"taken_in": 0, "changed": 0, "unchanged": 0, "dry_run": False, "bad_rows": 1}
    assert result == expected
    result = (await desk.post(IMPORT, file | {"dry_run": True})).json()
    assert (result["taken_in"], result["bad_rows"], len(result["rows"])) == (1, 1, 1)
    assert await found(desk, q="zh-") == []
    result = (await desk.post(IMPORT, file | {"skip_bad": True})).json()
    assert (result["taken_in"], len(result["rows"])) == (1, 1)
    taken = {
        "filename": "x.csv",
        "content": COLUMNS + BEA.replace("bea@", "f1@").replace("0,B", "7,B"),
    }
    result = (await desk.post(IMPORT, taken)).json()
    assert [(row["line"], row["field"]) for row in result["rows"]] == [(2, "email")]
    assert result["taken_in"] == 0


async def addresses(owner):
    rows = await owner.fetch(
        "SELECT ref, email FROM friends JOIN people USING (id) WHERE ref LIKE 'zh-%'"
    )
    return {row["ref"]: row["email"] for row in rows}


async def test_friends_exchange_their_addresses_within_one_file(api, owner):
    desk = await api.operator()
    file = {"filename": "friends.csv", "content": COLUMNS + BEA + DAN}
    await desk.post(IMPORT, file)
    file["content"] = COLUMNS + BEA.replace("bea@", "DAN@") + DAN.replace("dan@", "bea@")
    assert (await desk.post(IMPORT, file | {"dry_run": True})).json()["changed"] == 2
    result = (await desk.post(IMPORT, file)).json()
    assert (result["changed"], result["rows"]) == (2, [])
    assert await addresses(owner) == {"zh-900": "DAN@example.org", "zh-901": "bea@example.org"}
    # One moves on to a new address, the other follows.
    file["content"] = COLUMNS + BEA.replace("bea@", "new@") + DAN
    assert (await desk.post(IMPORT, file)).json()["changed"] == 2
    assert await addresses(owner) == {"zh-900": "new@example.org", "zh-901": "dan@example.org"}


async def test_who_waits_for_an_address_that_is_not_freed_is_a_bad_row(api, owner):
    desk = await api.operator()
    file = {"filename": "friends.csv", "content": COLUMNS + BEA + DAN}
    await desk.post(IMPORT, file)
    before = await addresses(owner)
    file["content"] = COLUMNS + BEA.replace("bea@", "f1@") + DAN.replace("dan@", "bea@")
    result = (await desk.post(IMPORT, file | {"skip_bad": True})).json()
    assert [(row["line"], row["field"]) for row in result["rows"]] == [(2, "email"), (3, "email")]
    assert (result["changed"], result["bad_rows"]) == (0, 2)
    assert await addresses(owner) == before


async def test_a_dry_run_and_a_refused_import_are_audited(api, owner):
    desk = await api.operator()
    file = {"filename": "friends.csv", "content": COLUMNS + BEA + DAN.replace("@", "")}
    for more in ({"dry_run": True}, {}, {"skip_bad": True}):
        assert (await desk.post(IMPORT, file | more)).json()["bad_rows"] == 1
    await desk.post(IMPORT, {"filename": "friends.json", "content": "{}"})
    lines = await owner.fetch(
        "SELECT act, subject, data, actor FROM audit WHERE act LIKE 'friends.%' ORDER BY id DESC"
    )
    assert [(line["act"], line["subject"], line["data"]) for line in lines[:4]] == [
        ("friends.checked", "0", {"bad": 1}),
        ("friends.imported", "1", {}),
        ("friends.checked", "1", {"bad": 1}),
        ("friends.checked", "1", {"bad": 1}),
    ]
    assert all(line["actor"].startswith("operator") for line in lines[:4])


async def test_a_file_of_faults_is_answered_with_a_bounded_list(api):
    desk = await api.operator()
    file = {"filename": "friends.csv", "content": COLUMNS + "x\n" * 5_000}
    result = (await desk.post(IMPORT, file)).json()
    assert (result["bad_rows"], len(result["rows"])) == (5_000, 1_000)
    file["content"] += "x\n" * 20_000
    result = (await desk.post(IMPORT, file)).json()
    assert len(result["rows"]) == 1_001
    assert "more than 20000 rows" in result["rows"][0]["problem"]


async def test_geojson_is_read_too(api):
    properties = dict(zip(COLUMNS.strip().split(",")[:6], BEA.split(","), strict=False))
    feature = {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": "Point", "coordinates": [8.54, 47.37]},
    }
    content = json.dumps({"type": "FeatureCollection", "features": [feature]})
    desk = await api.operator()
    result = (await desk.post(IMPORT, {"filename": "f.GeoJSON", "content": content})).json()
    assert (result["taken_in"], result["rows"]) == (1, [])


@pytest.mark.parametrize(
    ("filename", "content", "field"),
    [("friends.gpkg", "x", "filename"), ("friends", "x", "filename"), ("f.csv", "", "content")],
)
async def test_an_unreadable_file_is_refused_by_field(api, filename, content, field):
    desk = await api.operator()
    answer = await desk.post(IMPORT, {"filename": filename, "content": content})
    [error] = expect(answer, 422, "validation-failed")["errors"]
    assert error["field"] == field


async def test_only_the_desk_may_send_large_bodies_and_others_are_not_read(api):
    body = {"filename": "f.csv", "content": "x" * LARGE}
    read = []

    async def pieces():
        for _ in range(64):
            read.append(1)
            yield b" " * (128 * 1024)

    headers = {"Content-Type": "application/json"}
    friend, desk = await api.friend("f1"), await api.operator()
    answer = await friend.send("POST", IMPORT, content=pieces(), headers=headers)
    expect(answer, 403, "forbidden")
    assert read == []
    [error] = expect(await desk.post(IMPORT, body), 422, "validation-failed")["errors"]
    assert error["field"] == "content"
    too_large = {"filename": "f.csv", "content": "x" * BODY_MAX_BY_PATH[IMPORT]}
    expect(await desk.post(IMPORT, too_large), 413, "too-large")
    expect(await desk.post("/v1/desk/partners", {"name": "x" * 70_000}), 413, "too-large")


async def test_the_desk_sets_the_limits_of_a_friend_and_ends_the_alarm(api, owner, problem):
    desk, friend = await api.operator(), await api.friend("f1")
    at = f"/v1/desk/friends/{api.friends['f1']}"
    numbers = {"jobs_per_day": 1, "hand_backs_per_day": 0, "capacity_max": 4, "radius_max_m": 9000}
    seen = (await desk.send("PUT", f"{at}/limits", json=numbers)).json()
    assert numbers.items() <= seen.items()
    assert seen["alarmed_at"] is None
    await owner.execute("UPDATE friends SET capacity = 3, radius_m = 8000 WHERE ref = 'f1'")
    for field, most in (("capacity", 4), ("radius_m", 9000)):
        asked = await friend.send("PATCH", "/v1/me/profile", json={field: most})
        assert asked.json()[field] == most
        asked = await friend.send("PATCH", "/v1/me/profile", json={field: most + 1})
        [error] = problem(asked, 422, "validation-failed")["errors"]
        assert error["field"] == field
        assert f"{most} at most" in error["cure"]
    booking, _ = await api.win("f1")
    more = await api.book()
    offer = (await api.offers(more))["f1"]
    refused = problem(await friend.post(f"/v1/offers/{offer}/accept"), 409, "too-many-jobs-today")
    assert "at most 1 in 24 hours" in refused["detail"]
    back = await friend.post(f"/v1/bookings/{booking['id']}/hand-back", {"reason": "no_time"})
    assert back.status_code == 200
    paused = (await desk.get(at)).json()
    assert (paused["state"], paused["alarmed_at"] is None) == ("paused", False)
    resume = await friend.send("PATCH", "/v1/me/profile", json={"paused": False})
    problem(resume, 409, "paused-by-alarm")
    again = (await desk.post(f"{at}/state", {"state": "active"})).json()
    assert (again["state"], again["alarmed_at"]) == ("active", None)
    limited = "SELECT data FROM journal WHERE kind = 'friend.limited'"
    assert await owner.fetchval(limited) == numbers
    for day in ("jobs_per_day", "hand_backs_per_day"):
        for most, status in ((DAY_LIMIT_MAX, 200), (DAY_LIMIT_MAX + 1, 422)):
            asked = await desk.send("PUT", f"{at}/limits", json=numbers | {day: most})
            assert asked.status_code == status, (day, most)
