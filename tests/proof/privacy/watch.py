"""Somebody who reads along: every byte that leaves, with who reads it and what he may see then."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import Any

import asyncpg
import httpx2

from data.markets import Language
from data.records.ids import FriendId, PersonId
from dispatch.flows.partners import accounts
from dispatch.flows.people import sessions
from dispatch.runtime import Runtime
from scheduler.senders import Result, Retry, Sent
from scheduler.senders.mime import Written
from tests.proof.privacy.marks import Found, Marked, Scanner
from tests.proof.privacy.rights import Rights

# The only table that holds personal data; what a friend writes about his visit and a customer about
# him is theirs to write, and stands in a column of its own.
FREE = {("people", None), ("awards", "summary"), ("ratings", "comment")}


@dataclass(frozen=True)
class Leak:
    """A mark where it may not be."""

    reader: str
    where: str
    found: Found


@dataclass
class Watch:
    """Calls the API as everybody, and scans what each of them reads."""

    rt: Runtime
    http: httpx2.AsyncClient
    owner: asyncpg.Connection
    people: dict[str, Marked]
    scanner: Scanner
    rights: Rights
    tokens: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    leaks: list[Leak] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    scanned: Counter[str] = field(default_factory=Counter)
    sick: bool = False

    async def admit(self, friends: dict[str, FriendId]) -> None:
        """Give everybody his token."""
        for who, friend_id in friends.items():
            await self._enter(who, "friend", await sessions.token(self.rt, PersonId(friend_id)))
        desk = self.people["desk"]
        person = await sessions.add_operator(self.rt, desk.name, desk.email, Language.EN)
        await self._enter("desk", "operator", await sessions.token(self.rt, person))
        for name in ("shop", "other shop"):
            partner, key = await accounts.add(self.rt, name)
            await self._enter(name, "partner", key, str(partner.id))
        self.kinds["nobody"], self.names["nobody"] = "anybody", "nobody"

    async def _enter(self, who: str, kind: str, token: str, name: str | None = None) -> None:
        self.tokens[who], self.kinds[who], self.names[who] = token, kind, name or who

    def customer(self, who: str, link: str) -> None:
        """Let somebody in by the link of her booking."""
        self.tokens[who], self.kinds[who], self.names[who] = (
            link.rpartition("/")[2],
            "customer",
            who,
        )

    async def call(self, who: str, method: str, path: str, **options: Any) -> httpx2.Response:
        """One request; all of its answer is scanned, as of what the caller may see after it."""
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
        """Look for marks that this reader may not see now."""
        self.scanned[kind] += 1
        if found := self.scanner.found(text):
            allowed = await self.rights.of(kind, who)
            self.leaks += [Leak(f"{kind} {who}", where, one) for one in found - allowed]

    async def look_around(self, bookings: list[str], readers: list[str]) -> None:
        """These read everything there is to read, their own and what is not theirs."""
        mine = ("/v1/me/offers", "/v1/me/jobs", "/v1/me/why", "/v1/me/profile", "/v1/bookings")
        about = ("", "/events", "/appointment.ics", "/decisions")
        for who in readers:
            if self.kinds[who] in ("friend", "partner", "operator"):
                for path in mine:
                    await self.get(who, path)
            for booking in bookings:
                for path in about:
                    await self.get(who, f"/v1/bookings/{booking}{path}")
            # Rows that stand to him in some way are counted even where nothing of them was read.
            await self.rights.of(self.kinds[who], self.names[who])
        for path in ("/metrics", "/readyz", "/healthz"):
            await self.get("nobody", path)

    async def carry(self, mail: Written) -> Result:
        """Take a mail on its way, and read it; a sick mail server names the address it refused."""
        if self.sick:
            return Retry(f"the mail server asks to wait: 451 {len(mail['To'])}")
        who = next(one for one in self.people.values() if one.email == mail["To"])
        kind = "mail to a friend" if who.who.startswith("f") else "mail to a customer"
        await self.scan(kind, who.who, f"mail {mail['Subject']}", _legible(mail.as_bytes()))
        return Sent()

    async def scan_tables(self) -> None:
        """Nothing personal lies anywhere but in `people`."""
        tables = await self.owner.fetch(
            "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'tekkie'"
        )
        for name in (row["name"] for row in tables):
            if (name, None) in FREE:
                continue
            free = [column for table, column in FREE if table == name]
            rows = await self.owner.fetch(
                f"SELECT (to_jsonb(t) - $1::text[])::text FROM {name} t", free
            )
            self.scanned["rows"] += len(rows)
            for row in rows:
                found = self.scanner.found(row[0])
                self.leaks += [Leak("the database", f"table {name}", one) for one in found]


def _legible(mail: bytes) -> str:
    """A mail as it travels, and its headers and texts decoded."""
    read = message_from_bytes(mail, policy=policy.default)
    decoded = [f"{name}: {value}" for name, value in read.items()]
    for part in read.walk():
        if part.get_content_maintype() == "text":
            decoded.append(part.get_content())
    return "\n".join([mail.decode(), *decoded])


async def listen(watch: Watch, url: str, who: str, told: list[str]) -> None:
    """Read somebody's stream until it ends; what it told is scanned by the caller."""
    headers = {"Authorization": f"Bearer {watch.tokens[who]}"}
    async with (
        httpx2.AsyncClient(timeout=60) as http,
        http.stream("GET", f"{url}/v1/live", headers=headers) as response,
    ):
        async for line in response.aiter_lines():
            told.append(line)


async def until(told: list[str], word: str) -> None:
    """Wait until a stream has said this word."""
    async with asyncio.timeout(20):
        while not any(word in line for line in told):  # noqa: ASYNC110 - it comes over the wire
            await asyncio.sleep(0.02)


def offers_in(story: list[dict[str, Any]]) -> dict[str, str]:
    """The offers that events tell of: the friend's id and the offer's."""
    offered = (e["data"]["offers"] for e in story if e["kind"] == "booking.offered")
    return {offer["friend"]: offer["id"] for several in offered for offer in several}


def as_json(answer: httpx2.Response) -> Any:
    return json.loads(answer.text)
