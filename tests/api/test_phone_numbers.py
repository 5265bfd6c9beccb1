"""A telephone number is confirmed by a code, within limits; events of the provider are heard."""

import asyncio
from datetime import timedelta

import pytest

from dispatch.rules.policy import POLICY
from tests.api.conftest import expect
from tests.sms import Texts

PHONE, CODE, NOTICES = "/v1/me/phone", "/v1/me/phone/code", "/v1/notices/sms"
MOBILE = {"number": "079 000 17 39"}
E164 = "+41790001739"


@pytest.fixture
def texts(api):
    return Texts(api)


def wrong(code):
    return {"code": f"{(int(code) + 1) % 10**6:06}"}


async def ask(caller, number=MOBILE["number"]):
    return await caller.post(PHONE, {"number": number})


async def test_a_number_is_confirmed_by_the_code_of_the_sms(api, texts, owner, clock):
    friend = await api.friend("f1")
    before = (await friend.get(PHONE)).json()
    assert before == {"number": "+41440000000", "confirmed_at": None, "pending": None}
    asked = (await ask(friend)).json()
    assert asked["number"] == "+41440000000"
    assert (asked["pending"]["number"], asked["pending"]["tries_left"]) == (E164, 5)
    code = await texts.code()
    assert (await friend.get(PHONE)).json()["pending"]["delivery"] == "sent"
    done = await friend.post(CODE, {"code": f"{code[:3]} {code[3:]}"})
    assert done.status_code == 200, done.text
    assert (done.json()["number"], done.json()["pending"]) == (E164, None)
    assert done.json()["confirmed_at"] is not None
    assert (await friend.get("/v1/me/profile")).json()["phone"] == E164
    kinds = [row["kind"] for row in await owner.fetch("SELECT kind FROM journal")]
    assert kinds == ["person.phone_confirmed"]
    expect(await friend.post(CODE, {"code": code}), 409, "phone-code-over")
    expect(await ask(friend), 409, "already-confirmed")


async def test_neither_code_nor_number_is_stored_outside_the_table_of_people(api, texts, owner):
    await ask(await api.friend("f1"))
    code = await texts.code()
    tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'tekkie'"
    holding = {
        row["table_name"]
        for row in await owner.fetch(tables)
        for one in await owner.fetch(f"SELECT to_jsonb(t)::text FROM {row['table_name']} t")
        if E164[1:] in one[0] or f'"{code}"' in one[0]
    }
    assert holding == {"people"}


async def test_a_customer_confirms_the_number_of_the_account(api, texts):
    await api.book()
    account = await api.account()
    assert (await account.post(PHONE, MOBILE)).json()["pending"]["number"] == E164
    answer = (await account.post(CODE, {"code": await texts.code()})).json()
    assert (answer["number"], answer["pending"]) == (E164, None)
    assert (await account.get("/v1/account")).json()["phone"] == E164


async def test_five_wrong_codes_end_the_code(api, texts):
    friend = await api.friend("f1")
    await ask(friend)
    code = await texts.code()
    for left in (4, 3, 2, 1, 0):
        expect(await friend.post(CODE, wrong(code)), 422, "phone-code-refused")
        assert (await friend.get(PHONE)).json()["pending"]["tries_left"] == left
    expect(await friend.post(CODE, {"code": code}), 409, "phone-code-over")
    assert (await friend.get(PHONE)).json()["confirmed_at"] is None


async def test_guesses_at_once_count_each(api, texts):
    friend = await api.friend("f1")
    await ask(friend)
    code = await texts.code()
    answers = await asyncio.gather(*(friend.post(CODE, wrong(code)) for _ in range(10)))
    assert sorted(one.status_code for one in answers) == [409] * 5 + [422] * 5


async def test_a_code_is_valid_for_ten_minutes(api, texts, clock):
    friend = await api.friend("f1")
    await ask(friend)
    code = await texts.code()
    await clock.advance(POLICY.phone_code_life)
    expect(await friend.post(CODE, {"code": code}), 409, "phone-code-over")


async def test_a_code_of_another_person_or_of_an_earlier_sms_is_refused(api, texts):
    friend, other = await api.friend("f1"), await api.friend("f2")
    await ask(friend)
    first = await texts.code()
    await ask(other, "079 000 17 40")
    expect(await other.post(CODE, {"code": first}), 422, "phone-code-refused")
    await ask(friend, "079 000 17 41")
    expect(await friend.post(CODE, {"code": first}), 422, "phone-code-refused")
    done = await friend.post(CODE, {"code": await texts.code()})
    assert done.json()["number"] == "+41790001741"


GUARDED = (
    "UPDATE people SET guardian_name = 'P', guardian_email = 'p@example.com', guardian_phone = $1 "
    "WHERE email = 'f1@example.org'"
)


async def test_the_number_of_the_guardian_is_not_the_friends_own(api, texts, owner):
    """Neither when it is asked for, nor when it became the guardian's meanwhile."""
    friend = await api.friend("f1")
    await ask(friend)
    await owner.execute(GUARDED, E164)
    expect(await friend.post(CODE, {"code": await texts.code()}), 409, "phone-code-over")
    refused = expect(await ask(friend), 422, "validation-failed")
    assert [one["field"] for one in refused["errors"]] == ["number"]
    assert (await ask(friend, "079 000 17 40")).status_code == 200


async def test_a_code_is_not_sent_to_a_number_that_was_replaced(api, texts):
    friend = await api.friend("f1")
    await ask(friend)
    await ask(friend, "079 000 17 40")
    await texts.send()
    assert [one["to"] for one in texts.folder.texts()] == ["+41790001740"]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("044 211 11 11", "number-not-mobile"),
        ("+33 6 12 34 56 78", "number-not-mobile"),
        ("+44 7400 123456", "number-not-mobile"),
        ("0900 123 456", "validation-failed"),
        ("079", "validation-failed"),
        ("call me", "validation-failed"),
        ("079 000 17 39 ext 4", "validation-failed"),
        ("0" * 41, "validation-failed"),
        (41790001739, "validation-failed"),
    ],
)
async def test_only_a_mobile_of_a_market_gets_a_code(api, texts, number, code):
    refused = expect(await (await api.friend("f1")).post(PHONE, {"number": number}), 422, code)
    assert [one["field"] for one in refused["errors"]] == ["number"]
    assert await texts.send() == []


@pytest.mark.parametrize(
    "number", ["+423 660 234 567", "+43 664 1234567", "+48 512 345 678", "+49 1512 3456789"]
)
async def test_mobiles_of_all_markets_get_a_code(api, texts, number):
    assert (await ask(await api.friend("f1"), number)).status_code == 200
    assert len(await texts.send()) == 1


async def test_a_number_gets_three_codes_an_hour_from_all_together(api, texts, clock):
    for ref in ("f1", "f2", "f3"):
        assert (await ask(await api.friend(ref))).status_code == 200
    friend = await api.friend("f4")
    expect(await ask(friend), 429, "too-many-texts")
    assert (await ask(friend, "079 000 17 40")).status_code == 200
    await clock.advance(POLICY.phone_codes_within + timedelta(seconds=1))
    assert (await ask(friend)).status_code == 200


async def test_a_person_and_a_network_get_three_codes_an_hour_whatever_the_number(api, texts):
    friend = await api.friend("f1")
    for last in (1, 2, 3):
        assert (await ask(friend, f"079 000 17 4{last}")).status_code == 200
    expect(await ask(friend, "079 000 17 44"), 429, "too-many-texts")
    from data.records.ids import PersonId
    from dispatch.flows.people import phone_numbers
    from dispatch.rules.people.phone_codes import TooManyTexts

    people = [PersonId(api.friends[ref]) for ref in ("f2", "f3", "f4", "f5")]
    for n, person in enumerate(people[:3]):
        await phone_numbers.send_code(api.rt, person, f"079 000 18 0{n}", host="198.51.100.7")
    with pytest.raises(TooManyTexts):
        await phone_numbers.send_code(api.rt, people[3], "079 000 18 09", host="198.51.100.99")


async def test_a_number_changed_in_any_other_way_is_no_longer_confirmed(api, texts, owner):
    friend = await api.friend("f1")
    await ask(friend)
    await friend.post(CODE, {"code": await texts.code()})
    await ask(friend, "079 000 17 40")
    await owner.execute("UPDATE people SET phone = '+41790001740' WHERE email = 'f1@example.org'")
    state = (await friend.get(PHONE)).json()
    assert state == {"number": "+41790001740", "confirmed_at": None, "pending": None}


async def test_without_a_provider_no_code_can_be_asked_for(api):
    refused = expect(await ask(await api.friend("f1")), 503, "no-texts-sent")
    assert "TEKKIE_SMS_PROVIDER" in refused["detail"]


async def test_an_sms_that_did_not_arrive_is_told_by_a_signed_event(api, texts, owner):
    friend = await api.friend("f1")
    await ask(friend, "079 000 00 00")
    await texts.send()
    headers, body = texts.folder.event(texts.folder.texts()[0]["id"])
    for changed, content in (({}, body + b" "), ({"tekkie-signature": "é"}, body), ({}, b"{}")):
        sent = {**headers, **{k: v.encode("latin-1") for k, v in changed.items()}}
        expect(await api.http.post(NOTICES, content=content, headers=sent), 403, "notice-refused")
    for _ in range(2):
        taken = await api.http.post(NOTICES, content=body, headers=headers)
        assert (taken.status_code, taken.json()) == (200, {"stored": True})
    assert await owner.fetchval("SELECT count(*) FROM notices") == 1
    assert (await friend.get(PHONE)).json()["pending"]["delivery"] == "sent"
    await texts.hear()
    assert (await friend.get(PHONE)).json()["pending"]["delivery"] == "undeliverable"
    expect(await api.http.post("/v1/notices/bank", json={}), 404, "not-found")


async def test_an_erased_person_leaves_no_number_and_no_sms(api, texts, owner):
    await ask(await api.friend("f1"))
    await texts.send()
    done = await (await api.operator()).post("/v1/desk/people/erase", {"person": "f1"})
    assert done.status_code == 200, done.text
    assert texts.folder.texts() == []
    left = "SELECT count(*) FROM people WHERE pending_phone IS NOT NULL"
    assert await owner.fetchval(left) == 0
    assert await owner.fetchval("SELECT count(*) FROM phone_codes") == 0
