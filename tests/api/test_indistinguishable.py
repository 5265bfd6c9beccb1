"""Foreign and missing resources cost the same: the same statements, and the same response.

Response times are measured by `python -m tests.proof.alike`.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest

from data import sql_loader
from scheduler import account_mails
from scheduler.senders.letters import render
from tests.api import test_access
from tests.api.test_access import CALLERS, MISSING, OWNED, TABLE, VIEWERS, request

people, arranged, database = test_access.people, test_access.arranged, test_access.database
NAMES = {
    text: f"{source.name.removesuffix('.sql')}.{name}"
    for source in sql_loader.QUERIES.iterdir()
    if source.name.endswith(".sql")
    for name, text in sql_loader.load(source.name.removesuffix(".sql")).blocks.items()
}


@contextmanager
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of all statements of this process, in order of execution."""
    seen: list[str] = []
    original_fetch, original_execute = asyncpg.Connection._execute, asyncpg.Connection.execute

    async def fetching(self: Any, query: str, *args: Any, **options: Any) -> Any:
        seen.append(NAMES.get(query, query))
        return await original_fetch(self, query, *args, **options)

    async def executing(self: Any, query: str, *args: Any, **options: Any) -> Any:
        if not args:  # with arguments it comes by the other
            seen.append(NAMES.get(query, query))
        return await original_execute(self, query, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(asyncpg.Connection, "_execute", fetching)
        patched.setattr(asyncpg.Connection, "execute", executing)
        yield seen


STRANGERS = [
    (name, caller)
    for name in OWNED
    for caller in CALLERS
    if (TABLE.get(name) or {}).get(caller) == 404 and caller != "operator"
]


def test_every_operation_on_one_resource_has_a_stranger_or_is_for_the_desk():
    alone = set(OWNED) - {name for name, _ in STRANGERS}
    assert all((TABLE.get(name) or {}).keys() <= {*VIEWERS} for name in alone), alone


async def test_foreign_and_missing_run_the_same_statements(people, monkeypatch):
    callers, ids = people
    nowhere = ids | dict.fromkeys(("booking_id", "offer_id"), MISSING)
    for name, caller in STRANGERS:
        ran = []
        for of in (ids, nowhere):
            with statements(monkeypatch) as seen:
                answer = await callers[caller].send(**request(name, of))
            assert answer.status_code == 404, (name, caller)
            ran.append(seen)
        assert ran[0] == ran[1], (name, caller)
        # A customer's link names its booking: another's is refused without a query.
        assert ran[0] or "customer" in caller, (name, caller)


async def test_a_known_mail_address_costs_the_same_as_an_unknown_one(api, monkeypatch):
    """Nothing follows the response either, which the next answer on the connection would tell."""
    await post_those_that_wait(api)
    ran, result, tasks = [], [], []
    for email in ("f1@example.org", "nobody@example.org"):
        running = asyncio.all_tasks()
        with statements(monkeypatch) as seen:
            answer, before = await call(api.app, "/v1/login-links", email, seen)
            tasks.append(asyncio.all_tasks() - running)
            result.append(len(answer))
            ran.append(seen[:before])
            assert seen == ran[-1]
    assert result[0] == result[1]
    assert ran[0] == ran[1]
    assert tasks == [set(), set()]
    assert "account_mails.insert_login_link" in ran[0]
    await api.post_letters()
    assert [letter["email"] for letter in api.letters.sent] == ["f1@example.org"]


async def test_a_letter_is_written_for_an_unknown_address_too(api, monkeypatch):
    await post_those_that_wait(api)
    written = []

    def count(*args, **options):
        written.append(args[0])
        return render(*args, **options)

    monkeypatch.setattr(account_mails, "render", count)
    for email in ("f1@example.org", "nobody@example.org"):
        body = {"email": email, "kind": "friend"}
        assert (await api.client().post("/v1/login-links", body)).status_code == 202
        await api.post_letters()
    assert written == ["login_link", "login_link"]
    assert len(api.letters.sent) == 1


async def post_those_that_wait(api: Any) -> None:
    """Deliver what was mailed to the people of the database, a dispatcher for one."""
    await api.post_letters()
    api.letters.sent.clear()


async def call(app: Any, path: str, email: str, seen: list[str]) -> tuple[bytes, int]:
    """The body of the answer, and how many of the statements had run when it was out."""
    original_execute: list[tuple[bytes, int]] = []

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            original_execute.append((message["body"], len(seen)))

    body = f'{{"email": "{email}", "kind": "friend"}}'.encode()
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return parts.pop() if parts else {"type": "http.disconnect"}

    headers = [(b"host", b"tekkie.test"), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [*headers, (b"content-length", str(len(body)).encode())],
        "client": ("127.0.0.1", 1),
        "server": ("tekkie.test", 443),
    }
    await app(scope, receive, send)
    return original_execute[0]
