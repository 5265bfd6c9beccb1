"""The API in this process, on real PostgreSQL, with a client for each kind of caller."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import httpx2
import pytest

from api.http import load_shedding
from api.openapi.document import Api
from api.server.app import create_app
from data.database import Database
from data.enums import OperatorRole
from data.markets import Language
from data.records.ids import BookingId, FriendId, PersonId
from dispatch.flows.bootstrap import open_runtime
from dispatch.flows.partners import accounts
from dispatch.flows.people import companies, sessions
from dispatch.rules.jobs.customer_links import customer_token
from dispatch.runtime import Runtime
from scheduler.account_mails import AccountMails
from scheduler.senders import Result, Sent
from tests.builders import import_neighbours
from tests.conftest import Server, settings_in

BASE = "https://tekkie.test"
BOOKING = {
    "package": "wifi-setup",
    "customer": {
        "name": "Vera Beispiel",
        "email": "vera@example.com",
        "phone": "044 000 17 39",
        "language": "de",
    },
    "address": {
        "street": "Bahnhofstrasse 1",
        "postcode": "8001",
        "city": "Zürich",
        "country": "CH",
        "lat": 47.3667,
        "lon": 8.541,
    },
    "notes": "Third floor, ring twice.",
    "wishes": ["soon", "evening"],
}


LOGIN = re.compile(r"https?://\S+/login#\S+")
CODE = re.compile(r"\b[0-9]{6}\b")


@dataclass
class Letters:
    """Records mails about accounts instead of sending them; `results` are those of the next."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)

    async def deliver(self, mail: EmailMessage, to: str) -> Result:
        result = self.results.pop(0) if self.results else Sent()
        if isinstance(result, Sent):
            text = mail.get_payload(0).get_payload(decode=True).decode()
            links, codes = LOGIN.findall(text), CODE.findall(LOGIN.sub("", text))
            self.sent.append(
                {
                    "email": to,
                    "text": text,
                    "link": links[0] if links else None,
                    "code": codes[0] if codes else None,
                }
            )
        return result


@dataclass
class ApiHarness:
    """The API with a client for everybody who may call it."""

    rt: Runtime
    app: Api
    letters: Letters
    http: httpx2.AsyncClient
    friends: dict[str, FriendId] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self, token: str | None = None) -> "Caller":
        return Caller(self.http, token)

    async def post_letters(self) -> None:
        """Deliver the mails about accounts that are due."""
        mails = AccountMails(self.rt, self.letters, request_tick=lambda: None)
        await mails.tick()
        await mails.finish(10)

    async def friend(self, ref: str) -> "Caller":
        if ref not in self.tokens:
            person = PersonId(self.friends[ref])
            self.tokens[ref] = await sessions.create_token(self.rt, person)
        return self.client(self.tokens[ref])

    async def operator(self, role: OperatorRole = OperatorRole.ADMIN) -> "Caller":
        name = "operator" if role is OperatorRole.ADMIN else role
        if name not in self.tokens:
            email = "desk@example.com" if role is OperatorRole.ADMIN else f"{role}@example.com"
            person = await sessions.add_operator(
                self.rt, "Olga Pult", email, Language.EN, role=role
            )
            self.tokens[name] = await sessions.create_token(self.rt, person)
        return self.client(self.tokens[name])

    async def account(self, email: str = BOOKING["customer"]["email"]) -> "Caller":
        """A customer who has signed in by the code of a mail; an address with a booking."""
        if email not in self.tokens:
            asked = await self.client().post("/v1/login-links", {"email": email, "kind": "account"})
            await self.post_letters()
            code = {"request": asked.json()["request"], "code": self.letters.sent[-1]["code"]}
            answer = await self.client().post("/v1/sessions/code", code)
            assert answer.status_code == 201, answer.text
            self.http.cookies.clear()
            self.tokens[email] = answer.json()["token"]
        return self.client(self.tokens[email])

    async def dispatcher(self, company, name: str = "Dora Muster") -> "Caller":
        """A dispatcher of a company, added by the desk."""
        if name not in self.tokens:
            person = await companies.add_dispatcher(
                self.rt,
                company,
                name=name,
                email=f"{name.split(maxsplit=1)[0].lower()}@example.com",
                language=Language.DE,
                actor="system",
            )
            self.tokens[name] = await sessions.create_token(self.rt, person)
        return self.client(self.tokens[name])

    async def partner(self, name: str = "Radio Meier", *, members_only: bool = False) -> "Caller":
        if name not in self.tokens:
            _, self.tokens[name] = await accounts.add(self.rt, name, members_only=members_only)
        return self.client(self.tokens[name])

    async def book(self, **changes: Any) -> dict[str, Any]:
        """A booking by a customer without credentials; `token` is the customer's."""
        answer = await self.client().post("/v1/bookings", BOOKING | changes)
        assert answer.status_code == 201, answer.text
        booking = answer.json()
        return booking | {"token": booking["customer_link"].rpartition("/")[2]}

    def token_of(self, booking: dict[str, Any]) -> str:
        """The token of a customer's link, as the letters carry it."""
        return customer_token(self.rt.settings.key(), BookingId(UUID(booking["id"])))

    async def offers(self, booking: dict[str, Any]) -> dict[str, str]:
        """The live offers of a booking: the friend's ref and the offer's id, nearest first."""
        refs = {str(id_): ref for ref, id_ in self.friends.items()}
        desk = await self.operator()
        story = await desk.get(f"/v1/bookings/{booking['id']}/events")
        offers = {}
        for event in story.json()["items"]:
            if event["kind"] == "booking.offered":
                offers |= {refs[o["friend"]]: o["id"] for o in event["data"]["offers"]}
        return offers

    async def win(self, ref: str = "f1", **changes: Any) -> tuple[dict[str, Any], str]:
        """Book and let a friend accept; returns the booking and the id of the offer."""
        booking = await self.book(**changes)
        offer = (await self.offers(booking))[ref]
        answer = await (await self.friend(ref)).post(f"/v1/offers/{offer}/accept")
        assert answer.status_code == 200, answer.text
        return booking, offer


@dataclass
class Caller:
    """A client with a bearer token, or without credentials."""

    http: httpx2.AsyncClient
    token: str | None

    async def send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = dict(options.pop("headers", {}))
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        return await self.http.request(method, path, headers=headers, **options)

    async def get(self, path: str, **params: Any) -> httpx2.Response:
        return await self.send("GET", path, params=params)

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        options = {} if body is None else {"json": body}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.send("POST", path, headers=named, **options)

    async def put(self, path: str, body: Any) -> httpx2.Response:
        return await self.send("PUT", path, json=body)

    async def delete(self, path: str) -> httpx2.Response:
        return await self.send("DELETE", path)


@pytest.fixture(scope="session", autouse=True)
def no_load_shedding() -> Iterator[None]:
    """A slow machine is not an overload."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_shedding, "WAIT_MAX_S", 60.0)
        yield


@dataclass(frozen=True)
class Neighbours:
    """A database with friends, to be cloned and never changed."""

    template: str
    friends: dict[str, FriendId]


@pytest.fixture(scope="session")
def neighbours(
    server: Server, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Neighbours]:
    """Six friends at 100 m to 600 m from the customer."""
    name = server.create(template)
    friends = server.run(import_six(server.database(name), tmp_path_factory.mktemp("six")))
    yield Neighbours(name, friends)
    server.drop(name)


async def import_six(database: Database, folder: Path) -> dict[str, FriendId]:
    async with open_runtime(settings_in(folder), database, application="tests") as rt:
        return await import_neighbours(rt, 6, capacity=20)


@pytest.fixture
def database(request: pytest.FixtureRequest, server: Server, template: str) -> Iterator[Database]:
    """A database of this test alone; with the six friends if the test uses `api`."""
    if "api" in request.fixturenames:
        template = request.getfixturevalue("neighbours").template
    with server.lend(template) as lent:
        yield lent


@pytest.fixture
async def api(rt: Runtime, neighbours: Neighbours) -> AsyncIterator[ApiHarness]:
    """The API and six friends at 100 m to 600 m from the customer."""
    async with api_on(rt, neighbours) as api:
        yield api


@pytest.fixture(scope="session")
def shared_database(server: Server, neighbours: Neighbours) -> Iterator[Database]:
    name = server.create(neighbours.template)
    yield server.database(name)
    server.drop(name)


@pytest.fixture(scope="session")
async def shared_api(
    shared_database: Database, neighbours: Neighbours, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ApiHarness]:
    """The same API, shared by all tests that change nothing."""
    settings = settings_in(tmp_path_factory.mktemp("shared"))
    async with (
        open_runtime(settings, shared_database, application="tests", chance=Random(7)) as rt,
        api_on(rt, neighbours) as api,
    ):
        yield api


@asynccontextmanager
async def api_on(rt: Runtime, neighbours: Neighbours) -> AsyncIterator[ApiHarness]:
    letters = Letters()
    app = create_app(rt)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=True)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE) as http:
        yield ApiHarness(rt, app, letters, http, dict(neighbours.friends))


@pytest.fixture
def problem() -> Callable[..., dict[str, Any]]:
    """Checks that a response is a problem of this status and code; returns its JSON."""
    return expect


def expect(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    result = answer.json()
    assert result["code"] == code, result
    assert result["type"] == f"urn:tekkie:problem:{code}"
    assert result["status"] == status
    assert result["title"]
    assert result["detail"]
    return result
