"""Phones over HTTP: subscribed, moved, limited, tested, removed, and never other hosts."""

import asyncio
from datetime import timedelta

import pytest

from data.enums import Channel, FriendState
from dispatch.flows.people import friends
from scheduler.senders import webpush_crypto
from tests.receiver import from_url64, push_service
from tests.rules.test_reachability import BAD

ROUTE = "/v1/me/push-subscriptions"
TRY = "/v1/me/alarm-test"


@pytest.fixture
async def service(rt):
    """A push service on this machine, allowed by the settings."""
    rt.settings = rt.settings.model_copy(update={"push_hosts": "127.0.0.1"})
    async with push_service() as service:
        yield service


@pytest.fixture
def phones(owner, api):
    """The friends and their phones, in the order of subscription."""

    async def rows():
        found = await owner.fetch(
            "SELECT f.ref, s.endpoint FROM push_subscriptions s"
            " JOIN friends f ON f.id = s.friend_id ORDER BY s.created_at, s.id"
        )
        return [(row["ref"], row["endpoint"].rpartition("/")[2]) for row in found]

    return rows


async def drop(caller, path, endpoint):
    return await caller.send("DELETE", path, json={"endpoint": endpoint})


async def test_the_push_key_is_stable(api):
    first = (await api.client().get("/v1/push-key")).json()["key"]
    assert len(from_url64(first)) == 65
    assert webpush_crypto.Vapid(api.rt.settings.push_secret(), "").public == first


async def test_a_phone_belongs_to_its_last_subscriber_and_is_unique(service, api, phones):
    phone = service.handset("phone")
    f1, f2 = await api.friend("f1"), await api.friend("f2")
    for caller in (f1, f1, f2):
        assert (await caller.post(ROUTE, phone.subscription)).status_code == 201
    assert await phones() == [("f2", "phone")]
    index = api.rt.index
    await friends.refresh_index(api.rt, api.friends.values())
    assert index.get(api.friends["f1"]).channels == {Channel.MAIL}
    assert index.get(api.friends["f2"]).channels == {Channel.MAIL, Channel.PUSH}
    assert (await drop(f1, ROUTE, phone.endpoint)).status_code == 204
    assert await phones() == [("f2", "phone")]
    for _ in range(2):
        assert (await drop(f2, ROUTE, phone.endpoint)).status_code == 204
    assert await phones() == []


async def test_of_more_than_five_phones_the_oldest_is_removed(service, api, phones, clock):
    caller = await api.friend("f1")
    for n in range(7):
        await caller.post(ROUTE, service.handset(f"p{n}").subscription)
        await clock.advance(timedelta(seconds=1))
    assert await phones() == [("f1", f"p{n}") for n in range(2, 7)]


async def test_ten_phones_at_once_leave_five(service, api, phones):
    caller = await api.friend("f1")
    answers = await asyncio.gather(
        *(caller.post(ROUTE, service.handset(f"p{n}").subscription) for n in range(10))
    )
    assert {one.status_code for one in answers} == {201}
    assert len(await phones()) == 5


async def test_signing_out_unsubscribes_the_phone(service, api, phones):
    caller = await api.friend("f1")
    for name in ("phone", "tablet"):
        await caller.post(ROUTE, service.handset(name).subscription)
    out = await drop(caller, "/v1/sessions/current", service.handset("phone").endpoint)
    assert out.status_code == 204
    assert await phones() == [("f1", "tablet")]
    assert (await caller.get("/v1/me/profile")).status_code == 401


async def test_refused_endpoints_are_never_connected_to(service, api, phones, problem):
    """Nothing refused is ever connected to: a server on this machine gets no request."""
    api.rt.settings = api.rt.settings.model_copy(update={"push_hosts": ""})
    caller = await api.friend("f1")
    trap = service.url.removeprefix("http://")
    bad = [one.replace("127.0.0.1", trap) for one in BAD] + [service.handset("x").endpoint]
    keys = service.handset("x").subscription["keys"]
    for endpoint in bad:
        answer = await caller.post(ROUTE, {"endpoint": endpoint, "keys": keys})
        assert answer.status_code == 422, endpoint
    answer = await caller.post(ROUTE, {"endpoint": bad[0], "keys": keys})
    assert problem(answer, 422, "endpoint-refused")["errors"][0]["field"] == "endpoint"
    assert (await caller.post(TRY)).json()["rang"] == 0
    assert await phones() == []
    assert service.calls == 0


async def test_invalid_push_keys_are_refused(service, api, problem):
    caller = await api.friend("f1")
    phone = service.handset("x").subscription
    for key in ("", "AAAA", "é" * 87, 5, None, "+" * 87, "A" * 88):
        phone["keys"] |= {"p256dh": key}
        result = problem(await caller.post(ROUTE, phone), 422, "validation-failed")
        assert result["errors"][0]["field"] == "keys.p256dh", key


async def test_an_alarm_test_has_a_result_for_each_phone(service, api, clock, problem, phones):
    caller = await api.friend("f1")
    answers = {"fine": 201, "gone": 410, "refused": 403, "unreachable": 503}
    for name, status in answers.items():
        phone = service.handset(name)
        phone.answer = (status, {}, b"")
        await caller.post(ROUTE, phone.subscription)
        await clock.advance(timedelta(seconds=1))
    result = (await caller.post(TRY)).json()
    assert result["rang"] == 1
    assert [one["problem"] for one in result["phones"]] == [None, "gone", "refused", "unreachable"]
    assert result["obstacles"] == []
    (push,) = service.handset("fine").taken
    assert push.notification["data"]["kind"] == "alarm"
    assert push.notification["navigate"] == "https://tekkie.test/friend"
    assert [name for _, name in await phones()] == ["fine", "refused", "unreachable"]
    again = await caller.post(TRY)
    problem(again, 429, "rung-just-now")
    assert again.headers["retry-after"] == "10"
    await clock.advance(timedelta(seconds=10))
    assert (await caller.post(TRY)).status_code == 200


async def test_a_phone_rings_for_offers_only_once_a_test_was_heard(service, api, clock):
    caller = await api.friend("f1")

    async def alarm():
        return (await caller.get("/v1/me/profile")).json()["alarm"]

    async def heard():
        return (await caller.post(f"{TRY}/confirm")).json()["alarm"]

    assert [await alarm(), await heard()] == ["no_phone", "no_phone"]
    phone = service.handset("phone")
    await caller.post(ROUTE, phone.subscription)
    assert [await alarm(), await heard()] == ["unconfirmed", "unconfirmed"]
    phone.answer = (503, {}, b"")
    assert (await caller.post(TRY)).json()["rang"] == 0
    assert await heard() == "unconfirmed"
    await clock.advance(timedelta(seconds=10))
    phone.answer = (201, {}, b"")
    assert (await caller.post(TRY)).json()["rang"] == 1
    assert await alarm() == "unconfirmed"
    assert [await heard(), await heard(), await alarm()] == ["confirmed"] * 3
    # The same phone again is the same; with new keys it is another one.
    await caller.post(ROUTE, phone.subscription)
    assert await alarm() == "confirmed"
    other = phone.subscription["keys"] | {"auth": "A" * 22}
    await caller.post(ROUTE, phone.subscription | {"keys": other})
    assert await alarm() == "unconfirmed"


async def test_an_alarm_test_lists_the_obstacles(service, api, owner, clock):
    caller = await api.friend("f1")
    friend_id = api.friends["f1"]
    quiet = {"quiet": {"from": "00:00", "until": "23:59"}, "paused": True}
    assert (await caller.send("PATCH", "/v1/me/profile", json=quiet)).status_code == 200
    await owner.execute("DELETE FROM friend_certificates WHERE friend_id = $1", friend_id)
    await owner.execute("UPDATE friends SET open_jobs = capacity WHERE id = $1", friend_id)
    await owner.execute("UPDATE people SET lat = NULL, lon = NULL WHERE id = $1", friend_id)
    result = (await caller.post(TRY)).json()
    assert result == {
        "rang": 0,
        "phones": [],
        "obstacles": [
            *("no_phone", "paused", "quiet_hours", "at_capacity", "no_base", "no_certificate")
        ],
    }


async def test_no_transaction_is_open_during_test_pushes(service, api, owner):
    caller = await api.friend("f1")
    phone = service.handset("slow")
    phone.hold = asyncio.Event()
    await caller.post(ROUTE, phone.subscription)
    trying = asyncio.create_task(caller.post(TRY))
    async with asyncio.timeout(5):
        while not service.calls:  # noqa: ASYNC110 - it comes over the wire
            await asyncio.sleep(0.01)
    busy = await owner.fetchval(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
    )
    assert busy == 0
    phone.hold.set()
    assert (await trying).json()["rang"] == 1


async def test_an_unreachable_friend_gets_no_offer(service, api, owner):
    """After erasure a friend has no mail; a phone would make them reachable again."""
    friend_id = api.friends["f1"]
    rt = api.rt
    await owner.execute("UPDATE people SET erased_at = moment() WHERE id = $1", friend_id)
    await friends.refresh_index(rt, [friend_id])
    assert rt.index.get(friend_id).channels == frozenset()
    assert rt.index.get(friend_id).state is FriendState.ACTIVE
    assert "f1" not in await api.offers(await api.book())
