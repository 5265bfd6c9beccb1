"""Sessions: sign-in by mailed link, cookie and key; and the loss of access."""

import asyncio
from datetime import datetime, timedelta

import pytest

from data.enums import OperatorRole
from data.records.ids import PersonId
from dispatch.flows.partners import accounts
from dispatch.flows.people import sessions
from dispatch.rules.people.logins import MAIL_LIFE, SESSION_LIFE
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust import mailed_secrets
from scheduler.senders import Retry
from tests.api.conftest import BASE, BOOKING

FRIEND = {"email": "F1@example.org", "kind": "friend"}
OWN_ORIGIN = {"Origin": BASE, "Content-Type": "application/json"}


async def link(api, **caller):
    answer = await api.client().post("/v1/login-links", FRIEND | caller)
    assert answer.status_code == 202
    await api.post_letters()
    return api.letters.sent[-1]["link"].rpartition("#")[2]


async def request_code(api, **caller):
    """A request for a link, and the code of its mail."""
    answer = await api.client().post("/v1/login-links", FRIEND | caller)
    await api.post_letters()
    return {"request": answer.json()["request"], "code": api.letters.sent[-1]["code"]}


async def test_a_link_signs_a_friend_in_once(api, problem):
    token = await link(api)
    letter = api.letters.sent[0]
    assert letter["email"] == "f1@example.org"
    assert letter["link"].startswith(f"{BASE}/login#")
    created = await api.client().post("/v1/sessions", {"token": token})
    assert created.status_code == 201
    session = created.json()
    assert session["kind"] == "friend"
    assert session["token"].startswith("ts_")
    cookie = created.headers["set-cookie"]
    for part in ("__Host-tekkie_session=ts_", "HttpOnly", "SameSite=lax", "Secure", "Path=/"):
        assert part in cookie
    me = api.client(session["token"])
    assert (await me.get("/v1/me/offers")).status_code == 200
    problem(await api.client().post("/v1/sessions", {"token": token}), 422, "link-used-up")


async def test_a_link_used_ten_times_at_once_works_once(api):
    token = await link(api)
    answers = await asyncio.gather(
        *(api.client().post("/v1/sessions", {"token": token}) for _ in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [422] * 9


async def test_a_link_is_valid_for_fifteen_minutes(api, clock, problem):
    token = await link(api)
    await clock.advance(timedelta(minutes=15))
    problem(await api.client().post("/v1/sessions", {"token": token}), 422, "link-used-up")


async def test_known_and_unknown_addresses_get_the_same_response(api):
    known = await api.client().post("/v1/login-links", FRIEND)
    unknown = await api.client().post("/v1/login-links", FRIEND | {"email": "x@example.org"})
    wrong_kind = await api.client().post("/v1/login-links", FRIEND | {"kind": "operator"})
    assert known.status_code == unknown.status_code == wrong_kind.status_code == 202
    answers = [answer.json() for answer in (known, unknown, wrong_kind)]
    shapes = {tuple(len(str(value)) for value in answer.values()) for answer in answers}
    assert len(shapes) == 1
    assert {answer["expires_in_s"] for answer in answers} == {MAIL_LIFE.total_seconds()}
    await api.post_letters()
    assert len(api.letters.sent) == 1


async def test_requests_of_others_lock_nobody_out(api, clock, owner):
    """Somebody else asks for links all the time: one that works is always in the mailbox."""
    for minutes in range(40):
        assert (await api.client().post("/v1/login-links", FRIEND)).status_code == 202
        await api.post_letters()
        if minutes % 10 == 0:
            newest = api.letters.sent[-1]["link"].rpartition("#")[2]
            created = await api.client().post("/v1/sessions", {"token": newest})
            assert created.status_code == 201, minutes
        await clock.advance(timedelta(minutes=1))
    assert len(api.letters.sent) <= 5 * 3
    assert await owner.fetchval("SELECT count(*) FROM account_mails") == len(api.letters.sent)


async def test_a_link_arrives_although_the_mail_server_lets_it_wait(api, clock):
    api.letters.results = [Retry("451 4.7.1"), Retry("451 4.7.1")]
    await api.client().post("/v1/login-links", FRIEND)
    for minutes in (0, 5, 20):
        await clock.advance(timedelta(minutes=minutes))
        await api.post_letters()
    [letter] = api.letters.sent
    await clock.advance(timedelta(minutes=14))
    token = letter["link"].rpartition("#")[2]
    assert (await api.client().post("/v1/sessions", {"token": token})).status_code == 201


async def test_neither_link_nor_code_is_stored(api, owner):
    code, token = await request_code(api), await link(api)
    rows = [
        row
        for table in ("account_mails", "login_links")
        for row in await owner.fetch(f"SELECT to_jsonb(t)::text FROM {table} t")
    ]
    assert len(rows) == 4
    for secret in (token, code["code"], code["request"]):
        assert not any(secret in str(row) for row in rows)


async def test_a_code_signs_in_the_browser_that_asked_once(api, problem):
    asked = await request_code(api)
    other = await request_code(api)
    crossed = other | {"code": asked["code"]}
    problem(await api.client().post("/v1/sessions/code", crossed), 422, "code-refused")
    typed = asked | {"code": f" {asked['code'][:3]} {asked['code'][3:]} "}
    created = await api.client().post("/v1/sessions/code", typed)
    assert created.status_code == 201
    assert "tekkie_session=ts_" in created.headers["set-cookie"]
    me = api.client(created.json()["token"])
    assert (await me.get("/v1/me/offers")).status_code == 200
    problem(await api.client().post("/v1/sessions/code", asked), 422, "code-refused")


async def test_a_code_and_its_link_are_used_up_together(api, problem):
    asked = await request_code(api)
    token = api.letters.sent[-1]["link"].rpartition("#")[2]
    assert (await api.client().post("/v1/sessions", {"token": token})).status_code == 201
    problem(await api.client().post("/v1/sessions/code", asked), 422, "code-refused")


async def test_a_code_can_be_tried_five_times(api, problem):
    asked = await request_code(api)
    wrong = asked | {"code": "000000" if asked["code"] != "000000" else "000001"}
    for _ in range(5):
        problem(await api.client().post("/v1/sessions/code", wrong), 422, "code-refused")
    problem(await api.client().post("/v1/sessions/code", asked), 422, "code-refused")
    token = api.letters.sent[-1]["link"].rpartition("#")[2]
    assert (await api.client().post("/v1/sessions", {"token": token})).status_code == 201


async def test_codes_of_one_address_can_be_tried_a_hundred_times_a_day(api, clock, owner, problem):
    await request_code(api)
    await owner.execute("UPDATE account_mails SET code_tries = 100")
    asked = await request_code(api)
    problem(await api.client().post("/v1/sessions/code", asked), 422, "code-refused")
    await clock.advance(timedelta(days=1))
    asked = await request_code(api)
    assert (await api.client().post("/v1/sessions/code", asked)).status_code == 201


async def test_an_unknown_address_has_no_code(api, owner, problem):
    answer = await api.client().post("/v1/login-links", FRIEND | {"email": "x@example.org"})
    await api.post_letters()
    request_sha256 = await owner.fetchval("SELECT request_sha256 FROM account_mails")
    code = mailed_secrets.of_login(api.rt.settings.key(), request_sha256).code
    asked = {"request": answer.json()["request"], "code": code}
    problem(await api.client().post("/v1/sessions/code", asked), 422, "code-refused")


async def test_a_suspended_friend_loses_access_at_once(api, owner, problem):
    friend = await api.friend("f1")
    token = await link(api)
    await owner.execute("UPDATE friends SET state = 'suspended' WHERE ref = 'f1'")
    problem(await friend.get("/v1/me/offers"), 401, "unauthenticated")
    problem(await api.client().post("/v1/sessions", {"token": token}), 422, "link-used-up")
    await api.client().post("/v1/login-links", FRIEND)
    await api.post_letters()
    assert len(api.letters.sent) == 1
    with pytest.raises(NotFound):
        await sessions.create_token(api.rt, PersonId(api.friends["f1"]))


async def test_a_session_from_before_a_suspension_never_works_again(api, owner, problem):
    friend, before = await api.friend("f1"), await link(api)
    desk = await api.operator()
    path = f"/v1/desk/friends/{api.friends['f1']}/state"
    for state in ("suspended", "active"):
        assert (await desk.post(path, {"state": state})).status_code == 200
    problem(await friend.get("/v1/me/offers"), 401, "unauthenticated")
    problem(await api.client().post("/v1/sessions", {"token": before}), 422, "link-used-up")
    token = await link(api)
    assert (await api.client().post("/v1/sessions", {"token": token})).status_code == 201
    acts = await owner.fetch("SELECT act, data FROM audit WHERE act LIKE 'sessions.%'")
    assert [(row["act"], row["data"]) for row in acts] == [("sessions.revoked", {"sessions": 1})]


async def test_signing_in_waits_for_a_suspension_and_then_fails(api, owner, problem):
    token, friend_id = await link(api), api.friends["f1"]
    await owner.execute("BEGIN")
    await owner.execute("UPDATE friends SET state = 'suspended' WHERE id = $1", friend_id)
    await owner.execute("SELECT FROM people WHERE id = $1 FOR NO KEY UPDATE", friend_id)
    signing_in = asyncio.create_task(api.client().post("/v1/sessions", {"token": token}))
    waiting = """
        SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE a.datname = current_database() AND NOT l.granted"""
    async with asyncio.timeout(5):
        while not await owner.fetchval(waiting):
            assert not signing_in.done()
    await owner.execute("COMMIT")
    problem(await signing_in, 422, "link-used-up")


async def test_a_removed_operator_loses_access_and_the_address_is_free(api, owner, problem):
    operator = await api.operator()
    [account] = await sessions.list_operators(api.rt)
    await sessions.remove_operator(api.rt, account.id, actor="desk")
    problem(await operator.get("/v1/desk/queues"), 401, "unauthenticated")
    with pytest.raises(NotFound):
        await sessions.create_token(api.rt, account.id)
    with pytest.raises(NotFound):
        await sessions.remove_operator(api.rt, account.id, actor="desk")
    assert await sessions.list_operators(api.rt) == []
    assert await owner.fetchval("SELECT name FROM people WHERE id = $1", account.id) == "Olga Pult"
    assert await sessions.add_operator(api.rt, "Olga Pult", account.email) != account.id


async def test_a_role_is_in_the_session_and_changes_at_once(api, problem):
    viewer = await api.operator(OperatorRole.VIEWER)
    path = f"/v1/desk/friends/{api.friends['f1']}/state"
    refused = problem(await viewer.post(path, {"state": "paused"}), 403, "forbidden")
    assert "role dispatcher" in refused["detail"]
    assert (await viewer.get("/v1/sessions/current")).json()["role"] == "viewer"
    [account] = await sessions.list_operators(api.rt)
    await sessions.set_role(api.rt, account.id, OperatorRole.DISPATCHER, actor="desk")
    assert (await viewer.post(path, {"state": "paused"})).status_code == 200
    assert (await (await api.friend("f2")).get("/v1/sessions/current")).json()["role"] is None


async def test_a_session_ends_by_time_and_by_signing_out(api, clock, problem):
    friend = await api.friend("f1")
    assert (await friend.delete("/v1/sessions/current")).status_code == 204
    problem(await friend.get("/v1/me/offers"), 401, "unauthenticated")
    brief = await sessions.create_token(api.rt, PersonId(api.friends["f1"]), timedelta(hours=1))
    assert (await api.client(brief).get("/v1/me/offers")).status_code == 200
    await clock.advance(timedelta(hours=1))
    problem(await api.client(brief).get("/v1/me/offers"), 401, "unauthenticated")


async def test_an_operator_signs_in_and_is_added_once(api):
    first = await sessions.add_operator(api.rt, "Olga Pult", "Desk@example.com")
    again = await sessions.add_operator(api.rt, "Someone Else", "desk@example.com")
    assert first == again
    token = await link(api, email="desk@example.com", kind="operator")
    created = await api.client().post("/v1/sessions", {"token": token})
    assert created.json()["kind"] == "operator"
    by_hand = await sessions.create_login_link(api.rt, first)
    assert (await api.client().post("/v1/sessions", {"token": by_hand})).status_code == 201


async def test_nobody_gets_a_link_for_a_customer(api, owner):
    await api.book()
    person = await owner.fetchval("SELECT customer_id FROM bookings")
    for make in (sessions.create_login_link, sessions.create_token):
        with pytest.raises(NotFound):
            await make(api.rt, PersonId(person))


async def signed_in(api, ref="f1"):
    """The session cookie of a friend."""
    token = await sessions.create_token(api.rt, PersonId(api.friends[ref]))
    return {"Cookie": f"__Host-tekkie_session={token}"}


async def test_a_cookie_can_read_and_can_write_from_our_own_pages_only(api, problem):
    booking = await api.book()
    offers = await api.offers(booking)
    cookie = await signed_in(api)
    http = api.http
    assert (await http.get("/v1/me/offers", headers=cookie)).status_code == 200
    path = f"/v1/offers/{offers['f1']}/decline"
    for headers in (
        {},
        {"Content-Type": "application/json"},
        {"Origin": BASE},
        OWN_ORIGIN | {"Origin": "https://evil.example"},
        OWN_ORIGIN | {"Origin": "null"},
        OWN_ORIGIN | {"Origin": "https://tekkie.test.evil.example"},
        OWN_ORIGIN | {"Origin": "http://tekkie.test"},
        OWN_ORIGIN | {"Sec-Fetch-Site": "cross-site"},
        OWN_ORIGIN | {"Sec-Fetch-Site": "same-site"},
    ):
        answer = await http.post(path, headers=cookie | headers)
        problem(answer, 403, "cross-site")
    assert (await http.post(path, headers=cookie | OWN_ORIGIN)).status_code == 200
    fetched = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
    assert (await http.post(path, headers=cookie | fetched)).status_code == 200


async def test_by_https_a_cookie_that_another_host_may_have_set_is_ignored(api, problem):
    cookie = await signed_in(api)
    assert (await api.http.get("/v1/me/offers", headers=cookie)).status_code == 200
    plain = {"Cookie": cookie["Cookie"].removeprefix("__Host-")}
    problem(await api.http.get("/v1/me/offers", headers=plain), 401, "unauthenticated")


async def test_a_form_of_another_site_is_refused(api, problem):
    cookie = await signed_in(api)
    answer = await api.http.post(
        "/v1/quotes", headers=cookie | {"Origin": "https://evil.example"}, data={"a": "b"}
    )
    problem(answer, 415, "unsupported-media-type")


async def test_an_expired_cookie_does_not_prevent_a_booking(api):
    headers = {"Cookie": "__Host-tekkie_session=ts_old"}
    answer = await api.http.post("/v1/bookings", headers=headers, json=BOOKING)
    assert answer.status_code == 201


async def test_signing_out_by_cookie_deletes_it(api, problem):
    cookie = await signed_in(api)
    gone = await api.http.delete("/v1/sessions/current", headers=cookie | OWN_ORIGIN)
    assert gone.status_code == 204
    cleared = gone.headers["set-cookie"]
    assert '__Host-tekkie_session=""' in cleared
    assert "Secure" in cleared
    problem(await api.http.get("/v1/me/offers", headers=cookie), 401, "unauthenticated")


async def test_a_revoked_key_is_invalid_at_once(api, owner, problem):
    partner, key = await accounts.add(api.rt, "Radio Meier")
    second = await accounts.add_key(api.rt, "Radio Meier")
    assert key.startswith("tk_live_")
    assert (await api.client(key).get("/v1/bookings")).status_code == 200
    await accounts.revoke_key(api.rt, key[:16])
    problem(await api.client(key).get("/v1/bookings"), 401, "unauthenticated")
    assert (await api.client(second).get("/v1/bookings")).status_code == 200
    [listed] = await accounts.list_partners(api.rt)
    assert listed.id == partner.id
    assert [bool(known.revoked_at) for known in listed.keys] == [True, False]
    kept = str(await owner.fetch("SELECT * FROM partner_keys"))
    assert key not in kept
    assert second not in kept
    entries = await owner.fetch(
        "SELECT kind FROM journal WHERE subject_kind = 'partner' ORDER BY seq"
    )
    made, revoked = "partner.key_made", "partner.key_revoked"
    assert [row["kind"] for row in entries] == ["partner.added", made, made, revoked]


async def test_partner_names_are_unique_and_keys_must_exist(api):
    await accounts.add(api.rt, "Radio Meier")
    with pytest.raises(accounts.NameTaken):
        await accounts.add(api.rt, "Radio Meier")
    with pytest.raises(NotFound):
        await accounts.add_key(api.rt, "Nobody")
    with pytest.raises(NotFound):
        await accounts.revoke_key(api.rt, "tk_live_nothing1")


async def test_a_members_only_partner_gets_only_members(api, owner):
    partner = await api.partner("Community", members_only=True)
    nobody = await partner.post("/v1/bookings", BOOKING)
    assert nobody.json()["state"] == "unfilled"
    assert nobody.json()["offers"] == {"live": 0}


async def test_a_session_has_its_owner_and_its_end(api, clock, problem):
    created = await clock.now()
    for caller, kind, id_ in (
        (await api.friend("f1"), "friend", str(api.friends["f1"])),
        (await api.operator(), "operator", None),
    ):
        result = (await caller.get("/v1/sessions/current")).json()
        assert result["kind"] == kind
        assert id_ in (None, result["id"])
        assert result["name"] == {"friend": "F1 Muster", "operator": "Olga Pult"}[kind]
        expires_at = datetime.fromisoformat(result["expires_at"])
        assert expires_at - datetime.fromisoformat(result["server_time"]) <= SESSION_LIFE
        assert expires_at - created >= SESSION_LIFE
    problem(await api.client().get("/v1/sessions/current"), 401, "unauthenticated")
    gone = await api.friend("f1")
    await gone.delete("/v1/sessions/current")
    problem(await gone.get("/v1/sessions/current"), 401, "unauthenticated")


async def test_one_browser_may_hold_a_friends_and_an_operators_session(api):
    person = await sessions.add_operator(api.rt, "Dora Desk", "dora@example.org")
    link = await sessions.create_login_link(api.rt, person)
    created = await api.http.post("/v1/sessions", json={"token": link})
    at_desk = created.headers["set-cookie"].partition(";")[0]
    assert at_desk.startswith("__Host-tekkie_desk=ts_")
    both = {"Cookie": f"{(await signed_in(api))['Cookie']}; {at_desk}"}
    alone = {"Cookie": at_desk}

    async def kind(headers):
        answer = await api.http.get("/v1/sessions/current", headers=headers)
        return answer.json()["kind"]

    assert await kind(both) == "friend"
    assert await kind(both | {"Tekkie-Face": "desk"}) == "operator"
    assert await kind(alone) == "operator"
    gone = await api.http.delete(
        "/v1/sessions/current", headers=both | OWN_ORIGIN | {"Tekkie-Face": "desk"}
    )
    assert '__Host-tekkie_desk=""' in gone.headers["set-cookie"]
    assert await kind(both) == "friend"
