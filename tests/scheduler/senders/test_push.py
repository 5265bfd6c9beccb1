"""Phones ring, against a push service that checks all it takes and phones that read it."""

import asyncio
import json
from datetime import timedelta
from email import message_from_bytes, policy
from types import SimpleNamespace
from uuid import UUID

import pytest

from data.enums import Channel
from data.markets import Language
from dispatch.flows.jobs import commands
from dispatch.flows.people import friends, push_subscriptions
from dispatch.rules.people.push_endpoints import EndpointRefused
from scheduler.relay import Relay
from scheduler.senders import Sent
from scheduler.senders.mail import Mail
from scheduler.senders.push import Push, PushClient, trial_notification
from scheduler.senders.push_texts import (
    TEMPLATES,
    InvalidPushTexts,
    push_texts,
    read_push_texts,
)
from scheduler.senders.vapid_subject import is_reachable, subject
from scheduler.senders.webpush_crypto import InvalidKeys, Vapid, seal
from tests.builders import book_job, import_neighbours, live_offers_of
from tests.receiver import ec, from_url64, push_service, url64

HOUR_S = 3600


class Box:
    """A carrier that keeps the mails."""

    def __init__(self):
        self.mails = []

    async def deliver(self, mail, to):
        self.mails.append(message_from_bytes(mail.as_bytes(), policy=policy.default))
        return Sent()

    def subjects(self, to=None):
        return [mail["Subject"] for mail in self.mails if to in (None, mail["To"])]


@pytest.fixture
async def service():
    async with push_service() as service:
        yield service


@pytest.fixture
def box():
    return Box()


@pytest.fixture
def push(rt, box):
    """The sender of pushes, which may ring this machine."""
    rt.settings = rt.settings.model_copy(update={"push_hosts": "127.0.0.1"})
    mail = Mail.of(rt)
    return Push.of(rt, Mail(box, mail.content, mail.sender))


@pytest.fixture
def relay(rt, push):
    return Relay(rt, {Channel.MAIL: push.fallback, Channel.PUSH: push}, request_tick=lambda: None)


@pytest.fixture
def post(subscribe, deliver, box, messages):
    """All of it: `subscribe`, `deliver`, `box`, `messages`."""
    return SimpleNamespace(subscribe=subscribe, deliver=deliver, box=box, messages=messages)


@pytest.fixture
async def subscribe(rt, push, service):
    async def one(friend_id, name):
        handset = service.handset(name)
        await push_subscriptions.subscribe(rt, friend_id, endpoint=handset.endpoint, **handset.keys)
        return handset

    return one


def test_a_push_is_encrypted_as_in_the_rfc():
    """RFC 8291, appendix A."""
    sender = ec.derive_private_key(
        int.from_bytes(from_url64("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")), ec.SECP256R1()
    )
    body = seal(
        b"When I grow up, I want to be a watermelon",
        p256dh=from_url64(
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcx"
            "aOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
        ),
        auth=from_url64("BTBZMqHH6r4Tts7J_aSIgg"),
        sender=sender,
        salt=from_url64("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert url64(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
        "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
        "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_a_key_that_is_no_point_of_the_curve_is_refused():
    with pytest.raises(InvalidKeys):
        seal(b"", p256dh=b"\4" + b"\1" * 64, auth=b"a" * 16)


async def test_an_offer_goes_to_all_phones_and_not_by_mail(rt, service, post, clock):
    refs = await import_neighbours(rt, 1)
    both = [await post.subscribe(refs["f1"], name) for name in ("phone", "tablet")]
    done = await book_job(rt)
    (offer,) = live_offers_of(done)
    await clock.advance(timedelta(minutes=7))
    await post.deliver()
    for handset in both:
        (taken,) = handset.taken
        said = taken.notification
        assert said["title"] == push_texts()[Language.DE]["offer"].title
        assert said["navigate"] == f"https://tekkie.test/friend/offers/{offer.id}"
        assert said["tag"] == str(done.job.booking.id)
        assert said["requireInteraction"] is True
        assert said["data"]["offer_id"] == str(offer.id)
    assert post.box.subjects("f1@example.org") == []
    assert {taken.claims["sub"] for h in both for taken in h.taken} == {"mailto:no-reply@localhost"}
    assert service.senders == {Vapid(rt.settings.push_secret(), "").public}


async def test_a_push_ends_with_its_offer(rt, subscribe, deliver, clock):
    refs = await import_neighbours(rt, 1)
    handset = await subscribe(refs["f1"], "phone")
    (offer,) = live_offers_of(await book_job(rt))
    await clock.advance(timedelta(minutes=7))
    await deliver()
    left = offer.expires_at - await clock.now()
    assert handset.taken[0].ttl_s == left.total_seconds() < HOUR_S


async def test_a_push_names_nobody_and_no_place(rt, subscribe, deliver):
    refs = await import_neighbours(rt, 1)
    handset = await subscribe(refs["f1"], "phone")
    done = await book_job(rt)
    await deliver()
    (taken,) = handset.taken
    ids = {str(done.job.booking.id), str(live_offers_of(done)[0].id)}
    words = push_texts()[Language.DE]["offer"]
    assert taken.notification == {
        "title": words.title,
        "body": words.body,
        "lang": "de",
        "navigate": f"https://tekkie.test/friend/offers/{live_offers_of(done)[0].id}",
        "tag": str(done.job.booking.id),
        "silent": False,
        "renotify": True,
        "requireInteraction": True,
        "data": {
            "kind": "offer",
            "navigate": f"https://tekkie.test/friend/offers/{live_offers_of(done)[0].id}",
            "booking_id": str(done.job.booking.id),
            "offer_id": str(live_offers_of(done)[0].id),
        },
    }
    assert len(ids) == 2
    assert len(taken.plain) % 512 == 0


async def test_the_end_of_an_offer_replaces_it_and_is_never_mailed(rt, subscribe, deliver, box):
    refs = await import_neighbours(rt, 3)
    handset = await subscribe(refs["f2"], "phone")
    done = await book_job(rt)
    await deliver()
    await commands.accept(rt, live_offers_of(done)[0].id, refs["f1"])
    await deliver()
    offer, gone = handset.taken
    assert gone.notification["title"] == push_texts()[Language.DE]["offer_gone"].title
    assert gone.notification["tag"] == offer.notification["tag"]
    assert gone.headers["topic"] == offer.headers["topic"]
    assert gone.notification["silent"] is True
    assert gone.notification["navigate"] == "https://tekkie.test/friend"
    # f3 has no phone: the offer came by mail, its end does not.
    assert len(box.subjects("f3@example.org")) == 1


async def test_a_phone_that_is_gone_is_forgotten_and_the_offer_mailed(
    rt, owner, subscribe, deliver, box
):
    refs = await import_neighbours(rt, 2)
    for name, status in (("f1", 410), ("f2", 404)):
        (await subscribe(refs[name], name)).answer = (status, {}, b"gone")
    assert rt.index.get(refs["f1"]).channels == {Channel.MAIL, Channel.PUSH}
    await book_job(rt)
    await deliver()
    assert await owner.fetchval("SELECT count(*) FROM push_subscriptions") == 0
    await friends.refresh_index(rt, refs.values())
    assert rt.index.get(refs["f1"]).channels == {Channel.MAIL}
    assert len(box.subjects("f1@example.org")) == len(box.subjects("f2@example.org")) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 413, 301])
async def test_a_phone_that_is_refused_is_kept_with_the_problem_and_the_offer_mailed(
    rt, owner, service, post, status
):
    refs = await import_neighbours(rt, 1)
    handset = await post.subscribe(refs["f1"], "phone")
    handset.answer = (status, {"location": f"{service.url}/elsewhere"}, b"x" * 100_000)
    await book_job(rt)
    await post.deliver()
    assert await owner.fetchval("SELECT problem FROM push_subscriptions") == "refused"
    assert len(post.box.subjects("f1@example.org")) == 1
    assert service.calls == 1
    handset.answer = (201, {}, b"")
    await book_job(rt)
    await post.deliver()
    assert await owner.fetchval("SELECT problem FROM push_subscriptions") is None
    assert len(post.box.subjects("f1@example.org")) == 1


@pytest.mark.parametrize("asked", [(429, "300", 300), (503, "soon", 5)])
async def test_a_busy_service_is_asked_again_when_it_says(rt, post, clock, asked):
    status, header, waits_s = asked
    refs = await import_neighbours(rt, 1)
    handset = await post.subscribe(refs["f1"], "phone")
    handset.answer = (status, {"retry-after": header}, b"")
    await book_job(rt)
    await post.deliver()
    (row,) = await post.messages(template="offer")
    assert row["state"] == "pending"
    assert row["next_at"] - await clock.now() == timedelta(seconds=waits_s)
    handset.answer = (201, {}, b"")
    await clock.advance(timedelta(seconds=waits_s))
    await post.deliver()
    assert len(handset.taken) == 2
    assert (await post.messages(template="offer"))[0]["state"] == "sent"


@pytest.mark.parametrize("nonsense", ["9" * 20, "9" * 400])
async def test_a_service_that_asks_to_wait_for_ever_holds_up_no_other_message(rt, post, nonsense):
    refs = await import_neighbours(rt, 2)
    handset = await post.subscribe(refs["f1"], "phone")
    handset.answer = (429, {"retry-after": nonsense}, b"")
    await book_job(rt)
    await post.deliver()
    states = {row["recipient_id"]: row["state"] for row in await post.messages(template="offer")}
    assert states == {refs["f1"]: "pending", refs["f2"]: "sent"}


@pytest.mark.parametrize("retry_after", ["", "20", "3600"])
async def test_an_offer_that_no_service_accepts_is_mailed_before_it_is_half_over(
    rt, post, clock, retry_after
):
    refs = await import_neighbours(rt, 1)
    handset = await post.subscribe(refs["f1"], "phone")
    handset.answer = (429, {"retry-after": retry_after}, b"")
    (offer,) = live_offers_of(await book_job(rt))
    half = offer.offered_at + (offer.expires_at - offer.offered_at) / 2
    while not (mailed := post.box.subjects("f1@example.org")) and await clock.now() < half:
        await post.deliver()
        (row,) = await post.messages(template="offer")
        assert row["state"] == "pending" or post.box.mails
        await clock.set(max(row["next_at"], await clock.now()))
    assert len(mailed) == 1
    assert len(handset.taken) > 1
    assert await clock.now() < half


async def test_a_reminder_that_no_service_accepts_is_mailed_while_there_is_time(rt, post, clock):
    refs = await import_neighbours(rt, 1)
    handset = await post.subscribe(refs["f1"], "phone")
    (offer,) = live_offers_of(await book_job(rt))
    done = await commands.accept(rt, offer.id, refs["f1"])
    await post.deliver()
    handset.answer = (503, {}, b"")
    due = done.job.award.contact_due_at
    await clock.set(due - timedelta(hours=1))
    await commands.fire_due_timers(rt, 10)
    post.box.mails.clear()
    while not post.box.subjects("f1@example.org") and await clock.now() < due:
        await post.deliver()
        row = (await post.messages(template="contact_reminder"))[-1]
        await clock.set(max(row["next_at"], await clock.now()))
    assert due - await clock.now() > timedelta(minutes=30)


async def test_the_end_of_an_offer_is_never_mailed_even_while_services_are_busy(rt, post, clock):
    refs = await import_neighbours(rt, 2)
    handset = await post.subscribe(refs["f2"], "phone")
    done = await book_job(rt)
    await post.deliver()
    handset.answer = (503, {}, b"")
    await commands.accept(rt, live_offers_of(done)[0].id, refs["f1"])
    await post.deliver()
    await clock.advance(timedelta(minutes=40))
    await post.deliver()
    (row,) = await post.messages(template="offer_gone")
    assert row["state"] == "pending"
    assert post.box.subjects("f2@example.org") == []


async def test_one_phone_that_takes_the_push_is_enough(rt, subscribe, deliver, messages, box):
    refs = await import_neighbours(rt, 1)
    (await subscribe(refs["f1"], "old")).answer = (503, {}, b"")
    await subscribe(refs["f1"], "new")
    await book_job(rt)
    await deliver()
    assert (await messages(template="offer"))[0]["state"] == "sent"
    assert box.subjects("f1@example.org") == []


async def test_a_slow_service_holds_up_nobody(rt, subscribe, relay):
    refs = await import_neighbours(rt, 4)
    slow = await subscribe(refs["f1"], "slow")
    slow.hold = asyncio.Event()
    others = [await subscribe(refs[ref], ref) for ref in ("f2", "f3", "f4")]
    await book_job(rt)
    await relay.tick()
    async with asyncio.timeout(5):
        while not all(one.taken for one in others):  # noqa: ASYNC110 - they come over the wire
            await asyncio.sleep(0.01)
    assert slow.taken == []
    slow.hold.set()
    await relay.finish(within_s=5)
    assert len(slow.taken) == 1


async def test_a_service_that_never_answers_is_left_after_a_while(rt, push, service, subscribe):
    refs = await import_neighbours(rt, 1)
    silent = await subscribe(refs["f1"], "silent")
    silent.hold = asyncio.Event()
    client = PushClient(
        http=rt.http, vapid=push.client.vapid, extra_hosts={"127.0.0.1"}, timeout_s=0.2
    )
    trial = await push_subscriptions.begin_alarm_test(rt, refs["f1"])
    (rung,) = await client.send_all(
        trial.phones, trial_notification(Language.DE, "https://tekkie.test")
    )
    assert rung.problem == "unreachable"


async def test_an_invalid_message_is_not_pushed(rt, subscribe, deliver, messages):
    refs = await import_neighbours(rt, 2)
    handset = await subscribe(refs["f2"], "phone")
    done = await book_job(rt)
    await commands.accept(rt, live_offers_of(done)[0].id, refs["f1"])
    await deliver()
    assert [taken.notification["data"]["kind"] for taken in handset.taken] == ["offer_gone"]
    states = {row["state"] for row in await messages(template="offer")}
    assert states == {"expired"}


async def test_a_working_phone_is_not_recorded_on_every_push(rt, owner, subscribe, deliver, clock):
    refs = await import_neighbours(rt, 1, capacity=5)
    await subscribe(refs["f1"], "phone")
    seen = []
    for minutes in (0, 10, 70):
        await clock.advance(timedelta(minutes=minutes))
        await book_job(rt)
        await deliver()
        seen.append(await owner.fetchval("SELECT rung_at FROM push_subscriptions"))
    assert seen[0] == seen[1] < seen[2]


async def test_an_endpoint_of_an_unknown_host_gets_no_push(rt, owner, service, push, box):
    refs = await import_neighbours(rt, 1)
    handset = service.handset("phone")
    elsewhere = "http://127.0.0.1:1@" + handset.endpoint.removeprefix("http://")
    await owner.execute(
        "INSERT INTO push_subscriptions VALUES ($1, $2, $3, $4, $5, moment())",
        UUID(int=1),
        refs["f1"],
        elsewhere,
        handset.keys["p256dh"],
        handset.auth,
    )
    trial = await push_subscriptions.begin_alarm_test(rt, refs["f1"])
    (rung,) = await push.client.send_all(
        trial.phones, trial_notification(Language.DE, "https://tekkie.test")
    )
    assert rung.problem == "refused"
    assert service.calls == 0


async def test_a_known_name_with_a_private_address_gets_no_push(rt, service, push, monkeypatch):
    refs = await import_neighbours(rt, 1)
    handset = service.handset("phone")
    loop = asyncio.get_running_loop()

    async def inside(host, port, **_):
        return [(2, 1, 6, "", ("10.0.0.7", port))]

    monkeypatch.setattr(loop, "getaddrinfo", inside)
    endpoint = "https://fcm.googleapis.com/fcm/send/x"
    await push_subscriptions.subscribe(rt, refs["f1"], endpoint=endpoint, **handset.keys)
    trial = await push_subscriptions.begin_alarm_test(rt, refs["f1"])
    (rung,) = await push.client.send_all(
        trial.phones, trial_notification(Language.DE, "https://tekkie.test")
    )
    assert rung.problem == "refused"


async def test_loopback_gets_a_push_only_where_the_settings_allow_it(rt, service):
    refs = await import_neighbours(rt, 1)
    handset = service.handset("phone")
    with pytest.raises(EndpointRefused):
        await push_subscriptions.subscribe(
            rt, refs["f1"], endpoint=handset.endpoint, **handset.keys
        )


def test_every_language_has_every_push_text_and_none_has_a_field():
    assert {len(words) for words in push_texts().values()} == {len(TEMPLATES)}
    words = {
        language: {name: {"title": one.title, "body": one.body} for name, one in table.items()}
        for language, table in push_texts().items()
    }
    as_toml = "\n".join(
        f"[{language}.{name}]\ntitle = {json.dumps(one['title'])}\nbody = {json.dumps(one['body'])}"
        for language, table in words.items()
        for name, one in table.items()
    )
    assert read_push_texts(as_toml) == push_texts()
    for wrong in (
        as_toml.replace("New job near you", "{name}"),
        as_toml.replace("offer_gone", "x"),
    ):
        with pytest.raises(InvalidPushTexts):
            read_push_texts(wrong)


@pytest.mark.parametrize(
    ("mail_from", "public_url", "said", "fine"),
    [
        ("tekkie <hello@tekkie.ch>", None, "mailto:hello@tekkie.ch", True),
        ("tekkie <no-reply@localhost>", "https://tekkie.ch", "https://tekkie.ch", True),
        ("tekkie <no-reply@localhost>", "http://tekkie.ch", "mailto:no-reply@localhost", False),
        ("me@somewhere.invalid", "https://127.0.0.1", "mailto:me@somewhere.invalid", False),
    ],
)
def test_services_get_a_contact_that_they_accept(rt, mail_from, public_url, said, fine):
    settings = rt.settings.model_copy(update={"mail_from": mail_from, "public_url": public_url})
    assert subject(settings) == said
    assert is_reachable(settings) is fine
