import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from data.db import DatabaseError
from data.enums import Channel, FriendState
from dispatch.flows import maintenance
from dispatch.flows.jobs import commands
from dispatch.flows.people import friends
from dispatch.rules.refusals import NotFound
from scheduler.deliveries import CONCURRENCY, LEASE_S
from scheduler.relay import BACK_OFF_S, Relay
from scheduler.senders import GiveUp, Obsolete, Retry, Sent
from scheduler.senders.mail import Mail
from tests.builders import book_and_accept, book_job, import_neighbours, live_offers_of
from tests.conftest import end_sessions


def always(result):
    return lambda delivery: result


async def test_every_message_is_sent_once(rt, sender, deliver, messages):
    await import_neighbours(rt, 4)
    await book_and_accept(rt)
    await deliver()
    rows = await messages()
    assert {row["state"] for row in rows} == {"sent"}
    assert all(row["sent_at"] for row in rows)
    assert sorted(delivery.message.id for delivery in sender.deliveries) == sorted(
        r["id"] for r in rows
    )
    await deliver()
    assert len(sender.deliveries) == len(rows)


async def test_a_reader_gets_the_messages_of_a_booking_in_order(rt, sender, deliver):
    await import_neighbours(rt, 4)
    booking_id, offer = await book_and_accept(rt)
    await commands.confirm_contact(rt, booking_id, offer.friend_id)
    await deliver()
    loser = next(
        p.message.recipient_id for p in sender.deliveries if p.message.template == "offer_gone"
    )
    assert sender.templates(loser) == ["offer", "offer_gone"]
    assert sender.templates(offer.friend_id) == ["offer", "awarded"]
    customer = next(
        p.message.recipient_id for p in sender.deliveries if p.message.template == "booked"
    )
    assert sender.templates(customer) == ["booked", "friend_found", "contacted"]


async def test_later_messages_wait_for_a_failed_one(rt, clock, sender, deliver):
    await import_neighbours(rt, 4)
    _, offer = await book_and_accept(rt)
    sender.answers["offer"] = always(Retry("not now"))
    await deliver()
    assert sender.templates(offer.friend_id) == ["offer"]
    del sender.answers["offer"]
    await clock.advance(timedelta(seconds=BACK_OFF_S[0]))
    await deliver()
    assert sender.templates(offer.friend_id) == ["offer", "offer", "awarded"]


async def test_another_booking_does_not_wait(rt, sender, deliver):
    await import_neighbours(rt, 4)
    first = live_offers_of(await book_job(rt))[0]
    await book_job(rt, email="other@example.com")
    sender.answers["offer"] = lambda delivery: (
        Retry("no") if delivery.message.booking_id == first.booking_id else Sent()
    )
    await deliver()
    sent = [p for p in sender.deliveries if p.message.recipient_id == first.friend_id]
    assert len({p.message.booking_id for p in sent}) == 2


async def test_a_failure_is_tried_again_further_apart_each_time_and_then_parked(
    rt, clock, sender, deliver, messages
):
    await import_neighbours(rt, 1)
    await book_job(rt)
    sender.answers["booked"] = always(Retry("451 4.3.0"))
    await deliver()
    for tries, pause_s in enumerate(BACK_OFF_S, start=1):
        row = (await messages(template="booked"))[0]
        assert (row["state"], row["attempts"]) == ("pending", tries)
        assert row["next_at"] == await clock.now() + timedelta(seconds=pause_s)
        await clock.advance(timedelta(seconds=pause_s, microseconds=-1))
        await deliver()
        assert sender.templates().count("booked") == tries
        await clock.advance(timedelta(microseconds=1))
        await deliver()
    row = (await messages(template="booked"))[0]
    assert (row["state"], row["problem"]) == ("parked", "451 4.3.0")
    assert len({p.message.id for p in sender.deliveries if p.message.template == "booked"}) == 1


async def test_a_sender_may_ask_for_more_time(rt, clock, sender, deliver, messages):
    await import_neighbours(rt, 1)
    await book_job(rt)
    sender.answers["booked"] = always(Retry("busy", after_s=900))
    await deliver()
    row = (await messages(template="booked"))[0]
    assert row["next_at"] == await clock.now() + timedelta(seconds=900)


async def test_a_permanent_failure_is_parked_at_once_and_delays_no_other(
    rt, sender, deliver, messages
):
    await import_neighbours(rt, 4)
    await book_and_accept(rt)
    sender.answers["booked"] = always(GiveUp("550 5.1.1" + "x" * 600))
    await deliver()
    row = (await messages(template="booked"))[0]
    assert row["state"] == "parked"
    assert len(row["problem"]) == 500
    assert (await messages(template="friend_found"))[0]["state"] == "sent"


async def test_the_desk_can_have_a_parked_message_sent_again(rt, sender, deliver, messages):
    await import_neighbours(rt, 1)
    await book_job(rt)
    sender.answers["booked"] = always(GiveUp("no"))
    await deliver()
    row = (await messages(template="booked"))[0]
    del sender.answers["booked"]
    await maintenance.unpark(rt, row["id"])
    await deliver()
    row = (await messages(template="booked"))[0]
    assert (row["state"], row["attempts"], row["problem"]) == ("sent", 1, None)
    with pytest.raises(NotFound):
        await maintenance.unpark(rt, row["id"])
    with pytest.raises(NotFound):
        await maintenance.unpark(rt, uuid4())


async def test_an_expired_offer_is_not_sent(rt, clock, sender, deliver, messages):
    await import_neighbours(rt, 4)
    await book_job(rt)
    await clock.advance(rt.policy.offer_life)
    await deliver()
    assert "offer" not in sender.templates()
    assert {row["state"] for row in await messages(template="offer")} == {"expired"}
    assert sender.templates() == ["booked"]


async def test_a_failed_offer_message_ends_when_the_offer_expires(
    rt, clock, sender, deliver, messages
):
    await import_neighbours(rt, 1)
    offer = live_offers_of(await book_job(rt))[0]
    sender.answers["offer"] = always(Retry("no"))
    await clock.set(offer.expires_at - timedelta(seconds=2))
    await deliver()
    row = (await messages(template="offer"))[0]
    assert row["next_at"] == offer.expires_at
    await clock.set(offer.expires_at)
    await deliver()
    assert (await messages(template="offer"))[0]["state"] == "expired"


async def test_an_obsolete_message_is_not_sent(rt, sender, deliver, messages):
    await import_neighbours(rt, 1)
    await book_job(rt)
    sender.answers["booked"] = always(Obsolete())
    await deliver()
    assert (await messages(template="booked"))[0]["state"] == "expired"


async def test_a_failing_message_stops_no_batch_and_logs_no_name(
    rt, sender, deliver, messages, caplog
):
    await import_neighbours(rt, 4)
    await book_and_accept(rt)

    def fail(delivery):
        raise RuntimeError(f"cannot mail {delivery.context.email}")

    sender.answers["booked"] = fail
    await deliver()
    row = (await messages(template="booked"))[0]
    assert row["state"] == "pending"
    assert row["problem"].startswith("RuntimeError at fail:")
    assert "example.com" not in row["problem"] + caplog.text
    others = [r for r in await messages() if r["audience"] == "friend"]
    assert {r["state"] for r in others} == {"sent"}


async def test_a_channel_without_a_sender_is_parked(rt, sender, messages):
    await import_neighbours(rt, 1)
    await book_job(rt)
    relay = Relay(rt, {Channel.MAIL: sender}, request_tick=lambda: None)
    await relay.tick()
    await relay.finish(5)
    row = (await messages(template="offer"))[0]
    assert (row["state"], row["problem"]) == ("parked", "there is no sender for the channel push")


async def test_a_slow_recipient_delays_no_other(rt, sender, relay, messages):
    await import_neighbours(rt, 4)
    slow = live_offers_of(await book_job(rt))[0].friend_id
    sender.hold[slow] = asyncio.Event()
    await relay.tick()
    await asyncio.wait(relay._under_way, return_when=asyncio.FIRST_COMPLETED)
    await book_job(rt, email="other@example.com")
    for _ in range(10):
        await relay.tick()
        await asyncio.sleep(0)
    await relay.tick()
    waiting = [row for row in await messages() if row["state"] == "pending"]
    assert {row["recipient_id"] for row in waiting} == {slow}
    assert sender.templates(slow) == ["offer"]
    sender.hold[slow].set()
    await relay.finish(5)


async def test_a_sender_that_never_answers_times_out_and_is_retried(rt, sender, messages):
    await import_neighbours(rt, 1)
    await book_job(rt)
    relay = Relay(rt, {Channel.MAIL: sender}, request_tick=lambda: None, send_timeout_s=0.01)
    for row in await messages():
        sender.hold[row["recipient_id"]] = asyncio.Event()
    await relay.tick()
    await relay.finish(5)
    row = (await messages(template="booked"))[0]
    assert (row["state"], row["problem"]) == ("pending", "it took longer than 0.01 s")


async def test_no_more_deliveries_run_than_there_are_slots(rt, sender, messages):
    await import_neighbours(rt, 4, capacity=20)
    for number in range(10):
        await book_job(rt, email=f"c{number}@example.com")
    requested: list[None] = []
    relay = Relay(
        rt,
        {Channel.MAIL: sender, Channel.PUSH: sender},
        request_tick=lambda: requested.append(None),
    )
    for row in await messages():
        sender.hold[row["recipient_id"]] = asyncio.Event()
    await relay.tick()
    assert len(relay._under_way) == CONCURRENCY
    assert requested
    requested.clear()
    await relay.tick()
    assert len(relay._under_way) == CONCURRENCY
    assert requested == []
    for event in sender.hold.values():
        event.set()
    await relay.finish(5)
    assert requested


async def test_many_relays_send_every_message_once(rt, sender, messages):
    await import_neighbours(rt, 4, capacity=20)
    for number in range(15):
        await book_job(rt, email=f"c{number}@example.com")
    relays = [
        Relay(rt, {Channel.MAIL: sender, Channel.PUSH: sender}, request_tick=lambda: None)
        for _ in range(4)
    ]
    for _ in range(10):
        await asyncio.gather(*(relay.tick() for relay in relays))
    for relay in relays:
        await relay.finish(5)
    rows = await messages()
    assert {row["state"] for row in rows} == {"sent"}
    assert {row["attempts"] for row in rows} == {1}
    assert len(sender.deliveries) == len(rows)


async def test_messages_of_a_dead_relay_are_sent_by_another_after_the_lease(
    rt, clock, sender, deliver, messages
):
    await import_neighbours(rt, 1)
    await book_job(rt)
    dead = Relay(rt, {Channel.MAIL: sender, Channel.PUSH: sender}, request_tick=lambda: None)
    await dead._settle_and_claim(CONCURRENCY)
    await deliver()
    assert sender.deliveries == []
    await clock.advance(timedelta(seconds=LEASE_S))
    await deliver()
    rows = await messages()
    assert {row["state"] for row in rows} == {"sent"}
    assert {row["attempts"] for row in rows} == {2}


async def test_a_fast_clock_shortens_no_lease(rt, clock, sender, messages):
    await import_neighbours(rt, 1)
    await book_job(rt)
    await clock.set(await clock.now(), speed=600.0)
    dead = Relay(rt, {Channel.MAIL: sender, Channel.PUSH: sender}, request_tick=lambda: None)
    before = await clock.now()
    await dead._settle_and_claim(CONCURRENCY)
    rows = await messages()
    assert all(row["next_at"] - before >= timedelta(seconds=600 * LEASE_S) for row in rows)


async def test_after_a_lost_lease_sent_is_recorded_but_failed_is_not(
    rt, clock, sender, deliver, messages
):
    await import_neighbours(rt, 1)
    await book_job(rt)
    dead = Relay(rt, {Channel.MAIL: sender, Channel.PUSH: sender}, request_tick=lambda: None)
    claimed = await dead._settle_and_claim(CONCURRENCY)
    await clock.advance(timedelta(seconds=LEASE_S))
    other = Relay(rt, {Channel.MAIL: sender, Channel.PUSH: sender}, request_tick=lambda: None)
    await other._settle_and_claim(CONCURRENCY)
    for one in claimed:
        dead._settle(one, GiveUp("too slow"))
    await dead._settle_and_claim(0)
    assert {row["state"] for row in await messages()} == {"pending"}
    for one in claimed:
        dead._settle(one, Sent())
    await dead._settle_and_claim(0)
    assert {row["state"] for row in await messages()} == {"sent"}


async def test_outcomes_during_an_outage_are_recorded_later(rt, owner, sender, relay, messages):
    await import_neighbours(rt, 4)
    await book_and_accept(rt)
    await relay.tick()
    await asyncio.wait(relay._under_way)
    for _ in range(20):
        await end_sessions(owner)
        try:
            await relay.tick()
        except DatabaseError:
            break
    sent = len(sender.deliveries)
    for _ in range(20):
        try:
            await relay._settle_and_claim(0)
            break
        except DatabaseError:
            continue
    assert sum(row["state"] == "sent" for row in await messages()) >= sent
    await relay.finish(5)


async def test_finishing_awaits_deliveries_and_cancels_slow_ones(rt, sender, relay, messages):
    await import_neighbours(rt, 2)
    offers = live_offers_of(await book_job(rt))
    sender.hold[offers[0].friend_id] = asyncio.Event()
    await relay.tick()
    await relay.finish(0.05)
    rows = {row["recipient_id"]: row["state"] for row in await messages()}
    assert rows.pop(offers[0].friend_id) == "pending"
    assert set(rows.values()) == {"sent"}
    assert relay._under_way == {}


async def test_the_backlog_is_counted(rt, clock, sender, deliver):
    await import_neighbours(rt, 1)
    await book_job(rt)
    sender.answers["booked"] = always(GiveUp("no"))
    await clock.advance(timedelta(minutes=61))
    waiting = await maintenance.backlog(rt)
    assert (waiting.pending, waiting.parked, waiting.overdue) == (2, 0, 1)
    assert waiting.pending_late_s == 3660
    assert waiting.overdue_s == 60
    await deliver()
    waiting = await maintenance.backlog(rt)
    assert (waiting.pending, waiting.parked, waiting.pending_late_s) == (0, 1, 0)


async def test_a_friend_gets_the_messages_of_each_subject_in_order(
    rt, clock, sender, deliver, messages
):
    """About the friend and about a booking: each waits for its own earlier ones alone."""
    await import_neighbours(rt, 1)
    [offer] = live_offers_of(await book_job(rt))
    friend = offer.friend_id
    for state in (FriendState.SUSPENDED, FriendState.ACTIVE):
        await friends.set_state(rt, friend, state, actor="desk")
    await commands.accept(rt, offer.id, friend)
    sender.answers["suspended"] = always(Retry("not now"))
    await deliver()
    sent = sender.templates(friend)
    assert [one for one in sent if one != "suspended"] == ["offer", "awarded"]
    assert sorted(sent) == ["awarded", "offer", "suspended"]
    sender.answers["suspended"] = always(Sent())
    await clock.advance(timedelta(seconds=BACK_OFF_S[0]))
    await deliver()
    assert sender.templates(friend)[3:] == ["suspended", "reinstated"]
    about_friend = [m for m in await messages() if m["subject_id"] == friend]
    assert [(m["subject_kind"], m["state"]) for m in about_friend] == [("person", "sent")] * 2


async def test_a_suspended_friend_gets_a_letter(rt, deliver, relay):
    await import_neighbours(rt, 1)
    friend = next(iter(rt.index)).id
    relay._senders = {Channel.MAIL: Mail.of(rt)}
    await friends.set_state(rt, friend, FriendState.SUSPENDED, actor="desk")
    await deliver()
    [mail] = rt.settings.mail_folder.glob("*.eml")
    assert "Subject: Dein Konto ist gesperrt" in mail.read_text()
