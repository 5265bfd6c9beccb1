"""Event streams through a real server: who hears what, how soon, and again after a cut."""

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

from api.live import broker as streaming
from api.live.broker import Stream
from api.live.sse import EventStreamResponse, streams_of
from data.db import DatabaseUnavailable, transaction
from data.store import sessions as session_rows
from dispatch.flows.bootstrap import open_runtime
from dispatch.flows.jobs import commands
from dispatch.flows.partners import accounts
from dispatch.rules.jobs import visibility
from dispatch.rules.jobs.customer_links import customer_token
from tests.api.listening import listening, ready, served
from tests.builders import book_job, live_offers_of

# The number whole, as written and as kept: three digits of it stand in one id of a hundred.
NUMBER = ("044 000", "000 17 39", "0001739", "+4144")
PERSONAL = ("Vera", "vera@", "Muster", "Bahnhofstrasse", *NUMBER, "ring twice", "47.3667")
MANY, AT_ONCE = 1000, 20
BYTES_A_STREAM_MAX = 40_000


@pytest.fixture
async def url(house):
    async with served(house.app) as address:
        yield address


async def token(house, ref):
    return (await house.friend(ref)).token


async def test_phones_ring_and_stop_ringing(house, url):
    async with AsyncExitStack() as stack:
        phones = {
            ref: await stack.enter_async_context(ready(url, await token(house, ref)))
            for ref in ("f1", "f2", "f5")
        }
        booking = await house.book()
        rung = await phones["f1"].next()
        assert rung.name == "offer.made"
        [offer] = (await (await house.friend("f1")).get("/v1/me/offers")).json()["items"]
        assert rung.said["data"]["offer"] == offer

        won = (await phones["f2"].next()).said["data"]["offer"]["id"]
        await (await house.friend("f2")).post(f"/v1/offers/{won}/accept")
        gone = await phones["f1"].next()
        assert gone.name == "offer.gone"
        assert gone.said["data"] == {"offer_id": offer["id"], "because": "lost"}
        awarded = await phones["f2"].next()
        assert awarded.name == "booking.awarded"
        assert awarded.said["booking_id"] == booking["id"]
        assert set(awarded.said["data"]) == {"award", "due_at"}

        again = await house.book(customer=CUSTOMER | {"email": "other@example.com"})
        lost = (await house.offers(again))["f1"]
        await (await house.friend("f1")).post(f"/v1/offers/{lost}/decline")
        first = await phones["f5"].next()
        assert first.said["booking_id"] == again["id"], "f5 heard of a job he was not asked for"


CUSTOMER = {"name": "Vera Beispiel", "phone": "044 000 17 39", "language": "de"}


async def test_an_expired_a_withdrawn_and_a_declined_offer_are_gone(house, url, rt, clock):
    async with ready(url, await token(house, "f1")) as phone:
        offer = live_offers_of(await book_job(rt))[0]
        assert (await phone.next()).name == "offer.made"
        await clock.advance(timedelta(minutes=61))
        await commands.fire_due_timers(rt, 10)
        gone = await phone.next()
        assert gone.said["data"] == {"offer_id": str(offer.id), "because": "expired"}

        for end, because in ((cancelled, "withdrawn"), (declined, "declined")):
            offer = live_offers_of(await book_job(rt))[0]
            assert (await phone.next()).name == "offer.made"
            await end(rt, offer)
            gone = await phone.next()
            assert gone.said["data"] == {"offer_id": str(offer.id), "because": because}


async def cancelled(rt, offer):
    await commands.cancel(
        rt, offer.booking_id, actor="customer", reason="solved", may_act=lambda job: True
    )


async def declined(rt, offer):
    await commands.decline(rt, offer.id, offer.friend_id)


async def test_everybody_hears_of_his_own_and_the_desk_of_all(house, url, rt):
    partner, key = await accounts.add(rt, "Radio Meier")
    desk = await house.operator()
    mine = await book_job(rt, partner_id=partner.id)
    other = await book_job(rt)
    link = customer_token(rt.settings.key(), mine.job.booking.id)
    async with (
        ready(url, key) as till,
        ready(url, link) as customer,
        ready(url, desk.token) as board,
    ):
        for done in (other, mine):
            offer = live_offers_of(done)[0]
            await commands.accept(rt, offer.id, offer.friend_id)
        for reader in (till, customer):
            told = await reader.next()
            assert (told.name, told.said["booking_id"]) == (
                "booking.awarded",
                str(mine.job.booking.id),
            )
            assert set(told.said["data"]) == {"due_at"}
            assert "actor" not in told.said
        heard = [await board.next(), await board.next()]
        assert [told.said["booking_id"] for told in heard] == [
            str(done.job.booking.id) for done in (other, mine)
        ]
        assert heard[0].said["actor"].startswith("friend:")


async def test_no_stream_tells_who_anybody_is_or_who_else_was_asked(house, url, rt, clock):
    desk = await house.operator()
    async with AsyncExitStack() as stack:
        phones = {
            ref: await stack.enter_async_context(ready(url, await token(house, ref)))
            for ref in house.friends
        }
        board = await stack.enter_async_context(ready(url, desk.token))
        booking, _ = await house.win("f1")
        customer = await stack.enter_async_context(ready(url, booking["token"]))
        winner = await house.friend("f1")
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
            others = {str(id_) for other, id_ in house.friends.items() if other != ref}
            assert not [one for one in others if one in text]
        assert not [id_ for id_ in house.friends.values() if str(id_) in "\n".join(customer.seen)]
        for reader in (*phones.values(), customer, board):
            text = "\n".join(reader.seen)
            assert not [word for word in PERSONAL if word in text], text


async def test_what_another_process_commits_arrives_too(house, url, database, rt):
    async with (
        ready(url, await token(house, "f1")) as phone,
        open_runtime(rt.settings, database, application="tests", chance=Random(8)) as other,
    ):
        done = await book_job(other)
        told = await phone.next()
        assert told.said["booking_id"] == str(done.job.booking.id)


async def test_an_event_written_early_and_committed_late_is_told(house, url, rt, owner):
    first = await book_job(rt)
    async with ready(url, (await house.operator()).token) as board:
        late = owner.transaction()
        await late.start()
        await remind(owner, first)
        await book_job(rt)
        assert (await board.until("booking.offered")).said["booking_id"] != str(id_of(first))
        await late.commit()
        told = await board.next()
        assert (told.name, told.said["booking_id"]) == ("contact.reminded", str(id_of(first)))


async def test_after_a_cut_nothing_is_missing_and_nothing_told_twice(house, url, rt, owner):
    first = await book_job(rt)
    desk = (await house.operator()).token
    late = owner.transaction()
    async with ready(url, desk) as board:
        await late.start()
        await remind(owner, first)
        seen = await book_job(rt)
        await board.until("booking.offered")
    await late.commit()
    missed = await book_job(rt)
    async with listening(url, desk, board.cursor) as board:
        told = [await board.next() for _ in range(4)]
        assert {(t.name, t.said["booking_id"]) for t in told[:3]} == {
            ("contact.reminded", str(id_of(first))),
            ("booking.created", str(id_of(missed))),
            ("booking.offered", str(id_of(missed))),
        }
        assert (told[3].name, told[3].said) == ("ready", {"resumed": True})
        assert str(id_of(seen)) not in "\n".join(board.seen)
    again = await book_job(rt)
    async with listening(url, desk, None, **{"Last-Event-ID": board.cursor}) as board:
        assert (await board.next()).said["booking_id"] == str(id_of(again))


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


@pytest.mark.parametrize("cursor", ["nonsense", "x" * 7000, "MTo5OTk5OTk5OTk6", "MTo0OmE", "🙂"])
async def test_a_cursor_that_is_none_of_ours_begins_anew(house, url, rt, cursor):
    header = cursor if cursor.isascii() else "%F0"
    async with listening(url, (await house.operator()).token, header) as board:
        told = await board.next()
        assert (told.name, told.said) == ("ready", {"resumed": False})
        await book_job(rt)
        assert (await board.next()).name == "booking.created"


async def test_a_cursor_in_the_address_counts_unless_the_browser_sends_one(house, url, rt):
    desk = (await house.operator()).token
    async with ready(url, desk) as board:
        pass
    await book_job(rt)
    async with listening(f"{url}/v1/live?last_event_id={board.cursor}#", desk) as board:
        assert (await board.next()).name == "booking.created"


async def test_too_much_missed_is_said_instead_of_told(house, url, rt, monkeypatch):
    desk = (await house.operator()).token
    async with ready(url, desk) as board:
        pass
    for _ in range(3):
        await book_job(rt)
    monkeypatch.setattr(streaming, "EVENTS_MAX", 4)
    async with listening(url, desk, board.cursor) as board:
        assert (await board.next()).said == {"resumed": False}
        await book_job(rt)
        assert (await board.next()).name == "booking.created"


async def test_too_much_at_once_is_said_to_those_who_listen(house, url, rt, owner, monkeypatch):
    first = await book_job(rt)
    async with ready(url, (await house.operator()).token) as board:
        monkeypatch.setattr(streaming, "EVENTS_MAX", 1)
        await remind(owner, first)
        told = await board.next()
        assert (told.name, told.said) == ("ready", {"resumed": False})


async def test_nobody_without_credentials_listens(url, problem):
    for wrong in (None, "tk_live_nobody", "ts_nobody"):
        async with listening(url, wrong) as reader:
            problem(reader.response, 401, "unauthenticated")


async def test_a_cookie_opens_the_stream_as_a_token_does(house, url, rt):
    cookie = {"Cookie": f"tekkie_session={await token(house, 'f1')}"}
    async with listening(url, None, **cookie) as phone:
        assert (await phone.next()).name == "ready"
        await book_job(rt)
        assert (await phone.next()).name == "offer.made"


async def test_a_revoked_session_ends_its_stream_and_no_other(house, url, rt, monkeypatch):
    monkeypatch.setattr(streaming, "BEAT_S", 0.2)
    monkeypatch.setattr(streaming, "CHECK_EVERY_S", 0.05)
    revoked, good = await token(house, "f1"), await token(house, "f2")
    _, key = await accounts.add(rt, "Radio Meier")
    async with (
        ready(url, revoked) as phone,
        ready(url, good) as other,
        ready(url, key) as till,
    ):
        async with transaction(rt.pool) as tx:
            await session_rows.revoke(tx, sha256(revoked.encode()).digest())
        await accounts.revoke_key(rt, key[:16])
        assert await phone.next() is None
        assert await till.next() is None
        await book_job(rt)
        assert (await other.next()).name == "offer.made"


async def test_an_idle_stream_hears_comments_with_the_cursor_of_now(house, url, rt, monkeypatch):
    monkeypatch.setattr(streaming, "BEAT_S", 0.2)
    desk = (await house.operator()).token
    async with ready(url, await token(house, "f6")) as phone, ready(url, desk) as board:
        await book_job(rt)
        await board.until("booking.offered")
        before = phone.comments
        while phone.comments < before + 3:
            await phone.comment()
    async with listening(url, desk, phone.cursor) as board:
        assert (await board.next()).name == "ready", "the cursor tells again what it has told"


async def test_a_stream_says_what_it_is_and_when_to_come_back(house, url):
    async with listening(url, await token(house, "f1")) as phone:
        headers = phone.response.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-store"
        assert headers["x-accel-buffering"] == "no"
        await phone.next()
        name, _, wait_ms = phone.seen[0].partition(": ")
        assert name == "retry"
        assert 1000 <= int(wait_ms) <= 4000


async def test_who_does_not_read_is_ended_and_costs_no_more(house, rt, monkeypatch):
    monkeypatch.setattr(streaming, "WAITING_BYTES_MAX", 3000)
    hub = streams_of(house.app)
    stream = Stream(visibility.DESK, None, None)
    reading = asyncio.Event()
    got: list[dict] = []

    async def send(message):
        got.append(message)
        await reading.wait()

    async def receive():
        await asyncio.Event().wait()

    answer = asyncio.create_task(EventStreamResponse(hub, stream)({"type": "http"}, receive, send))
    while not stream.ended:
        await book_job(rt)
        await asyncio.sleep(0)
    assert stream.size > 3000
    assert stream.chunks == []
    reading.set()
    await asyncio.wait_for(answer, 5)
    assert got[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert hub.open == 0
    await hub.close()


async def test_streams_outlive_a_database_that_is_away(house, url, rt, monkeypatch, caplog):
    since, times = streaming.events.events_since, iter(range(3))

    async def away(*words):
        if next(times, None) is not None:
            raise DatabaseUnavailable("gone")
        return await since(*words)

    async with ready(url, await token(house, "f1")) as phone:
        monkeypatch.setattr(streaming.events, "events_since", away)
        await book_job(rt)
        assert (await phone.next()).name == "offer.made"
    assert [r.message for r in caplog.records if "streams wait" in r.message] == [
        "streams wait for the database: gone"
    ]


async def test_when_nobody_listens_nobody_looks(house, url, rt):
    hub = streams_of(house.app)
    async with ready(url, await token(house, "f1")):
        assert hub.open == 1
        assert hub.hint in rt.on_commit
        running = hub._task
    await asyncio.wait_for(running, 5)
    assert hub.open == 0
    assert hub.hint not in rt.on_commit


async def test_streams_end_at_once_when_the_server_stops(house, rt):
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        async with served(house.app) as url:
            phone = await stack.enter_async_context(ready(url, await token(house, "f1")))
            begun_s = loop.time()
        assert await phone.next() is None
        assert loop.time() - begun_s < 2


async def test_an_event_nobody_can_tell_silences_no_other(house, url, rt, owner, caplog):
    first = await book_job(rt)
    async with ready(url, (await house.operator()).token) as board:
        await owner.execute(
            "INSERT INTO events (booking_id, seq, kind, at, actor, data) "
            "VALUES ($1, $2, 'booking.offered', moment(), 'system', '{}')",
            id_of(first),
            first.job.booking.event_seq + 1,
        )
        await book_job(rt)
        assert (await board.next()).name == "booking.created"
    assert "cannot be told" in caplog.text


async def test_a_thousand_streams_cost_little_and_all_hear(house, url, rt, record_property):
    request = (
        f"GET /v1/live HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {await token(house, 'f1')}"
        "\r\n\r\n"
    ).encode()
    hub = streams_of(house.app)
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
                await told(client, b"event: ready")
            assert hub.open == wanted
        each = (resident_bytes() - before) / MANY
        await book_job(rt)
        for client in clients:
            await told(client, b"event: offer.made")
    finally:
        for client in clients:
            client.close()
    record_property("bytes_a_stream", each)
    assert each < BYTES_A_STREAM_MAX


async def test_the_collector_passes_over_open_streams(house, url, monkeypatch):
    monkeypatch.setattr(streaming, "KEPT_AT_ONCE", 3)
    mine, known = await token(house, "f1"), streams_alive()
    try:
        async with AsyncExitStack() as stack:
            for _ in range(3):
                await stack.enter_async_context(ready(url, mine))
            assert len(streams_alive() - known) == 0
            assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


async def test_an_ended_stream_leaves_nothing_for_the_collector(house, url):
    hub, mine, known = streams_of(house.app), await token(house, "f1"), streams_alive()
    gc.disable()
    try:
        async with ready(url, mine):
            assert len(streams_alive() - known) == 1
            running = hub._task
        await asyncio.wait_for(running, 5)
        assert len(streams_alive() - known) == 0
    finally:
        gc.enable()


def streams_alive():
    return {id(one) for one in gc.get_objects() if isinstance(one, Stream)}


async def told(client, needle):
    client.setblocking(False)
    loop, heard = asyncio.get_running_loop(), b""
    while needle not in heard:
        chunk = await loop.sock_recv(client, 65536)
        assert chunk, "a stream ended"
        heard += chunk


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE")
