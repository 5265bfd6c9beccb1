"""Errands and notices: each call decides once, whatever crashes, hangs, is lost or comes twice."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from data.db import transaction
from data.enums import ErrandState, TimerKind
from data.records import subjects
from data.records.errands import Errand, Heard
from data.store.phone_codes import CodeDelivery
from dispatch.flows import answers, errands
from dispatch.flows.people import phone_numbers
from dispatch.rules.declarations import UndeclaredData
from dispatch.rules.errands import ERRANDS, declared_answer, pauses_s, spread
from dispatch.rules.policy import POLICY
from scheduler.deadlines import sweep
from scheduler.deliveries import CONCURRENCY, LEASE_S
from scheduler.errands import Errands, Notices
from scheduler.providers import Answered, Providers
from scheduler.providers.sms_folder import SmsFolder
from scheduler.senders import GiveUp, Retry
from tests.builders import book_job, import_neighbours

NUMBER = "+41790001739"
LATER = timedelta(seconds=LEASE_S + 1)


class Gateway:
    """The folder's gateway with planned results instead of some answers; it records its calls."""

    def __init__(self, folder):
        self.folder = SmsFolder(folder, b"secret")
        self.calls, self.planned, self.hold = [], [], None

    async def send(self, key, to, text):
        self.calls.append((key, to, text))
        if self.hold:
            await self.hold.wait()
        answer = await self.folder.send(key, to, text)
        return self.planned.pop(0) if self.planned else answer

    async def read(self, reference):
        return self.planned.pop(0) if self.planned else await self.folder.read(reference)

    def verify(self, headers, body):
        return self.folder.verify(headers, body)


@pytest.fixture
def gateway(tmp_path):
    return Gateway(tmp_path / "texts")


@pytest.fixture
def texting(rt):
    """The runtime with a provider of SMS, and one friend."""
    rt.settings = rt.settings.model_copy(update={"sms_provider": "folder"})
    return rt


@pytest.fixture
async def friend(texting):
    return (await import_neighbours(texting, 1))["f1"]


@pytest.fixture
def rows(owner):
    async def read(table="errands"):
        return await owner.fetch(f"SELECT * FROM {table} ORDER BY 1")

    return read


def engine(kind, rt, gateway, **options):
    return kind(rt, Providers(sms=gateway), request_tick=lambda: None, **options)


async def turn(engine):
    """Claim what is due, let it end, and mark it."""
    await engine.tick()
    await asyncio.gather(*engine._under_way)
    await engine.tick()


async def delivery(rt, friend):
    return (await phone_numbers.read(rt, friend)).pending.delivery


async def test_an_answer_is_marked_and_heard_in_one_transaction(texting, friend, gateway, rows):
    await phone_numbers.send_code(texting, friend, NUMBER, host=None)
    await turn(engine(Errands, texting, gateway))
    [row] = await rows()
    assert (row["state"], row["answer"]) == ("done", {"reference": str(row["id"])})
    assert await delivery(texting, friend) == "sent"
    assert [to for _, to, _ in gateway.calls] == [NUMBER]
    assert NUMBER not in str([dict(one) for one in await rows()])


async def test_after_a_crash_between_call_and_mark_the_same_key_is_sent_again(
    texting, friend, gateway, clock, rows
):
    await phone_numbers.send_code(texting, friend, NUMBER, host=None)
    crashed = engine(Errands, texting, gateway)
    await crashed.tick()
    await asyncio.gather(*crashed._under_way)  # called, and never marked
    assert [row["state"] for row in await rows()] == ["pending"]
    await clock.advance(LATER)
    await turn(engine(Errands, texting, gateway))
    assert len(gateway.calls) == 2
    assert gateway.calls[0] == gateway.calls[1]
    assert len(gateway.folder.texts()) == 1
    assert [row["state"] for row in await rows()] == ["done"]


async def test_an_answer_heard_twice_or_after_another_decides_once(texting, friend, gateway, rows):
    await phone_numbers.send_code(texting, friend, NUMBER, host=None)
    [row] = await rows()
    done = Heard(state=ErrandState.DONE, answer={"reference": "7", "number": NUMBER})
    refused = Heard(state=ErrandState.REFUSED, answer={}, problem="the number is unknown")
    assert await answers.hear(texting, row["id"], done)
    assert not await answers.hear(texting, row["id"], done)
    assert not await answers.hear(texting, row["id"], refused)
    [row] = await rows()
    assert (row["state"], row["answer"]) == ("done", {"reference": "7"})
    assert await delivery(texting, friend) == "sent"


async def test_an_answer_that_comes_after_the_lease_ends_the_errand_for_all(
    texting, friend, gateway, clock, rows
):
    await phone_numbers.send_code(texting, friend, NUMBER, host=None)
    slow, quick = engine(Errands, texting, gateway), engine(Errands, texting, gateway)
    gateway.hold = asyncio.Event()
    await slow.tick()
    await asyncio.sleep(0)
    await clock.advance(LATER)
    await quick.tick()
    gateway.hold.set()
    await asyncio.gather(*slow._under_way, *quick._under_way)
    await slow.tick()
    await quick.tick()
    assert len(gateway.folder.texts()) == 1
    assert [(row["state"], row["attempts"]) for row in await rows()] == [("done", 2)]


async def test_a_failed_call_is_tried_again_after_growing_pauses_and_parked(
    texting, friend, gateway, clock, rows
):
    texting.policy = replace(texting.policy, errand_attempts=3)
    texting.chance = Random(1)
    await queue(texting, friend)
    calling = engine(Errands, texting, gateway)
    gateway.planned = [Retry("away")] * 3
    pauses = []
    for _ in range(3):
        await turn(calling)
        [row] = await rows()
        pauses.append(row["next_at"] - await clock.now())
        await clock.set(max(row["next_at"], await clock.now()))
    assert timedelta(seconds=2.5) <= pauses[0] <= timedelta(seconds=7.5)
    assert timedelta(seconds=10) <= pauses[1] <= timedelta(seconds=30)
    assert (row["state"], row["attempts"], row["problem"]) == ("parked", 3, "away")
    await answers.retry(texting, row["id"], actor="desk")
    await turn(calling)
    assert [row["state"] for row in await rows()] == ["done"]


async def queue(rt, friend):
    """A code without an end, so that only the attempts of the policy limit it."""
    await phone_numbers.send_code(rt, friend, NUMBER, host=None)
    async with transaction(rt.pool) as tx:
        await tx.execute("UPDATE errands SET expires_at = NULL")


async def test_a_provider_that_refuses_this_service_parks_the_errand_at_once(
    texting, friend, gateway, rows
):
    await phone_numbers.send_code(texting, friend, NUMBER, host=None)
    gateway.planned = [GiveUp("the gateway answered 401")]
    await turn(engine(Errands, texting, gateway))
    assert [row["state"] for row in await rows()] == ["parked"]


async def test_a_number_that_the_provider_refuses_is_told_on_the_page(texting, friend, gateway):
    await phone_numbers.send_code(texting, friend, NUMBER, host=None)
    gateway.planned = [Answered(answer={}, problem="the gateway answered 400")]
    await turn(engine(Errands, texting, gateway))
    assert await delivery(texting, friend) == "undeliverable"


async def test_a_code_that_is_late_is_not_sent(texting, friend, gateway, clock, rows):
    await phone_numbers.send_code(texting, friend, NUMBER, host=None)
    await clock.advance(POLICY.phone_code_life)
    await turn(engine(Errands, texting, gateway))
    assert gateway.calls == []
    assert [row["state"] for row in await rows()] == ["refused"]


async def test_a_provider_that_hangs_delays_no_deadline(texting, friend, gateway, clock, owner):
    for _ in range(CONCURRENCY + 1):
        async with transaction(texting.pool) as tx:
            await errands.add(
                tx,
                Errand(
                    id=texting.new_id(),
                    kind="sms.send",
                    subject=subjects.person(friend),
                    request={"text": "phone_code"},
                ),
            )
    await phone_numbers.send_code(texting, friend, NUMBER, host=None)
    gateway.hold = asyncio.Event()
    calling = engine(Errands, texting, gateway, timeout_s=0.01)
    await book_job(texting)
    await calling.tick()
    await clock.advance(timedelta(hours=2))
    assert await sweep(texting) == 1
    expired = "SELECT count(*) FROM timers WHERE kind = $1 AND due_at < moment()"
    assert await owner.fetchval(expired, TimerKind.OFFERS_EXPIRE) == 0
    await asyncio.gather(*calling._under_way)
    await calling.finish(1)
    late = "SELECT count(*) FROM errands WHERE problem LIKE 'it took longer%'"
    assert await owner.fetchval(late) >= len(gateway.calls)


async def test_a_receipt_is_stored_once_and_leads_to_the_present_state(
    texting, friend, gateway, rows
):
    await phone_numbers.send_code(texting, friend, NUMBER, host=None)
    await turn(engine(Errands, texting, gateway))
    reference = str((await rows())[0]["id"])
    gateway.folder.set_delivery(reference, CodeDelivery.UNDELIVERABLE)
    event = gateway.verify(*gateway.folder.event(reference))
    for _ in range(2):
        await answers.store_notice(
            texting, provider="sms", event_id=event.id, reference=event.reference
        )
    assert len(await rows("notices")) == 1
    await turn(engine(Notices, texting, gateway))
    assert [row["state"] for row in await rows("notices")] == ["done"]
    assert await delivery(texting, friend) == "undeliverable"


async def test_a_receipt_before_the_answer_waits_for_it_and_the_later_one_does_not_undo_it(
    texting, friend, gateway, clock, rows
):
    await phone_numbers.send_code(texting, friend, NUMBER, host=None)
    calling, reading = engine(Errands, texting, gateway), engine(Notices, texting, gateway)
    await calling.tick()
    await asyncio.gather(*calling._under_way)  # called, and not marked
    reference = str((await rows())[0]["id"])
    await answers.store_notice(texting, provider="sms", event_id="1", reference=reference)
    await turn(reading)
    [notice] = await rows("notices")
    assert (notice["state"], notice["problem"]) == ("pending", "no errand has this reference")
    await calling.tick()
    await clock.advance(timedelta(seconds=10))
    await turn(reading)
    assert await delivery(texting, friend) == "delivered"
    gateway.planned = [Answered(answer={"delivery": "sent"})]
    await answers.store_notice(texting, provider="sms", event_id="2", reference=reference)
    await turn(reading)
    assert await delivery(texting, friend) == "delivered"


async def test_a_receipt_of_nobody_is_given_up(texting, gateway, clock, rows):
    texting.policy = replace(texting.policy, errand_attempts=1)
    await answers.store_notice(texting, provider="sms", event_id="1", reference="unknown")
    gateway.planned = [Answered(answer={"delivery": "delivered"})]
    await turn(engine(Notices, texting, gateway))
    assert [row["state"] for row in await rows("notices")] == ["refused"]


async def test_old_errands_and_notices_are_deleted(texting, friend, gateway, clock, rows):
    from dispatch.flows import maintenance

    await phone_numbers.send_code(texting, friend, NUMBER, host=None)
    await turn(engine(Errands, texting, gateway))
    await answers.store_notice(texting, provider="sms", event_id="1", reference="7")
    gateway.planned = [GiveUp("unknown")]
    await turn(engine(Notices, texting, gateway))
    await clock.advance(POLICY.errands_kept - timedelta(seconds=1))
    await maintenance.delete_old_rows(texting)
    assert len(await rows()) == len(await rows("notices")) == 1
    await clock.advance(timedelta(seconds=2))
    await maintenance.delete_old_rows(texting)
    assert await rows() == await rows("notices") == await rows("phone_codes") == []
    person = await phone_numbers.read(texting, friend)
    assert person.pending is None


async def test_an_undeclared_errand_is_refused(texting, friend):
    for kind, request in (("sms.sent", {"text": "x"}), ("sms.send", {"text": "x", "to": "+41"})):
        one = Errand(
            id=texting.new_id(), kind=kind, subject=subjects.person(friend), request=request
        )
        with pytest.raises(UndeclaredData, match=kind):
            async with transaction(texting.pool) as tx:
                await errands.add(tx, one)


def test_every_kind_is_heard_by_a_flow():
    assert answers.HEARS.keys() == ERRANDS.keys()


def test_of_an_answer_only_what_is_declared_is_kept():
    told = {"reference": "7", "msisdn": 41790001739}
    assert declared_answer("sms.send", told) == {"reference": "7"}


def test_pauses_grow_to_an_hour_and_are_spread():
    pauses = pauses_s(POLICY)
    assert len(pauses) == POLICY.errand_attempts - 1
    assert pauses[:3] == (5.0, 20.0, 80.0)
    assert pauses[-1] == 3600.0
    assert {spread(20.0, 0.0), spread(20.0, 0.5), spread(20.0, 1.0)} == {10.0, 20.0, 30.0}
