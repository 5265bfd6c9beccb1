"""Signing in by a mailed link, by cookie and by key; and being shut out again."""

import asyncio
from datetime import datetime, timedelta

import pytest

from data.markets import Language
from data.records.ids import PersonId
from data.store.sessions import Login
from dispatch.flows.partners import accounts
from dispatch.flows.people import sessions
from dispatch.flows.people.sessions import SESSION_LIFE
from dispatch.rules.refusals import NotFound
from tests.api.conftest import BASE, BOOKING

FRIEND = {"email": "F1@example.org", "kind": "friend"}
OURS = {"Origin": BASE, "Content-Type": "application/json"}


async def link(house, **who):
    answer = await house.client().post("/v1/login-links", FRIEND | who)
    assert answer.status_code == 202
    return house.letters.sent[-1]["link"].rpartition("#")[2]


async def test_a_link_signs_a_friend_in_once(house, problem):
    token = await link(house)
    letter = house.letters.sent[0]
    assert letter["email"] == "f1@example.org"
    assert letter["kind"] is Login.FRIEND
    assert letter["language"] in set(Language)
    assert letter["link"].startswith(f"{BASE}/login#")
    begun = await house.client().post("/v1/sessions", {"token": token})
    assert begun.status_code == 201
    session = begun.json()
    assert session["kind"] == "friend"
    assert session["token"].startswith("ts_")
    cookie = begun.headers["set-cookie"]
    for part in ("tekkie_session=ts_", "HttpOnly", "SameSite=lax", "Secure", "Path=/"):
        assert part in cookie
    me = house.client(session["token"])
    assert (await me.get("/v1/me/offers")).status_code == 200
    problem(await house.client().post("/v1/sessions", {"token": token}), 422, "link-used-up")


async def test_a_link_used_ten_times_at_once_works_once(house):
    token = await link(house)
    answers = await asyncio.gather(
        *(house.client().post("/v1/sessions", {"token": token}) for _ in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [422] * 9


async def test_a_link_works_for_fifteen_minutes(house, clock, problem):
    token = await link(house)
    await clock.advance(timedelta(minutes=15))
    problem(await house.client().post("/v1/sessions", {"token": token}), 422, "link-used-up")


async def test_who_is_known_is_not_told(house):
    known = await house.client().post("/v1/login-links", FRIEND)
    unknown = await house.client().post("/v1/login-links", FRIEND | {"email": "x@example.org"})
    wrong_kind = await house.client().post("/v1/login-links", FRIEND | {"kind": "operator"})
    assert known.status_code == unknown.status_code == wrong_kind.status_code == 202
    assert known.content == unknown.content == wrong_kind.content
    assert len(house.letters.sent) == 1


async def test_five_links_an_hour_are_enough(house, clock, owner):
    for _ in range(7):
        assert (await house.client().post("/v1/login-links", FRIEND)).status_code == 202
    assert len(house.letters.sent) == 5
    await clock.advance(timedelta(hours=1, seconds=1))
    await link(house)
    assert len(house.letters.sent) == 6
    kept = await owner.fetchval("SELECT token_sha256 FROM login_links LIMIT 1")
    assert len(kept) == 32


async def test_a_suspended_friend_is_out_at_once(house, owner, problem):
    friend = await house.friend("f1")
    token = await link(house)
    await owner.execute("UPDATE friends SET state = 'suspended' WHERE ref = 'f1'")
    problem(await friend.get("/v1/me/offers"), 401, "unauthenticated")
    problem(await house.client().post("/v1/sessions", {"token": token}), 422, "link-used-up")
    await house.client().post("/v1/login-links", FRIEND)
    assert len(house.letters.sent) == 1
    with pytest.raises(NotFound):
        await sessions.create_token(house.rt, PersonId(house.friends["f1"]))


async def test_a_session_ends_by_time_and_by_hand(house, clock, problem):
    friend = await house.friend("f1")
    assert (await friend.delete("/v1/sessions/current")).status_code == 204
    problem(await friend.get("/v1/me/offers"), 401, "unauthenticated")
    brief = await sessions.create_token(house.rt, PersonId(house.friends["f1"]), timedelta(hours=1))
    assert (await house.client(brief).get("/v1/me/offers")).status_code == 200
    await clock.advance(timedelta(hours=1))
    problem(await house.client(brief).get("/v1/me/offers"), 401, "unauthenticated")


async def test_an_operator_signs_in_and_is_added_once(house):
    first = await sessions.add_operator(house.rt, "Olga Pult", "Desk@example.com")
    again = await sessions.add_operator(house.rt, "Someone Else", "desk@example.com")
    assert first == again
    token = await link(house, email="desk@example.com", kind="operator")
    begun = await house.client().post("/v1/sessions", {"token": token})
    assert begun.json()["kind"] == "operator"
    by_hand = await sessions.create_login_link(house.rt, first)
    assert (await house.client().post("/v1/sessions", {"token": by_hand})).status_code == 201


async def test_nobody_gets_a_link_for_a_customer(house, owner):
    await house.book()
    person = await owner.fetchval("SELECT customer_id FROM bookings")
    for make in (sessions.create_login_link, sessions.create_token):
        with pytest.raises(NotFound):
            await make(house.rt, PersonId(person))


async def signed_in(house, ref="f1"):
    """The cookie of a friend."""
    token = await sessions.create_token(house.rt, PersonId(house.friends[ref]))
    return {"Cookie": f"tekkie_session={token}"}


async def test_a_cookie_reads_freely_and_writes_from_our_own_pages(house, problem):
    booking = await house.book()
    offers = await house.offers(booking)
    cookie = await signed_in(house)
    http = house.http
    assert (await http.get("/v1/me/offers", headers=cookie)).status_code == 200
    path = f"/v1/offers/{offers['f1']}/decline"
    for headers in (
        {},
        {"Content-Type": "application/json"},
        {"Origin": BASE},
        OURS | {"Origin": "https://evil.example"},
        OURS | {"Origin": "null"},
        OURS | {"Origin": "https://tekkie.test.evil.example"},
        OURS | {"Origin": "http://tekkie.test"},
        OURS | {"Sec-Fetch-Site": "cross-site"},
        OURS | {"Sec-Fetch-Site": "same-site"},
    ):
        answer = await http.post(path, headers=cookie | headers)
        problem(answer, 403, "cross-site")
    assert (await http.post(path, headers=cookie | OURS)).status_code == 200
    fetched = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
    assert (await http.post(path, headers=cookie | fetched)).status_code == 200


async def test_a_form_of_another_site_does_nothing(house, problem):
    cookie = await signed_in(house)
    answer = await house.http.post(
        "/v1/quotes", headers=cookie | {"Origin": "https://evil.example"}, data={"a": "b"}
    )
    problem(answer, 415, "unsupported-media-type")


async def test_an_old_cookie_keeps_nobody_from_booking(house):
    headers = {"Cookie": "tekkie_session=ts_old"}
    answer = await house.http.post("/v1/bookings", headers=headers, json=BOOKING)
    assert answer.status_code == 201


async def test_signing_out_by_cookie_takes_it_away(house, problem):
    cookie = await signed_in(house)
    gone = await house.http.delete("/v1/sessions/current", headers=cookie | OURS)
    assert gone.status_code == 204
    assert 'tekkie_session=""' in gone.headers["set-cookie"]
    problem(await house.http.get("/v1/me/offers", headers=cookie), 401, "unauthenticated")


async def test_a_revoked_key_opens_nothing_from_then_on(house, owner, problem):
    partner, key = await accounts.add(house.rt, "Radio Meier")
    second = await accounts.add_key(house.rt, "Radio Meier")
    assert key.startswith("tk_live_")
    assert (await house.client(key).get("/v1/bookings")).status_code == 200
    await accounts.revoke_key(house.rt, key[:16])
    problem(await house.client(key).get("/v1/bookings"), 401, "unauthenticated")
    assert (await house.client(second).get("/v1/bookings")).status_code == 200
    [listed] = await accounts.list_partners(house.rt)
    assert listed.id == partner.id
    assert [bool(known.revoked_at) for known in listed.keys] == [True, False]
    kept = str(await owner.fetch("SELECT * FROM partner_keys"))
    assert key not in kept
    assert second not in kept
    acts = await owner.fetch("SELECT act FROM audit WHERE act LIKE 'key.%' ORDER BY id")
    assert [row["act"] for row in acts] == ["key.added", "key.added", "key.revoked"]


async def test_partners_are_named_once_and_keys_must_exist(house):
    await accounts.add(house.rt, "Radio Meier")
    with pytest.raises(accounts.NameTaken):
        await accounts.add(house.rt, "Radio Meier")
    with pytest.raises(NotFound):
        await accounts.add_key(house.rt, "Nobody")
    with pytest.raises(NotFound):
        await accounts.revoke_key(house.rt, "tk_live_nothing1")


async def test_a_partner_of_members_asks_members_only(house, owner):
    partner = await house.partner("Community", members_only=True)
    nobody = await partner.post("/v1/bookings", BOOKING)
    assert nobody.json()["state"] == "unfilled"
    assert nobody.json()["offers"] == {"live": 0}


async def test_a_session_says_whose_it_is_and_until_when(house, clock, problem):
    begun = await clock.now()
    for who, kind, id_ in (
        (await house.friend("f1"), "friend", str(house.friends["f1"])),
        (await house.operator(), "operator", None),
    ):
        said = (await who.get("/v1/sessions/current")).json()
        assert said["kind"] == kind
        assert id_ in (None, said["id"])
        expires_at = datetime.fromisoformat(said["expires_at"])
        assert expires_at - datetime.fromisoformat(said["server_time"]) <= SESSION_LIFE
        assert expires_at - begun >= SESSION_LIFE
    problem(await house.client().get("/v1/sessions/current"), 401, "unauthenticated")
    gone = await house.friend("f1")
    await gone.delete("/v1/sessions/current")
    problem(await gone.get("/v1/sessions/current"), 401, "unauthenticated")


async def test_one_browser_holds_a_friend_s_session_and_the_desk_s(house):
    person = await sessions.add_operator(house.rt, "Dora Desk", "dora@example.org")
    link = await sessions.create_login_link(house.rt, person)
    begun = await house.http.post("/v1/sessions", json={"token": link})
    at_desk = begun.headers["set-cookie"].partition(";")[0]
    assert at_desk.startswith("tekkie_desk=ts_")
    both = {"Cookie": f"{(await signed_in(house))['Cookie']}; {at_desk}"}
    alone = {"Cookie": at_desk}

    async def kind(headers):
        answer = await house.http.get("/v1/sessions/current", headers=headers)
        return answer.json()["kind"]

    assert await kind(both) == "friend"
    assert await kind(both | {"Tekkie-Face": "desk"}) == "operator"
    assert await kind(alone) == "operator"
    gone = await house.http.delete(
        "/v1/sessions/current", headers=both | OURS | {"Tekkie-Face": "desk"}
    )
    assert 'tekkie_desk=""' in gone.headers["set-cookie"]
    assert await kind(both) == "friend"
