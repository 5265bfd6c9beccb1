"""Scans everything the service sends out for markers that its reader may not see then."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import asyncpg
import httpx2

from data.markets import Language
from data.records.ids import FriendId, PersonId
from dispatch.flows.partners import accounts
from dispatch.flows.people import sessions
from dispatch.runtime import Runtime
from scheduler.senders import Result, Retry, Sent
from tests.proof.privacy.markers import Found, MarkedPerson, Scanner
from tests.proof.privacy.rights import Rights

# The only table of personal data, and the columns of free text that people write.
FREE = {
    *(("people", None), ("awards", "summary"), ("ratings", "comment")),
    *(("thread_notes", "text"), ("customer_reviews", "comment")),
    *(("review_notes", "reply"), ("review_notes", "report")),
    *(("sittings", "reason"), ("files", "name")),
    # Until the mail that confirms an address has left.
    *(("account_mails", "name"), ("account_mails", "email")),
}
# Views repeat tables.
TABLES = """
SELECT table_name AS name FROM information_schema.tables
WHERE table_schema = 'tekkie' AND table_type = 'BASE TABLE'
"""


@dataclass(frozen=True)
class Leak:
    """A marker where it must not be."""

    reader: str
    where: str
    found: Found


@dataclass
class Observer:
    """Calls the API as every kind of reader and scans what each of them gets."""

    rt: Runtime
    http: httpx2.AsyncClient
    owner: asyncpg.Connection
    people: dict[str, MarkedPerson]
    scanner: Scanner
    rights: Rights
    tokens: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    leaks: list[Leak] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    scanned: Counter[str] = field(default_factory=Counter)
    is_mail_failing: bool = False
    words: dict[str, set[str]] = field(default_factory=dict)
    """Words that stand in one text each, and the readers who may see it now."""
    read: set[tuple[str, str]] = field(default_factory=set)
    mails: list[str] = field(default_factory=list)

    async def create_readers(self, friends: dict[str, FriendId]) -> None:
        """Create a credential for every reader."""
        for who, friend_id in friends.items():
            await self.add_reader(
                who, "friend", await sessions.create_token(self.rt, PersonId(friend_id))
            )
        desk = self.people["desk"]
        person = await sessions.add_operator(self.rt, desk.name, desk.email, Language.EN)
        await self.add_reader("desk", "operator", await sessions.create_token(self.rt, person))
        for name in ("shop", "other shop"):
            partner, key = await accounts.add(self.rt, name)
            await self.add_reader(name, "partner", key, str(partner.id))
        self.kinds["nobody"], self.names["nobody"] = "anybody", "nobody"

    async def add_reader(self, who: str, kind: str, token: str, name: str | None = None) -> None:
        """Add somebody who reads with this token; `name` is whose data are their own."""
        self.tokens[who], self.kinds[who], self.names[who] = token, kind, name or who

    def add_customer(self, who: str, link: str) -> None:
        """Add a customer as a reader by the link of their booking."""
        self.tokens[who], self.kinds[who], self.names[who] = (
            link.rpartition("/")[2],
            "customer",
            who,
        )

    async def call(self, who: str, method: str, path: str, **options: Any) -> httpx2.Response:
        """One request; its whole answer is scanned by what the caller may see after it."""
        headers = dict(options.pop("headers", {}))
        if who in self.tokens:
            headers["Authorization"] = f"Bearer {self.tokens[who]}"
        answer = await self.http.request(method, path, headers=headers, **options)
        self.answers[answer.status_code] += 1
        text = f"{answer.headers.multi_items()}\n{answer.text}"
        public = path.startswith(
            ("/metrics", "/readyz", "/healthz", "/docs", "/openapi", "/v1/live")
        )
        kind = "public" if public else self.kinds.get(who, "anybody")
        await self.scan(kind, self.names.get(who, who), f"{method} {path}", text)
        return answer

    async def get(self, who: str, path: str) -> httpx2.Response:
        return await self.call(who, "GET", path)

    async def post(self, who: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        options = {} if body is None else {"json": body}
        return await self.call(who, "POST", path, headers=named, **options)

    async def scan(self, kind: str, who: str, where: str, text: str) -> None:
        """Search for markers that this reader may not see now."""
        self.scanned[kind] += 1
        for word in [one for one in self.words if one in text]:
            self.read.add((word, who))
            if who not in self.words[word] or kind.startswith(("mail", "push", "sms")):
                self.leaks.append(Leak(f"{kind} {who}", where, Found(word, "text")))
        if found := self.scanner.find(text):
            allowed = await self.rights.of(kind, who)
            self.leaks += [Leak(f"{kind} {who}", where, one) for one in found - allowed]

    async def read_everything(self, bookings: list[str], readers: list[str]) -> None:
        """Read every path as each of these readers, their own resources and others'."""
        mine = ("/v1/me/offers", "/v1/me/jobs", "/v1/me/why", "/v1/me/profile", "/v1/bookings")
        mine = (*mine, "/v1/me/messages", "/v1/me/files")
        about = ("", "/events", "/appointment.ics", "/decisions")
        about = (*about, "/messages", "/reviews", "/friend", "/files")
        for who in readers:
            if self.kinds[who] in ("friend", "partner", "operator"):
                for path in mine:
                    await self.get(who, path)
            for booking in bookings:
                for path in about:
                    await self.get(who, f"/v1/bookings/{booking}{path}")
                if self.kinds[who] == "operator":
                    await self.get(who, f"/v1/desk/bookings/{booking}/messages")
                    await self.get(who, "/v1/desk/reviews")
            # Relations to rows are counted even where nothing was read.
            await self.rights.of(self.kinds[who], self.names[who])
        for path in ("/metrics", "/readyz", "/healthz"):
            await self.get("nobody", path)

    async def deliver(self, mail: EmailMessage, to: str) -> Result:
        """Scan a mail instead of sending it; a failing mail server asks to wait."""
        if self.is_mail_failing:
            return Retry(f"the mail server asks to wait: 451 {len(to)}")
        who = next(one for one in self.people.values() if one.email == to)
        kind = "mail to a friend" if who.who.startswith("f") else "mail to a customer"
        self.mails.append(_decode(mail.as_bytes()))
        await self.scan(kind, who.who, f"mail {mail['Subject']}", self.mails[-1])
        return Sent()

    async def scan_tables(self) -> None:
        """Scan every table: personal data may be in `people` alone."""
        tables = await self.owner.fetch(TABLES)
        for name in (row["name"] for row in tables):
            if (name, None) in FREE:
                continue
            free = [column for table, column in FREE if table == name]
            rows = await self.owner.fetch(
                f"SELECT (to_jsonb(t) - $1::text[])::text FROM {name} t", free
            )
            self.scanned["rows"] += len(rows)
            for row in rows:
                found = self.scanner.find(row[0])
                found |= {Found(word, "text") for word in self.words if _holds(row[0], word)}
                self.leaks += [Leak("the database", f"table {name}", one) for one in found]


def _holds(row: str, word: str) -> bool:
    """Whether a row as JSON holds a word, also within bytes."""
    return word in row or word.encode().hex() in row


def _decode(mail: bytes) -> str:
    """A mail as sent, followed by its decoded headers and texts."""
    read = message_from_bytes(mail, policy=policy.default)
    decoded = [f"{name}: {value}" for name, value in read.items()]
    for part in read.walk():
        if part.get_content_maintype() == "text":
            decoded.append(part.get_content())
    return "\n".join([mail.decode(), *decoded])


async def read_stream(observer: Observer, url: str, who: str, lines: list[str]) -> None:
    """Append the lines of a reader's event stream until it ends; the caller scans them."""
    headers = {"Authorization": f"Bearer {observer.tokens[who]}"}
    async with (
        httpx2.AsyncClient(timeout=60) as http,
        http.stream("GET", f"{url}/v1/live", headers=headers) as response,
    ):
        async for line in response.aiter_lines():
            lines.append(line)


async def wait_for_line(lines: list[str], word: str) -> None:
    """Wait until a line of a stream contains this word."""
    async with asyncio.timeout(20):
        while not any(word in line for line in lines):  # noqa: ASYNC110 - lines arrive over HTTP
            await asyncio.sleep(0.02)


def read_offers(events: list[dict[str, Any]]) -> dict[str, str]:
    """The offers in a list of events: friend id to offer id."""
    offered = (e["data"]["offers"] for e in events if e["kind"] == "booking.offered")
    return {offer["friend"]: offer["id"] for several in offered for offer in several}


def as_json(answer: httpx2.Response) -> Any:
    return json.loads(answer.text)
