"""A database URL of several hosts; the frozen one is a socket that accepts and never answers."""

import asyncio
import socket
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from data import db, server_session
from data.db import DatabaseReadOnly, DatabaseUnavailable
from data.hosts import Host, Hosts, behind_pooler
from data.server_session import Connector

SEVERAL = "postgresql://me:pw@a.example:6432,b.example/tekkie"
A, B = Host(name="a.example", port=6432), Host(name="b.example", port=5432)


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        (SEVERAL, [A, B]),
        ("postgresql://me@a,b:1/x?port=7", [("a", 7), ("b", 1)]),
        ("postgresql:///x?host=a,b&port=1,2", [("a", 1), ("b", 2)]),
        ("postgresql:///x?host=/run/a%20b,/run/c", [("/run/a b", 5432), ("/run/c", 5432)]),
        ("postgresql://me@%2Frun%2Fa,b/x", [("/run/a", 5432), ("b", 5432)]),
        ("postgresql://me@a:1/x", []),
        ("postgresql:///x", []),
    ],
)
def test_the_hosts_of_a_url_are_read_with_their_ports(url, hosts):
    found = Hosts.of(url)
    assert [(one.name, one.port) for one in found.hosts] == [
        one if isinstance(one, tuple) else (one.name, one.port) for one in hosts
    ]
    assert (found.url, found.pooled) == (url, False)


@pytest.mark.parametrize("url", [SEVERAL, "postgresql:///x?host=/run/a", "postgresql://me@a/x"])
def test_the_mark_of_a_pooler_is_not_sent_to_the_server(url):
    found = Hosts.of(behind_pooler(url))
    assert found.pooled
    assert parse_qs(urlsplit(found.url).query) == parse_qs(urlsplit(url).query)
    assert urlsplit(found.url).netloc == urlsplit(url).netloc


class Attempts:
    """Stands for the hosts: each answers, refuses, or does not answer at all."""

    def __init__(self, **answers):
        self.answers = {"a.example": answers["a"], "b.example": answers["b"]}
        self.asked = []
        self.begun = asyncio.Event()

    async def __call__(self, *, host, port, server_settings):
        self.asked.append(host[0])
        self.begun.set()
        answer = self.answers[host]
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def connector(monkeypatch):
    monkeypatch.setattr(server_session, "HOST_TIMEOUT_S", 0.02)
    monkeypatch.setattr(server_session, "CONNECT_TIMEOUT_S", 0.04)
    return Connector(SEVERAL, {}, verified=True)


@pytest.mark.parametrize(
    "problem",
    [None, ConnectionRefusedError(), DatabaseReadOnly("a standby"), socket.gaierror("unknown")],
)
async def test_the_next_host_is_tried_and_the_one_that_answered_is_first_from_then_on(
    connector, monkeypatch, problem
):
    attempts = Attempts(a=problem, b="connection")
    monkeypatch.setattr(connector, "_open", attempts)
    for _ in range(3):
        assert await connector() == "connection"
    assert attempts.asked == ["a", "b", "b", "b"]


async def test_a_caller_that_gave_up_leaves_the_frozen_host_for_last(connector, monkeypatch):
    attempts = Attempts(a=None, b="connection")
    monkeypatch.setattr(connector, "_open", attempts)
    monkeypatch.setattr(server_session, "HOST_TIMEOUT_S", 60)
    task = asyncio.create_task(connector())
    await attempts.begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert await connector() == "connection"
    assert attempts.asked == ["a", "b"]


async def test_without_any_good_host_each_is_named_with_its_problem(connector, monkeypatch):
    monkeypatch.setattr(connector, "_open", Attempts(a=None, b=DatabaseReadOnly("a standby")))
    with pytest.raises(DatabaseUnavailable) as refused:
        await connector()
    assert "a.example:6432: no answer within 0.04 s" in str(refused.value)
    assert "b.example:5432: a standby" in str(refused.value)


async def test_a_pool_opens_on_the_next_host_when_the_first_is_frozen(database, monkeypatch):
    monkeypatch.setattr(server_session, "HOST_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        url = with_host_first(database.service_dsn, f"127.0.0.1:{frozen.getsockname()[1]}")
        pool = await db.open_pool(url, role=database.service_role, size=3, application="x")
        async with db.transaction(pool), db.transaction(pool), db.transaction(pool) as tx:
            assert await tx.fetchval("SELECT current_user::text") == "tekkie_service"
        pool.terminate()


def with_host_first(url, host):
    parts = urlsplit(url)
    user, at, real = parts.netloc.rpartition("@")
    if real:
        return parts._replace(netloc=f"{user}{at}{host},{real}").geturl()
    folder = quote(parse_qs(parts.query)["host"][0], safe="")
    return parts._replace(netloc=f"{user}{at}{host},{folder}", query="").geturl()
