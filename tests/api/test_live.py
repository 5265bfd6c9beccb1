"""Event streams through a real server: audience, latency, reconnects."""

import asyncio
import gc
import os
import socket
from contextlib import AsyncExitStack
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from api.live import broker
from api.live.broker import Stream
from api.live.sse import EventStreamResponse, streams_of
from data.db import DatabaseUnavailable, transaction
from data.store import sessions as session_rows
from dispatch.flows.bootstrap import open_runtime
from dispatch.flows.jobs import commands
from dispatch.flows.partners import accounts
from dispatch.rules.jobs import visibility
from dispatch.rules.jobs.customer_links import customer_token
from tests.api.streams import open_ready, open_stream, serve_app
from tests.builders import book_job, live_offers_of

# The whole number, as written and as stored: three digits of it occur in one id of a hundred.
NUMBER = ("044 000", "000 17 39", "0001739", "+4144")
PERSONAL = ("Vera", "vera@", "Muster", "Bahnhofstrasse", *NUMBER, "ring twice", "47.3667")
MANY, AT_ONCE = 1000, 20
BYTES_A_STREAM_MAX = 40_000


@pytest.fixture
async def url(api):
    async with serve_app(api.app) as address:
        yield address


async def token(api, ref):
    return (await api.friend(ref)).token


async def test_offers_are_delivered_and_withdrawn(api, url):
    async with AsyncExitStack() as stack:
        phones = {
            ref: await stack.enter_async_context(open_ready(url, await token(api, ref)))
            for ref in ("f1", "f2", "f5")
        }
        booking = await api.book()
        made = await phones["f1"].next()
        assert made.name == "offer.made"
        [offer] = (await (await api.friend("f1")).get("/v1/me/offers")).json()["items"]
        assert made.data["data"]["offer"] == offer

        won = (await phones["f2"].next()).data["data"]["offer"]["id"]
        await (await api.friend("f2")).post(f"/v1/offers/{won}/accept")
        gone = await phones["f1"].next()
        assert gone.name == "offer.gone"
        assert gone.data["data"] == {"offer_id": offer["id"], "because": "lost"}
        awarded = await phones["f2"].next()
        assert awarded.name == "booking.awarded"
        assert awarded.data["booking_id"] == booking["id"]
        assert set(awarded.data["data"]) == {"award", "due_at"}

        again = await api.book(customer=CUSTOMER | {"email": "other@example.com"})
        lost = (await api.offers(again))["f1"]
        await (await api.friend("f1")).post(f"/v1/offers/{lost}/decline")
        first = await phones["f5"].next()
        assert first.data["booking_id"] == again["id"], "f5 got a foreign event"


CUSTOMER = {"name": "Vera Beispiel", "phone": "044 000 17 39", "language": "de"}


async def test_an_expired_a_withdrawn_and_a_declined_offer_are_gone(api, url, rt, clock):
    async with open_ready(url, await token(api, "f1")) as phone:
        offer = live_offers_of(await book_job(rt))[0]
        assert (await phone.next()).name == "offer.made"
        await clock.advance(timedelta(minutes=61))
        await commands.fire_due_timers(rt, 10)
        gone = await phone.next()
        assert gone.data["data"] == {"offer_id": str(offer.id), "because": "expired"}

        for end, because in ((cancelled, "withdrawn"), (declined, "declined")):
            offer = live_offers_of(await book_job(rt))[0]
            assert (await phone.next()).name == "offer.made"
            await end(rt, offer)
            gone = await phone.next()
            assert gone.data["data"] == {"offer_id": str(offer.id), "because": because}


async def cancelled(rt, offer):
    await commands.cancel(
        rt, offer.booking_id, actor="customer", reason="solved", may_act=lambda job: True
    )


async def declined(rt, offer):
    await commands.decline(rt, offer.id, offer.friend_id)


async def test_everybody_gets_events_of_their_bookings_and_the_desk_all(api, url, rt):
    partner, key = await accounts.add(rt, "Radio Meier")
    desk = await api.operator()
    own = await book_job(rt, partner_id=partner.id)
    other = await book_job(rt)
    link = customer_token(rt.settings.key(), own.job.booking.id)
    async with (
        open_ready(url, key) as partner_stream,
        open_ready(url, link) as customer,
        open_ready(url, desk.token) as board,
    ):
        events = []
        for done in (other, own):
            offer = live_offers_of(done)[0]
            await commands.accept(rt, offer.id, offer.friend_id)
            # The order holds per booking only: awaited before the next one is accepted.
            events.append(await board.next())
        for reader in (partner_stream, customer):
            event = await reader.next()
            assert (event.name, event.data["booking_id"]) == (
                "booking.awarded",
                str(own.job.booking.id),
            )
            assert set(event.data["data"]) == {"due_at"}
            assert "actor" not in event.data
        assert [event.data["booking_id"] for event in events] == [
            str(done.job.booking.id) for done in (other, own)
        ]
        assert events[0].data["actor"].startswith("friend:")


async def test_no_stream_contains_personal_data_or_other_friends(api, url, rt, clock):
    desk = await api.operator()
    async with AsyncExitStack() as stack:
        phones = {
            ref: await stack.enter_async_context(open_ready(url, await token(api, ref)))
            for ref in api.friends
        }
        board = await stack.enter_async_context(open_ready(url, desk.token))
        booking, _ = await api.win("f1")
        customer = await stack.enter_async_context(open_ready(url, booking["token"]))
        winner = await api.friend("f1")
        at = f"/v1/bookings/{booking['id']}"
        await winner.post(f"{at}/contacted")
        starts_at = (await clock.now() + timedelta(days=1)).isoformat()
        await winner.post(f"{at}/appointment", {"starts_at": starts_at})
        await winner.post(f"{at}/hand-back", {"reason": "other", "note": "I am Vera's brother."})
        await phones["f1"].until("booking.handed_back")
        for ref in ("f2", "f3", "f4"):
            await phones[ref].until("offer.gone")
        for ref in ("f2", "f3", "f4", "f5"):
            await phones[ref].until("offer.made")
        await customer.until("booking.offered")
        await board.until("booking.handed_back")
        for ref, phone in phones.items():
            text = "\n".join(phone.seen)
            others = {str(id_) for other, id_ in api.friends.items() if other != ref}
            assert not [one for one in others if one in text]
        assert not [id_ for id_ in api.friends.values() if str(id_) in "\n".join(customer.seen)]
        for reader in (*phones.values(), customer, board):
            text = "\n".join(reader.seen)
            assert not [word for word in PERSONAL if word in text], text


async def test_commits_of_another_process_are_delivered(api, url, database, rt):
    async with (
        open_ready(url, await token(api, "f1")) as phone,
        open_runtime(rt.settings, database, application="tests", chance=Random(8)) as other,
    ):
        done = await book_job(other)
        event = await phone.next()
        assert event.data["booking_id"] == str(done.job.booking.id)


async def test_an_event_written_early_and_committed_late_is_delivered(api, url, rt, owner):
    first = await book_job(rt)
    async with open_ready(url, (await api.operator()).token) as board:
        late = owner.transaction()
        await late.start()
        await remind(owner, first)
        await book_job(rt)
        assert (await board.until("booking.offered")).data["booking_id"] != str(id_of(first))
        await late.commit()
        event = await board.next()
        assert (event.name, event.data["booking_id"]) == ("contact.reminded", str(id_of(first)))


async def test_after_a_disconnect_no_event_is_missing_or_repeated(api, url, rt, owner):
    first = await book_job(rt)
    desk = (await api.operator()).token
    late = owner.transaction()
    async with open_ready(url, desk) as board:
        await late.start()
        await remind(owner, first)
        seen = await book_job(rt)
        await board.until("booking.offered")
    await late.commit()
    missed = await book_job(rt)
    async with open_stream(url, desk, board.cursor) as board:
        events = [await board.next() for _ in range(4)]
        assert {(t.name, t.data["booking_id"]) for t in events[:3]} == {
            ("contact.reminded", str(id_of(first))),
            ("booking.created", str(id_of(missed))),
            ("booking.offered", str(id_of(missed))),
        }
        assert (events[3].name, events[3].data) == ("ready", {"resumed": True})
        assert str(id_of(seen)) not in "\n".join(board.seen)
    again = await book_job(rt)
    async with open_stream(url, desk, None, **{"Last-Event-ID": board.cursor}) as board:
        assert (await board.next()).data["booking_id"] == str(id_of(again))


def id_of(done):
    return done.job.booking.id


async def remind(connection, done):
    """Write an event without committing it, as a slow transaction would."""
    await connection.execute(
        "INSERT INTO events (booking_id, seq, kind, at, actor, data) "
        "VALUES ($1, $2, 'contact.reminded', moment(), 'system', '{}')",
        id_of(done),
        done.job.booking.event_seq + 1,
    )


async def test_an_invalid_cursor_starts_anew(api, url, rt):
    for cursor in ("nonsense", "x" * 7000, "MTo5OTk5OTk5OTk6", "MTo0OmE", "%F0"):
        async with open_stream(url, (await api.operator()).token, cursor) as board:
            event = await board.next()
            assert (event.name, event.data) == ("ready", {"resumed": False}), cursor
            await book_job(rt)
            assert (await board.next()).name == "booking.created"


async def test_a_cursor_in_the_query_is_used_unless_the_browser_sends_one(api, url, rt):
    desk = (await api.operator()).token
    async with open_ready(url, desk) as board:
        pass
    await book_job(rt)
    async with open_stream(f"{url}/v1/live?last_event_id={board.cursor}#", desk) as board:
        assert (await board.next()).name == "booking.created"


async def test_too_many_missed_events_are_reported_as_not_resumed(api, url, rt, monkeypatch):
    desk = (await api.operator()).token
    async with open_ready(url, desk) as board:
        pass
    for _ in range(3):
        await book_job(rt)
    monkeypatch.setattr(broker, "EVENTS_MAX", 4)
    async with open_stream(url, desk, board.cursor) as board:
        assert (await board.next()).data == {"resumed": False}
        await book_job(rt)
        assert (await board.next()).name == "booking.created"


async def test_too_many_events_at_once_are_reported(api, url, rt, owner, monkeypatch):
    first = await book_job(rt)
    async with open_ready(url, (await api.operator()).token) as board:
        monkeypatch.setattr(broker, "EVENTS_MAX", 1)
        await remind(owner, first)
        event = await board.next()
        assert (event.name, event.data) == ("ready", {"resumed": False})


async def test_a_stream_requires_valid_credentials(url, problem):
    for wrong in (None, "tk_live_nobody", "ts_nobody"):
        async with open_stream(url, wrong) as reader:
            problem(reader.response, 401, "unauthenticated")


async def test_a_cookie_authenticates_a_stream_like_a_token(api, url, rt):
    cookie = {"Cookie": f"__Host-tekkie_session={await token(api, 'f1')}"}
    async with open_stream(url, None, **cookie) as phone:
        assert (await phone.next()).name == "ready"
        await book_job(rt)
        assert (await phone.next()).name == "offer.made"


async def test_a_revoked_session_ends_its_stream_and_no_other(api, url, rt, monkeypatch):
    monkeypatch.setattr(broker, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(broker, "CHECK_EVERY_S", 0.05)
    revoked, good = await token(api, "f1"), await token(api, "f2")
    _, key = await accounts.add(rt, "Radio Meier")
    async with (
        open_ready(url, revoked) as phone,
        open_ready(url, good) as other,
        open_ready(url, key) as partner_stream,
    ):
        async with transaction(rt.pool) as tx:
            await session_rows.revoke(tx, sha256(revoked.encode()).digest())
        await accounts.revoke_key(rt, key[:16])
        assert await phone.next() is None
        assert await partner_stream.next() is None
        await book_job(rt)
        assert (await other.next()).name == "offer.made"


async def test_a_renewed_link_ends_its_streams_and_no_other(api, url, rt):
    own, other = await book_job(rt), await book_job(rt)
    link, kept = (customer_token(rt.settings.key(), done.job.booking.id) for done in (own, other))
    async with open_ready(url, link) as customer, open_ready(url, kept) as neighbour:
        for done in (own, other):
            offer = live_offers_of(done)[0]
            if done is own:
                await commands.renew_link(
                    rt, offer.booking_id, actor="customer", may_act=lambda job: True
                )
            await commands.accept(rt, offer.id, offer.friend_id)
        assert (await customer.next()).name == "link.renewed"
        assert (await neighbour.next()).name == "booking.awarded"
        while await customer.next() is not None:
            pass


async def test_a_renewed_link_ends_its_stream_even_if_the_event_is_missed(
    api, url, rt, monkeypatch
):
    monkeypatch.setattr(broker, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(broker, "CHECK_EVERY_S", 0.05)
    own, other = await book_job(rt), await book_job(rt)
    link, kept = (customer_token(rt.settings.key(), done.job.booking.id) for done in (own, other))
    async with open_ready(url, link) as customer, open_ready(url, kept) as neighbour:
        monkeypatch.setattr(broker.Streams, "_end_revoked", lambda streams, happened: None)
        await commands.renew_link(
            rt, own.job.booking.id, actor="customer", may_act=lambda job: True
        )
        while await customer.next() is not None:
            pass
        offer = live_offers_of(other)[0]
        await commands.accept(rt, offer.id, offer.friend_id)
        assert (await neighbour.next()).name == "booking.awarded"


async def test_an_idle_stream_gets_heartbeats_with_the_current_cursor(api, url, rt, monkeypatch):
    monkeypatch.setattr(broker, "HEARTBEAT_S", 0.2)
    desk = (await api.operator()).token
    async with (
        open_ready(url, await token(api, "f6")) as phone,
        open_ready(url, desk) as board,
    ):
        await book_job(rt)
        await board.until("booking.offered")
        # The first heartbeats may have been sent before the booking.
        while await repeats_events(url, desk, phone.cursor):
            await phone.comment()


async def repeats_events(url, token, cursor):
    async with open_stream(url, token, cursor) as board:
        return (await board.next()).name != "ready"


async def test_a_stream_has_its_headers_and_a_retry_time(api, url):
    async with open_stream(url, await token(api, "f1")) as phone:
        headers = phone.response.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-store"
        assert headers["x-accel-buffering"] == "no"
        await phone.next()
        name, _, wait_ms = phone.seen[0].partition(": ")
        assert name == "retry"
        assert 1000 <= int(wait_ms) <= 4000


async def test_a_client_that_does_not_read_is_ended(api, rt, monkeypatch):
    monkeypatch.setattr(broker, "BUFFER_MAX", 3000)
    streams = streams_of(api.app)
    stream = Stream(visibility.DESK, None, None)
    reading = asyncio.Event()
    got: list[dict] = []

    async def send(message):
        got.append(message)
        await reading.wait()

    async def receive():
        await asyncio.Event().wait()

    answer = asyncio.create_task(
        EventStreamResponse(streams, stream)({"type": "http"}, receive, send)
    )
    while not stream.ended:
        await book_job(rt)
        await asyncio.sleep(0)
    assert stream.size > 3000
    assert stream.chunks == []
    reading.set()
    await asyncio.wait_for(answer, 5)
    assert got[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert streams.open == 0
    await streams.close()


async def test_streams_outlive_an_unavailable_database(api, url, rt, monkeypatch, caplog):
    since, times = broker.events.events_since, iter(range(3))

    async def fail(*words):
        if next(times, None) is not None:
            raise DatabaseUnavailable("gone")
        return await since(*words)

    async with open_ready(url, await token(api, "f1")) as phone:
        monkeypatch.setattr(broker.events, "events_since", fail)
        await book_job(rt)
        assert (await phone.next()).name == "offer.made"
    assert [r.message for r in caplog.records if "streams wait" in r.message] == [
        "event streams wait for the database: gone"
    ]


async def test_without_streams_nothing_is_polled(api, url, rt):
    streams = streams_of(api.app)
    async with open_ready(url, await token(api, "f1")):
        assert streams.open == 1
        assert streams.poll_now in rt.on_commit
        running = streams._task
    await asyncio.wait_for(running, 5)
    assert streams.open == 0
    assert streams.poll_now not in rt.on_commit


async def test_streams_end_at_once_when_the_server_stops(api, rt):
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        async with serve_app(api.app) as url:
            phone = await stack.enter_async_context(open_ready(url, await token(api, "f1")))
            begun_s = loop.time()
        assert await phone.next() is None
        assert loop.time() - begun_s < 2


async def test_an_undeliverable_event_stops_no_other(api, url, rt, owner, caplog):
    first = await book_job(rt)
    async with open_ready(url, (await api.operator()).token) as board:
        await owner.execute(
            "INSERT INTO events (booking_id, seq, kind, at, actor, data) "
            "VALUES ($1, $2, 'booking.offered', moment(), 'system', '{}')",
            id_of(first),
            first.job.booking.event_seq + 1,
        )
        await book_job(rt)
        assert (await board.next()).name == "booking.created"
    assert "cannot be delivered" in caplog.text


async def test_a_thousand_streams_use_little_memory_and_all_get_events(
    api, url, rt, record_property, monkeypatch
):
    monkeypatch.setattr(broker, "STREAMS_PER_CALLER", MANY)
    request = (
        f"GET /v1/live HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {await token(api, 'f1')}"
        "\r\n\r\n"
    ).encode()
    streams = streams_of(api.app)
    host, port = url.removeprefix("http://").split(":")
    before = resident_bytes()
    clients = []
    try:
        for wanted in range(AT_ONCE, MANY + 1, AT_ONCE):
            for _ in range(AT_ONCE):
                client = socket.create_connection((host, int(port)))
                client.sendall(request)
                clients.append(client)
            for client in clients[-AT_ONCE:]:
                await wait_for(client, b"event: ready")
            assert streams.open == wanted
        each = (resident_bytes() - before) / MANY
        await book_job(rt)
        for client in clients:
            await wait_for(client, b"event: offer.made")
    finally:
        for client in clients:
            client.close()
    record_property("bytes_a_stream", each)
    assert each < BYTES_A_STREAM_MAX


async def test_open_streams_are_frozen_for_the_collector(api, url, monkeypatch):
    monkeypatch.setattr(broker, "FREEZE_EVERY", 3)
    own, known, frozen = await token(api, "f1"), streams_alive(), gc.get_freeze_count()
    try:
        async with AsyncExitStack() as stack:
            for _ in range(3):
                await stack.enter_async_context(open_ready(url, own))
            assert len(streams_alive() - known) == 0
            assert gc.get_freeze_count() > frozen
    finally:
        # What the run had frozen is frozen again.
        gc.unfreeze()
        gc.collect()
        gc.freeze()


async def test_an_ended_stream_leaves_nothing_for_the_collector(api, url):
    streams, own, known = streams_of(api.app), await token(api, "f1"), streams_alive()
    gc.disable()
    try:
        async with open_ready(url, own):
            assert len(streams_alive() - known) == 1
            running = streams._task
        await asyncio.wait_for(running, 5)
        assert len(streams_alive() - known) == 0
    finally:
        gc.enable()


def streams_alive():
    return {id(one) for one in gc.get_objects() if isinstance(one, Stream)}


async def wait_for(client, needle):
    client.setblocking(False)
    loop, received = asyncio.get_running_loop(), b""
    while needle not in received:
        chunk = await loop.sock_recv(client, 65536)
        assert chunk, "a stream ended"
        received += chunk


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE")
