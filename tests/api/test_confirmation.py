"""A booking without a partner's key: nobody is asked before the mail address is confirmed."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from data.records.ids import BookingId
from dispatch.flows.jobs import commands
from dispatch.rules.trust import mailed_secrets
from dispatch.rules.trust.mailed_secrets import MailedSecrets
from tests.api.conftest import BOOKING, ApiHarness

RUNG = "SELECT count(*) FROM messages WHERE audience = 'friend'"


@pytest.fixture
def strict(api: ApiHarness) -> ApiHarness:
    """The API as installed: customers without a partner confirm their mail address."""
    api.rt.settings = api.rt.settings.model_copy(update={"anonymous_bookings": "confirm"})
    api.rt.policy = replace(api.rt.policy, proof_after_bookings=4)
    return api


def code_of(api: ApiHarness, booking) -> str:
    """The code in the letter."""
    return secrets_of(api, booking).code


def secrets_of(api: ApiHarness, booking) -> MailedSecrets:
    return mailed_secrets.of_booking(api.rt.settings.key(), BookingId(UUID(booking["id"])))


def other(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


async def confirm(api: ApiHarness, booking, code):
    path = f"/v1/bookings/{booking['id']}/confirm"
    return await api.client(booking["token"]).post(path, {"code": code})


def customer(**changes):
    return {"customer": BOOKING["customer"] | changes}


async def test_nobody_is_asked_until_the_code_of_the_letter_is_entered(strict, owner):
    booking = await strict.book()
    assert (booking["state"], booking["offers"]) == ("unconfirmed", {"live": 0})
    assert await owner.fetchval(RUNG) == 0
    templates = await owner.fetch("SELECT template FROM messages")
    assert [row["template"] for row in templates] == ["confirm_booking"]

    done = await confirm(strict, booking, code_of(strict, booking))
    assert done.status_code == 200, done.text
    assert (done.json()["state"], done.json()["offers"]) == ("open", {"live": 4})
    again = await confirm(strict, booking, code_of(strict, booking))
    assert again.json()["offers"] == {"live": 4}


async def test_a_partner_and_the_desk_vouch_for_their_customers(strict):
    for caller in (await strict.partner(), await strict.operator()):
        answer = await caller.post("/v1/bookings", BOOKING)
        assert answer.json()["state"] == "open"


async def test_a_customer_confirmed_lately_is_known_by_address_and_number_together(strict, clock):
    booking = await strict.book()
    await confirm(strict, booking, code_of(strict, booking))
    assert (await strict.book())["state"] == "open"
    for changes in ({"phone": "044 000 17 40"}, {"email": "verena@example.com"}):
        assert (await strict.book(**customer(**changes)))["state"] == "unconfirmed"
    await clock.advance(strict.rt.policy.confirmed_for)
    assert (await strict.book())["state"] == "unconfirmed"


async def test_wrong_codes_are_counted_and_the_link_works_on(strict, problem):
    booking = await strict.book()
    right = code_of(strict, booking)
    for _ in range(strict.rt.policy.wrong_codes_max):
        problem(await confirm(strict, booking, other(right)), 422, "wrong-code")
    problem(await confirm(strict, booking, right), 409, "too-many-codes")
    link = secrets_of(strict, booking).link
    assert (await confirm(strict, booking, link)).json()["state"] == "open"


async def test_unconfirmed_for_a_day_it_is_cancelled_and_nobody_was_asked(strict, clock, owner):
    booking = await strict.book()
    await clock.advance(strict.rt.policy.confirm_within - timedelta(seconds=1))
    assert await commands.fire_due_timers(strict.rt, 10) == 0
    await clock.advance(timedelta(seconds=1))
    assert await commands.fire_due_timers(strict.rt, 10) == 1
    assert await owner.fetchval("SELECT state FROM bookings") == "cancelled"
    assert await owner.fetchval("SELECT count(*) FROM messages") == 1
    late = await confirm(strict, booking, code_of(strict, booking))
    assert late.status_code == 409


async def test_a_repeat_under_its_key_gets_the_same_unconfirmed_booking(strict):
    first, second = [
        await strict.client().post("/v1/bookings", BOOKING, Idempotency_Key="once")
        for _ in range(2)
    ]
    assert first.json() == second.json()
    assert first.json()["state"] == "unconfirmed"
