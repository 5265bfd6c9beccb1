"""Foreign and missing cost the same: the same statements in the same order, and the same words.

Time itself is measured by `python -m tests.proof.alike`; here stands what it is made of.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest

from data import sql_loader
from tests.api import test_access
from tests.api.test_access import CALLERS, MISSING, OWNED, TABLE, request

people = test_access.people
NAMES = {
    text: f"{source.name.removesuffix('.sql')}.{name}"
    for source in sql_loader.QUERIES.iterdir()
    if source.name.endswith(".sql")
    for name, text in sql_loader.load(source.name.removesuffix(".sql")).blocks.items()
}


@contextmanager
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of all statements run by any connection of this process, in their order."""
    seen: list[str] = []
    asked, told = asyncpg.Connection._execute, asyncpg.Connection.execute

    async def fetching(self: Any, query: str, *args: Any, **options: Any) -> Any:
        seen.append(NAMES.get(query, query))
        return await asked(self, query, *args, **options)

    async def executing(self: Any, query: str, *args: Any, **options: Any) -> Any:
        if not args:  # with arguments it comes by the other
            seen.append(NAMES.get(query, query))
        return await told(self, query, *args, **options)

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


def test_every_operation_on_one_thing_has_its_stranger_or_belongs_to_the_desk():
    alone = set(OWNED) - {name for name, _ in STRANGERS}
    assert all((TABLE.get(name) or {}).keys() <= {"operator"} for name in alone), alone


async def test_what_is_foreign_costs_the_same_statements_as_what_is_missing(people, monkeypatch):
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
        # A customer's link names its booking: another's is refused before anything is asked.
        assert ran[0] or "customer" in caller, (name, caller)


async def test_a_known_mail_address_costs_the_answer_the_same_as_an_unknown_one(house, monkeypatch):
    """What follows from a known one, the link and its mail, comes after the answer."""
    ran, said = [], []
    for email in ("f1@example.org", "nobody@example.org"):
        with statements(monkeypatch) as seen:
            answer, before = await answered(house.app, "/v1/login-links", email, seen)
            said.append(answer)
            ran.append(seen[:before])
    assert said[0] == said[1]
    assert ran[0] == ran[1]
    assert "sessions.find_login" in ran[0]
    assert len(house.letters.sent) == 1


async def answered(app: Any, path: str, email: str, seen: list[str]) -> tuple[bytes, int]:
    """The body of the answer, and how many of the statements had run when it was out."""
    told: list[tuple[bytes, int]] = []

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            told.append((message["body"], len(seen)))

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
    return told[0]
