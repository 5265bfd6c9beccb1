"""Push: phones are rung through the push services of their makers, or a mail is sent instead.

A push says that there is something, in the friend's language, with ids and nothing else: what it is
about he reads once his phone is unlocked. All phones of a friend are rung at once, and one that
rings is enough. News that only takes back what a phone shows goes to phones alone.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx2

from data.markets import Language
from data.records.messages import Message
from data.store.mail_context import MessageContext
from data.store.push_subscriptions import PhoneProblem, PushSubscription
from dispatch.flows.people import push_subscriptions
from dispatch.rules.jobs.events import TEMPLATES
from dispatch.rules.people.push_endpoints import check_push_endpoint, is_loopback
from dispatch.rules.refusals import Refused
from dispatch.runtime import Runtime
from scheduler.senders import Moot, Post, Result, Retry, Sender, Sent
from scheduler.senders.mail import Mail
from scheduler.senders.message_context import Content, is_valid
from scheduler.senders.push_texts import ALARM, call
from scheduler.senders.vapid_subject import subject
from scheduler.senders.webpush_crypto import KeysUnfit, Vapid, padded, seal, url64

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
ANSWER_BYTES_MAX = 16_384
DECLARATIVE = 8030
PHONES_ONLY = frozenset(template.name for template in TEMPLATES.values() if template.facts is None)
AT_HOME = PHONES_ONLY | {"contact_missed", ALARM}
SILENT = PHONES_ONLY
NEWS_LIFE = timedelta(hours=1)
ALARM_LIFE = timedelta(minutes=1)
NOTED_AGAIN_AFTER = timedelta(hours=1)
GONE = frozenset({404, 410})
LATER = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Rung:
    """How a phone did; `after_s` is when its service wants to be asked again."""

    phone: PushSubscription
    problem: PhoneProblem | None = None
    after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is sent to every phone of one friend."""

    payload: bytes
    ttl_s: int
    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bell:
    """Rings phones; `more` are hosts allowed beside the services we know."""

    http: httpx2.AsyncClient
    vapid: Vapid
    more: Collection[str]
    timeout_s: float = TIMEOUT_S

    @classmethod
    def of(cls, rt: Runtime) -> Bell:
        """The bell that the settings of this runtime describe."""
        settings = rt.settings
        assert rt.http is not None
        vapid = Vapid(settings.push_secret(), subject(settings))
        return cls(http=rt.http, vapid=vapid, more=settings.push_services)

    async def ring(self, all_: Sequence[PushSubscription], note: Note) -> list[Rung]:
        """Ring these phones at once, each for at most `timeout_s`."""
        return list(await asyncio.gather(*(self._ring(phone, note) for phone in all_)))

    async def _ring(self, phone: PushSubscription, note: Note) -> Rung:
        try:
            async with asyncio.timeout(self.timeout_s):
                check_push_endpoint(phone.endpoint, self.more)
                await _must_lead_outside(phone.endpoint)
                return await self._post(phone, note)
        except (Refused, KeysUnfit) as error:
            log.warning("phone %s is not rung: %s", phone.id, type(error).__name__)
            return Rung(phone, PhoneProblem.REFUSED)
        except (TimeoutError, OSError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            log.warning("phone %s: its service fails with %s", phone.id, type(error).__name__)
            return Rung(phone, PhoneProblem.UNREACHABLE)

    async def _post(self, phone: PushSubscription, note: Note) -> Rung:
        now = datetime.now(UTC)  # noqa: TID251 - push services go by real time
        headers = {
            "Authorization": self.vapid.authorization(phone.endpoint, now),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(note.ttl_s),
            "Urgency": "high",
            "Topic": note.topic,
        }
        body = seal(note.payload, p256dh=phone.p256dh, auth=phone.auth)
        async with self.http.stream(
            "POST", phone.endpoint, content=body, headers=headers, follow_redirects=False
        ) as answer:
            await _drain(answer)
        return _read(phone, answer)


async def _drain(answer: httpx2.Response) -> None:
    """A short answer is read, so that the line can be used again; a long one is cut off."""
    seen = 0
    async for part in answer.aiter_raw():
        seen += len(part)
        if seen > ANSWER_BYTES_MAX:
            return


def _read(phone: PushSubscription, answer: httpx2.Response) -> Rung:
    status = answer.status_code
    if 200 <= status < 300:
        return Rung(phone)
    if status in GONE:
        return Rung(phone, PhoneProblem.GONE)
    log.warning("phone %s: its service answers %d", phone.id, status)
    if status in LATER or status >= 500:
        return Rung(phone, PhoneProblem.UNREACHABLE, _seconds(answer.headers.get("retry-after")))
    return Rung(phone, PhoneProblem.REFUSED)


def _seconds(stated: str | None) -> float | None:
    return float(stated) if stated and stated.isascii() and stated.isdigit() else None


async def _must_lead_outside(endpoint: str) -> None:
    """Raise unless this host is somewhere in the open internet, whoever answers for its name."""
    host = urlsplit(endpoint).hostname or ""
    if is_loopback(host):
        return
    found = await asyncio.get_running_loop().getaddrinfo(host, 443)
    if not all(ip_address(address[4][0]).is_global for address in found):
        raise Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """Delivers messages to phones, and by `otherwise` to a friend who has none that rings."""

    rt: Runtime
    bell: Bell
    content: Content
    otherwise: Sender

    @classmethod
    def of(cls, rt: Runtime, mail: Mail) -> Push:
        """The sender that the settings of this runtime describe."""
        return cls(rt=rt, bell=Bell.of(rt), content=mail.content, otherwise=mail)

    async def send(self, post: Post) -> Result:
        """Ring all phones of the reader, unless the message is no longer true."""
        message, about = post.message, post.background
        if not is_valid(message, about):
            return Moot()
        rung = await self.bell.ring(about.phones, self._note(message, about))
        await self._settle(rung, about.now)
        if any(one.problem is None for one in rung):
            return Sent()
        if late := [one for one in rung if one.problem is PhoneProblem.UNREACHABLE]:
            return Retry(
                "no push service takes it", max((o.after_s or 0.0 for o in late), default=0.0)
            )
        if message.template in PHONES_ONLY:
            return Moot()
        return await self.otherwise.send(post)

    def _note(self, message: Message, about: MessageContext) -> Note:
        offer = about.offer
        ids = {"booking_id": str(message.booking_id)}
        if offer:
            ids["offer_id"] = str(offer.id)
        return Note(
            payload=payload(
                message.template,
                about.language,
                navigate=self._page(message, about),
                tag=str(message.booking_id),
                ids=ids,
            ),
            ttl_s=max(int((_until(about, message) - about.now).total_seconds()), 0),
            # Offer and end of an offer bear the same: the later one replaces what still waits.
            topic=url64(
                sha256(message.booking_id.bytes + message.recipient_id.bytes).digest()[:24]
            ),
        )

    def _page(self, message: Message, about: MessageContext) -> str:
        if message.template in AT_HOME:
            return f"{self.content.base_url}/friend"
        return self.content.link(message, about)

    async def _settle(self, rung: Sequence[Rung], now: datetime) -> None:
        noted = [(one.phone.id, one.problem) for one in rung if _is_news(one, now)]
        if noted:
            await push_subscriptions.record_results(self.rt, noted)


def _is_news(rung: Rung, now: datetime) -> bool:
    """Whether a row must be written: not for every ring of a phone that always rings."""
    before = rung.phone
    if rung.problem is not None or before.problem is not None or before.rung_at is None:
        return rung.problem is not before.problem or before.rung_at is None
    return now - before.rung_at > NOTED_AGAIN_AFTER


def _until(about: MessageContext, message: Message) -> datetime:
    """Until when a phone that is switched off shall still be rung."""
    if about.offer:
        return about.offer.expires_at
    if message.template == "contact_reminder" and about.award:
        return about.award.contact_due_at
    return about.now + NEWS_LIFE


def payload(
    template: str, language: Language, *, navigate: str, tag: str, ids: Mapping[str, str]
) -> bytes:
    """What a phone shows, in the form that Safari shows even without our page (declarative)."""
    words = call(language, template)
    notification: dict[str, Any] = {
        "title": words.title,
        "body": words.body,
        "lang": language,
        "navigate": navigate,
        "tag": tag,
        "silent": template in SILENT,
        "renotify": template not in SILENT,
        "requireInteraction": template not in SILENT,
        "data": {"kind": template, "navigate": navigate, **ids},
    }
    said = {"web_push": DECLARATIVE, "notification": notification}
    return padded(json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode())


def alarm(language: Language, base_url: str) -> Note:
    """A push that only tries whether phones ring."""
    return Note(
        payload=payload(ALARM, language, navigate=f"{base_url}/friend", tag=ALARM, ids={}),
        ttl_s=int(ALARM_LIFE.total_seconds()),
        topic=ALARM,
    )
