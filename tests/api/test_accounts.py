"""A customer's account: one person over all bookings with one confirmed mail address."""

import asyncio

from tests.api.conftest import BOOKING
from tests.api.test_favourites import complete
from tests.api.test_passkeys import Authenticator, register, sign_in

OTHER = BOOKING["customer"] | {"email": "other@example.com", "name": "Otto Beispiel"}


async def ask_link(api, email):
    sent = len(api.letters.sent)
    answer = await api.client().post("/v1/login-links", {"email": email, "kind": "account"})
    await api.post_letters()
    return answer, api.letters.sent[sent:]


async def test_an_account_appears_by_the_mail_and_holds_every_booking_of_its_address(api):
    partner = await api.partner()
    mine = [await api.book(), (await partner.post("/v1/bookings", BOOKING)).json()]
    spelled = BOOKING["customer"] | {"email": "VERA@Example.com"}
    mine.append(await api.book(customer=spelled))
    await api.book(customer=OTHER)
    account = await api.account()
    listed = (await account.get("/v1/account/bookings")).json()
    assert [one["id"] for one in listed["items"]] == [one["id"] for one in reversed(mine)]
    link = listed["items"][-1]["customer_link"].rpartition("/")[2]
    assert link == mine[0]["token"]
    shown = (await account.get("/v1/account")).json()
    assert (shown["name"], shown["email"].lower()) == ("Vera Beispiel", "vera@example.com")
    assert shown["address"]["city"] == "Zürich"


async def test_an_address_without_a_booking_gets_the_same_answer_and_no_mail(api):
    await api.book()
    known, mails = await ask_link(api, "vera@example.com")
    unknown, none = await ask_link(api, "nobody@example.com")
    assert (len(mails), none) == (1, [])
    assert known.status_code == unknown.status_code == 202
    assert known.json().keys() == unknown.json().keys()
    assert known.json()["message"] == unknown.json()["message"]


async def test_two_links_of_one_customer_open_one_account_and_each_works_once(api, problem):
    await api.book()
    tokens = []
    for _ in range(2):
        _, (mail,) = await ask_link(api, "vera@example.com")
        tokens.append(mail["link"].partition("#")[2])
    answers = await asyncio.gather(
        *(api.client().post("/v1/sessions", {"token": token}) for token in tokens)
    )
    signed_in = [api.client(one.json()["token"]) for one in answers]
    current = [(await one.get("/v1/sessions/current")).json() for one in signed_in]
    assert len({one["id"] for one in current}) == 1
    assert {one["kind"] for one in current} == {"account"}
    again = await api.client().post("/v1/sessions", {"token": tokens[0]})
    problem(again, 422, "link-used-up")
    assert (await signed_in[0].delete("/v1/account/sessions")).status_code == 204
    problem(await signed_in[1].get("/v1/account"), 401, "unauthenticated")


async def test_a_signed_in_customer_sees_what_was_written_and_acts_as_by_the_link(api, problem):
    mine, other = await api.book(), await api.book(customer=OTHER)
    account = await api.account()
    at = f"/v1/bookings/{mine['id']}"
    shown = (await account.get(at)).json()
    assert shown["customer"]["name"] == "Vera Beispiel"
    assert shown["customer"]["address"]["street"] == "Bahnhofstrasse 1"
    assert (await api.client(mine["token"]).get(at)).json()["customer"] is None
    assert (await account.post(f"{at}/cancel", {})).json()["state"] == "cancelled"
    for path in (f"/v1/bookings/{other['id']}", f"/v1/bookings/{other['id']}/events"):
        problem(await account.get(path), 404, "not-found")


async def test_a_renewed_link_is_the_one_that_the_account_lists(api):
    mine = await api.book()
    account = await api.account()
    await account.post(f"/v1/bookings/{mine['id']}/renew-link")
    (listed,) = (await account.get("/v1/account/bookings")).json()["items"]
    token = listed["customer_link"].rpartition("/")[2]
    assert token != mine["token"]
    assert (await api.client(token).get(f"/v1/bookings/{mine['id']}")).status_code == 200


async def test_open_and_ended_bookings_are_listed_apart_and_by_pages(api):
    mine = [await api.book() for _ in range(3)]
    account = await api.account()
    await account.post(f"/v1/bookings/{mine[0]['id']}/cancel", {})
    pages, cursor = [], None
    while True:
        params = {"limit": 1, "ended": "false"} | ({"cursor": cursor} if cursor else {})
        page = (await account.get("/v1/account/bookings", **params)).json()
        pages += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert pages == [mine[2]["id"], mine[1]["id"]]
    (ended,) = (await account.get("/v1/account/bookings", ended="true")).json()["items"]
    assert ended["id"] == mine[0]["id"]


async def test_a_signed_in_customer_needs_no_code_for_the_own_address_only(api):
    await api.book()
    account = await api.account()
    api.rt.settings = api.rt.settings.model_copy(update={"anonymous_bookings": "confirm"})
    phone = BOOKING["customer"] | {"phone": "+41 44 000 17 40"}
    own = await account.post("/v1/bookings", BOOKING | {"customer": phone})
    assert own.json()["state"] == "open"
    other = await account.post("/v1/bookings", BOOKING | {"customer": OTHER})
    assert other.json()["state"] == "unconfirmed"


async def test_details_change_and_bookings_keep_what_was_written_in_them(api):
    mine = await api.book()
    account = await api.account()
    details = {"name": "Vera Neu", "language": "fr", "phone": "044 000 17 40"}
    changed = (await account.send("PUT", "/v1/account", json=details)).json()
    assert (changed["name"], changed["phone"]) == ("Vera Neu", "+41440001740")
    assert changed["address"] is None
    kept = (await account.get(f"/v1/bookings/{mine['id']}")).json()["customer"]
    assert kept["name"] == "Vera Beispiel"


async def test_a_favourite_is_kept_by_the_link_or_the_account_and_removed(api, problem):
    earlier, unfinished = await complete(api, "f4"), await api.book()
    at = f"/v1/bookings/{earlier['id']}/favourite"
    kept = await api.client(earlier["token"]).send("PUT", at)
    assert kept.json() == {"favourite": True}
    account = await api.account()
    (shown,) = (await account.get("/v1/account")).json()["favourites"]
    assert (shown["first_name"], shown["booking_id"], shown["jobs"]) == ("F4", earlier["id"], 1)
    again = await account.post("/v1/bookings", BOOKING | {"ask_first": shown["booking_id"]})
    assert list(await api.offers(again.json())) == ["f4"]
    refused = await account.send("PUT", f"/v1/bookings/{unfinished['id']}/favourite")
    problem(refused, 409, "wrong-state")
    assert (await account.delete(at)).json() == {"favourite": False}
    assert (await account.get("/v1/account")).json()["favourites"] == []


async def test_a_customer_exports_and_erases_all_bookings_at_once(api, problem):
    done, under_way = await complete(api, "f4"), await api.book()
    await api.client(done["token"]).post(f"/v1/bookings/{done['id']}/rating", {"stars": 5})
    await api.book(customer=OTHER)
    account = await api.account()
    await account.send("PUT", f"/v1/bookings/{done['id']}/favourite")
    items = (await account.get("/v1/account/export")).json()["items"]
    assert [one["person"]["kind"] for one in items] == ["account", "customer", "customer"]
    assert {b["id"] for one in items for b in one["bookings"]} == {done["id"], under_way["id"]}
    assert [r["stars"] for one in items for r in one["ratings_given"]] == [5]
    assert len(items[0]["favourites"]) == 1

    refused = problem(await account.post("/v1/account/erase"), 409, "still-needed")
    assert under_way["id"] in refused["detail"]
    await account.post(f"/v1/bookings/{under_way['id']}/cancel", {})
    assert (await account.post("/v1/account/erase")).json() == {"bookings": 2}
    problem(await account.get("/v1/account"), 401, "unauthenticated")
    _, mails = await ask_link(api, "vera@example.com")
    assert mails == []
    async with api.rt.pool.acquire() as tx:
        left = await tx.fetch("SELECT name FROM people WHERE kind IN ('account', 'customer')")
        assert sorted(row["name"] for row in left) == ["Otto Beispiel", "–", "–", "–"]
        counts = "SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM favourites)"
        assert tuple(await tx.fetchrow(counts)) == (0, 0)


async def test_a_customer_signs_in_with_a_passkey(api):
    await api.book()
    account = await api.account()
    device = Authenticator()
    made = await register(api, account, device, at="/v1/account/passkeys")
    assert made.status_code == 201, made.text
    begun, _ = await sign_in(api, device)
    assert "tekkie_account=ts_" in begun.headers["set-cookie"]
    again = api.client(begun.json()["token"])
    assert (await again.get("/v1/account")).json()["email"] == "vera@example.com"
