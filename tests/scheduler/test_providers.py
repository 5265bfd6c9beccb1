"""The SMS gateways: what is sent, what an answer means, whose events are believed."""

import hmac
import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from uuid import UUID

import httpx2
import pytest

from data.markets import Language
from scheduler.providers import Answered, Event
from scheduler.providers.gatewayapi import GatewayApi
from scheduler.providers.sms_folder import SmsFolder
from scheduler.providers.sms_text import segments, write_text
from scheduler.senders import GiveUp, Retry

KEY, OTHER = UUID(int=7), UUID(int=8)
TO = "+41790001739"
TOLD = {"id": 1000001, "msisdn": 41790001739, "time": 1450000000, "status": "DELIVERED"}


def gateway(answer, requests=None):
    def handle(request):
        if requests is not None:
            requests.append(request)
        return answer

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(handle))
    return GatewayApi(
        client, url="https://gateway.example", token="t0ken", sender="tekkie", secret="s3cret"
    )


def signed(claims, secret="s3cret", **header):
    parts = ({"typ": "JWT", "alg": "HS256"} | header, claims)
    head = ".".join(encoded(json.dumps(one).encode()) for one in parts)
    return f"{head}.{encoded(hmac.digest(secret.encode(), head.encode(), sha256))}"


def encoded(content):
    return urlsafe_b64encode(content).rstrip(b"=").decode()


async def test_an_sms_is_one_post_with_number_text_and_reference():
    requests = []
    sender = gateway(httpx2.Response(200, json={"ids": [421332671], "usage": {}}), requests)
    assert await sender.send(KEY, TO, "Twój kod") == Answered(answer={"reference": "421332671"})
    [request] = requests
    assert str(request.url) == "https://gateway.example/rest/mtsms"
    assert request.headers["authorization"] == "Basic dDBrZW46"
    assert json.loads(request.content) == {
        "sender": "tekkie",
        "message": "Twój kod",
        "encoding": "UCS2",
        "userref": str(KEY),
        "recipients": [{"msisdn": 41790001739}],
    }


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Answered), (422, Answered), (401, GiveUp), (403, GiveUp), (429, Retry), (503, Retry)],
)
async def test_a_failure_is_told_apart_and_repeats_no_number(status, kind):
    body = {"code": "0x0213", "message": f"Invalid number {TO}"}
    result = await gateway(httpx2.Response(status, json=body)).send(KEY, TO, "x")
    assert isinstance(result, kind)
    assert f"{status} 0x0213" in result.problem
    assert "0001739" not in result.problem


async def test_a_gateway_that_asks_for_a_pause_gets_one():
    busy = httpx2.Response(429, headers={"retry-after": "30"}, text="slow down")
    assert (await gateway(busy).send(KEY, TO, "x")).after_s == 30.0


@pytest.mark.parametrize(
    ("status", "delivery"),
    [("DELIVERED", "delivered"), ("UNDELIVERABLE", "undeliverable"), ("ENROUTE", "sent")],
)
async def test_the_present_state_is_read(status, delivery):
    answer = httpx2.Response(200, json=[{"recipients": [{"dsnstatus": status}]}])
    assert await gateway(answer).read("421332671") == Answered(answer={"delivery": delivery})


async def test_a_state_that_is_not_known_yet_is_read_later():
    assert isinstance(await gateway(httpx2.Response(404)).read("1"), Retry)


def test_an_event_is_believed_by_its_signature_alone():
    sender = gateway(httpx2.Response(200))
    known = sender.verify({"x-gwapi-signature": signed(TOLD)}, b"{}")
    assert known == Event(id="1000001 DELIVERED 1450000000", reference="1000001")
    for token in (
        "",
        "a.b.c",
        "é.é.é",
        signed(TOLD, secret="other"),
        signed(TOLD, alg="none"),
        signed(TOLD)[:-2],
        signed(TOLD | {"id": "../1"}),
        signed(["id"]),
    ):
        assert sender.verify({"x-gwapi-signature": token}, json.dumps(TOLD).encode()) is None


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("ą" * 70, 1),
        ("ą" * 71, 2),
        ("🙂" * 35, 1),
        ("🙂" * 36, 2),
    ],
)
def test_a_text_takes_as_many_sms_as_its_alphabet_needs(text, count):
    assert segments(text) == count


@pytest.mark.parametrize("language", Language)
def test_the_code_stands_first_and_takes_one_sms_in_every_language(language):
    text = write_text(language, "phone_code", {"code": "271828", "minutes": 10})
    assert text.startswith("271828 ")
    assert "10 " in text
    assert segments(text) == 1


async def test_the_folder_checks_what_it_is_given_and_sends_a_key_once(tmp_path):
    folder = SmsFolder(tmp_path, b"secret")
    first = await folder.send(KEY, TO, "one")
    assert first == await folder.send(KEY, TO, "one")
    assert isinstance(await folder.send(KEY, TO, "two"), GiveUp)
    assert isinstance(await folder.send(OTHER, TO, "x" * 161), GiveUp)
    assert (await folder.send(OTHER, "079 000 17 39", "x")).problem
    assert [one["text"] for one in folder.texts()] == ["one"]
    assert (await folder.read(str(KEY))).answer == {"delivery": "delivered"}
    assert isinstance(await folder.read(str(OTHER)), GiveUp)
