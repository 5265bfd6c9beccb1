"""Push: messages go to the phones of a friend through push services, or as a mail instead.

A push says in the friend's language that there is something, and carries ids and nothing else: what
it is about is shown once the phone is unlocked. It goes to all phones of a friend at once; one that
takes it is enough. While their services are busy it is tried again, and mailed after a part of the
time in which it is of use. What only withdraws an earlier push goes to phones alone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
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
from data.store.mail_context import MessageContext, PersonContext
from data.store.push_subscriptions import PhoneProblem, PushSubscription
from dispatch.flows.people import push_subscriptions
from dispatch.rules.jobs.events import TEMPLATES
from dispatch.rules.people.push_endpoints import check_push_endpoint, is_loopback
from dispatch.rules.refusals import Refused
from dispatch.runtime import Runtime
from scheduler.senders import Delivery, Obsolete, Result, Retry, Sender, Sent
from scheduler.senders.mail import Mail
from scheduler.senders.message_context import Content, is_valid
from scheduler.senders.push_texts import ALARM, push_text
from scheduler.senders.vapid_subject import subject
from scheduler.senders.webpush_crypto import InvalidKeys, Vapid, pad, seal, url64

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
RESPONSE_BYTES_MAX = 16_384
DECLARATIVE = 8030
PHONES_ONLY = frozenset(template.name for template in TEMPLATES.values() if template.facts is None)
OPENS_HOME = PHONES_ONLY | {"contact_missed", "contact_unanswered", ALARM}
SILENT = PHONES_ONLY
DEFAULT_LIFE = timedelta(hours=1)
MAILED_AFTER = 1 / 4
TRIAL_LIFE = timedelta(minutes=1)
RECORD_AGAIN_AFTER = timedelta(hours=1)
GONE = frozenset({404, 410})
LATER = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class PushResult:
    """The result for one phone; `after_s` is when its service wants the next attempt."""

    phone: PushSubscription
    problem: PhoneProblem | None = None
    after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What is sent to every phone of one friend."""

    payload: bytes
    ttl_s: int
    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PushClient:
    """Sends to push services; `extra_hosts` are allowed beside the known services."""

    http: httpx2.AsyncClient
    vapid: Vapid
    extra_hosts: Collection[str]
    timeout_s: float = TIMEOUT_S

    @classmethod
    def of(cls, rt: Runtime) -> PushClient:
        """The client that the settings of this runtime describe."""
        settings = rt.settings
        assert rt.http is not None
        vapid = Vapid(settings.push_secret(), subject(settings))
        return cls(http=rt.http, vapid=vapid, extra_hosts=settings.push_services)

    async def send_all(
        self, phones: Sequence[PushSubscription], note: Notification
    ) -> list[PushResult]:
        """Send to these phones at once, each within `timeout_s`."""
        return list(await asyncio.gather(*(self._send(phone, note) for phone in phones)))

    async def _send(self, phone: PushSubscription, note: Notification) -> PushResult:
        try:
            async with asyncio.timeout(self.timeout_s):
                check_push_endpoint(phone.endpoint, self.extra_hosts)
                await _check_public_host(phone.endpoint)
                return await self._post(phone, note)
        except (Refused, InvalidKeys) as error:
            log.warning("no push to phone %s: %s", phone.id, type(error).__name__)
            return PushResult(phone, PhoneProblem.REFUSED)
        except (TimeoutError, OSError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            log.warning("push service of phone %s fails with %s", phone.id, type(error).__name__)
            return PushResult(phone, PhoneProblem.UNREACHABLE)

    async def _post(self, phone: PushSubscription, note: Notification) -> PushResult:
        now = datetime.now(UTC)  # noqa: TID251 - push services use real time
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
            await _discard_body(answer)
        return _result(phone, answer)


async def _discard_body(answer: httpx2.Response) -> None:
    """Read a short body, so that the connection can be reused; stop at a long one."""
    seen = 0
    async for part in answer.aiter_raw():
        seen += len(part)
        if seen > RESPONSE_BYTES_MAX:
            return


def _result(phone: PushSubscription, answer: httpx2.Response) -> PushResult:
    status = answer.status_code
    if 200 <= status < 300:
        return PushResult(phone)
    if status in GONE:
        return PushResult(phone, PhoneProblem.GONE)
    log.warning("push service of phone %s responds %d", phone.id, status)
    if status in LATER or status >= 500:
        return PushResult(
            phone, PhoneProblem.UNREACHABLE, _seconds(answer.headers.get("retry-after"))
        )
    return PushResult(phone, PhoneProblem.REFUSED)


def _seconds(stated: str | None) -> float | None:
    return float(stated) if stated and stated.isascii() and stated.isdigit() else None


async def _check_public_host(endpoint: str) -> None:
    """Raise Refused unless every address of this host is public."""
    host = urlsplit(endpoint).hostname or ""
    if is_loopback(host):
        return
    found = await asyncio.get_running_loop().getaddrinfo(host, 443)
    if not all(ip_address(address[4][0]).is_global for address in found):
        raise Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """Delivers messages to phones; by `fallback` where no phone of the friend takes them."""

    rt: Runtime
    client: PushClient
    content: Content
    fallback: Sender

    @classmethod
    def of(cls, rt: Runtime, mail: Mail) -> Push:
        """The sender that the settings of this runtime describe."""
        return cls(rt=rt, client=PushClient.of(rt), content=mail.content, fallback=mail)

    async def send(self, delivery: Delivery) -> Result:
        """Send to all phones of the recipient, unless the message is no longer valid.

        What is about a person is mailed: phones ring for jobs.
        """
        message, about = delivery.message, delivery.context
        if isinstance(about, PersonContext):
            return await self.fallback.send(delivery)
        if not is_valid(message, about):
            return Obsolete()
        results = await self.client.send_all(
            about.push_subscriptions, self._notification(message, about)
        )
        await self._record(results, about.now)
        if any(one.problem is None for one in results):
            return Sent()
        late = [one for one in results if one.problem is PhoneProblem.UNREACHABLE]
        left_s = _seconds_before_mail(about, message)
        if late and left_s > 0:
            after_s = max(one.after_s or 0.0 for one in late)
            return Retry("no push service accepts it", after_s, within_s=left_s)
        if message.template in PHONES_ONLY:
            return Obsolete()
        return await self.fallback.send(delivery)

    def _notification(self, message: Message, about: MessageContext) -> Notification:
        offer = about.offer
        ids = {"booking_id": str(message.booking_id)}
        if offer:
            ids["offer_id"] = str(offer.id)
        return Notification(
            payload=payload(
                message.template,
                about.language,
                navigate=self._page(message, about),
                tag=str(message.booking_id),
                ids=ids,
            ),
            ttl_s=max(int((_deliver_until(about, message) - about.now).total_seconds()), 0),
            # An offer and its end share a topic: the later one replaces what still waits.
            topic=url64(
                sha256(message.booking_id.bytes + message.recipient_id.bytes).digest()[:24]
            ),
        )

    def _page(self, message: Message, about: MessageContext) -> str:
        if message.template in OPENS_HOME:
            return f"{self.content.base_url}/friend"
        return self.content.link(message, about)

    async def _record(self, results: Sequence[PushResult], now: datetime) -> None:
        changed = [(one.phone.id, one.problem) for one in results if _should_record(one, now)]
        if changed:
            await push_subscriptions.record_results(self.rt, changed)


def _should_record(result: PushResult, now: datetime) -> bool:
    """Whether to write a row: not for every push to a phone that always takes them."""
    before = result.phone
    if result.problem is not None or before.problem is not None or before.rung_at is None:
        return result.problem is not before.problem or before.rung_at is None
    return now - before.rung_at > RECORD_AGAIN_AFTER


def _deliver_until(about: MessageContext, message: Message) -> datetime:
    """Until when a phone that is switched off should still get the push."""
    return _end(about, message) or about.now + DEFAULT_LIFE


def _seconds_before_mail(about: MessageContext, message: Message) -> float:
    """For how long a push that no service accepts is tried before it is mailed."""
    if message.template in PHONES_ONLY:
        return math.inf
    until = _end(about, message) or about.since + DEFAULT_LIFE
    return (about.since + (until - about.since) * MAILED_AFTER - about.now).total_seconds()


def _end(about: MessageContext, message: Message) -> datetime | None:
    """When a message is of no more use, if it ends by itself."""
    if about.offer:
        return about.offer.expires_at
    if message.template == "contact_reminder" and about.award:
        return about.award.contact_due_at
    return None


def payload(
    template: str, language: Language, *, navigate: str, tag: str, ids: Mapping[str, str]
) -> bytes:
    """The payload in declarative form, which Safari shows even without the service worker."""
    text = push_text(language, template)
    notification: dict[str, Any] = {
        "title": text.title,
        "body": text.body,
        "lang": language,
        "navigate": navigate,
        "tag": tag,
        "silent": template in SILENT,
        "renotify": template not in SILENT,
        "requireInteraction": template not in SILENT,
        "data": {"kind": template, "navigate": navigate, **ids},
    }
    content = {"web_push": DECLARATIVE, "notification": notification}
    return pad(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())


def trial_notification(language: Language, base_url: str) -> Notification:
    """A push that only tries whether phones take it."""
    return Notification(
        payload=payload(ALARM, language, navigate=f"{base_url}/friend", tag=ALARM, ids={}),
        ttl_s=int(TRIAL_LIFE.total_seconds()),
        topic=ALARM,
    )
