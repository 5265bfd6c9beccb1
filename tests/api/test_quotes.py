"""Quotes and login links for callers who ask too often."""

from dataclasses import replace

import httpx2

from tests.api.conftest import BASE, BOOKING, Caller

ASKED = {"package": "wifi-setup", "address": BOOKING["address"]}


def caller_at(api, host, token=None):
    transport = httpx2.ASGITransport(app=api.app, client=(host, 1))
    return Caller(httpx2.AsyncClient(transport=transport, base_url=BASE), token)


async def test_quotes_are_limited_by_network_and_by_partner(api, problem):
    api.rt.policy = replace(api.rt.policy, quotes_per_minute=2, quotes_per_minute_of_partner=3)
    partner = await api.partner()
    for most, hosts, token in (
        (2, ("203.0.113.7", "203.0.113.99", "203.0.113.7"), None),
        (3, ("203.0.113.7", "198.51.100.1", "192.0.2.1", "127.0.0.1"), partner.token),
    ):
        for number, host in enumerate(hosts):
            answer = await caller_at(api, host, token).post("/v1/quotes", ASKED)
            if number < most:
                assert answer.status_code == 201, answer.text
            else:
                problem(answer, 429, "too-many-requests")
                assert answer.headers["Retry-After"] == "60"
    assert (await caller_at(api, "198.51.100.1").post("/v1/quotes", ASKED)).status_code == 201
    del api.app.state.rate_limit
    assert (await caller_at(api, "203.0.113.7").post("/v1/quotes", ASKED)).status_code == 201


async def test_login_links_are_limited_by_network_and_apart_from_quotes(api, problem):
    api.rt.policy = replace(api.rt.policy, quotes_per_minute=1, login_links_per_minute=2)
    body = {"email": "nobody@example.org", "kind": "friend"}
    for number, host in enumerate(("203.0.113.7", "203.0.113.99", "203.0.113.7")):
        answer = await caller_at(api, host).post("/v1/login-links", body)
        if number < 2:
            assert answer.status_code == 202, answer.text
        else:
            problem(answer, 429, "too-many-requests")
            assert answer.headers["Retry-After"] == "60"
    assert (await caller_at(api, "203.0.113.7").post("/v1/quotes", ASKED)).status_code == 201
    assert (await caller_at(api, "198.51.100.1").post("/v1/login-links", body)).status_code == 202
