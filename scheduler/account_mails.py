"""Delivers mails about accounts, with retries as the relay does it for messages.

It ticks at its own pace, never because of a request, and writes a letter for an unknown address as
for a known one: nothing that a caller can measure depends on whether an address is known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from data.enums import Audience
from data.markets import HOME, MARKETS, Language
from data.store.account_mails import LOGIN_LINK
from data.store.outbox import MessageState
from data.store.sessions import Login
from dispatch.flows.people import account_mails
from dispatch.flows.people.account_mails import Claimed
from dispatch.rules.trust import mailed_secrets
from dispatch.runtime import Runtime
from scheduler.senders import GiveUp, Obsolete, Result, Retry, Sent
from scheduler.senders.letters import render
from scheduler.senders.mail import Transport, compose, mail_transport

log = logging.getLogger(__name__)

EVERY_S = 1.0
CONCURRENCY = 20
SEND_TIMEOUT_S = 45.0
LEASE_S = 120.0
# Most servers that let an unknown sender wait take the mail after one to five minutes.
BACK_OFF_S = (5.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0)
READERS: Final[Mapping[Login, Audience]] = {
    Login.FRIEND: Audience.FRIEND,
    Login.OPERATOR: Audience.DESK,
}


class AccountMails:
    """Delivers mails about accounts through `transport`."""

    def __init__(self, rt: Runtime, transport: Transport | None = None) -> None:
        self._rt = rt
        self._transport = transport or mail_transport(rt.settings)
        self._under_way: set[asyncio.Task[None]] = set()

    async def tick(self) -> None:
        """Claim due mails and start to deliver them."""
        free = CONCURRENCY - len(self._under_way)
        if free < 1:
            return
        for claimed in await account_mails.claim(self._rt, free, lease_s=LEASE_S):
            task = asyncio.create_task(self._deliver(claimed))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def finish(self, within_s: float) -> None:
        """Await deliveries in progress and cancel those over `within_s`; they are tried again."""
        if not self._under_way:
            return
        _, late = await asyncio.wait(self._under_way, timeout=within_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _deliver(self, claimed: Claimed) -> None:
        mail = claimed.mail
        match await self._result(claimed):
            case Sent():
                await account_mails.settle(self._rt, mail, MessageState.SENT)
            case Obsolete():
                await account_mails.settle(self._rt, mail, MessageState.EXPIRED)
            case GiveUp(problem):
                log.warning("a mail about an account was refused: %s", problem)
                await account_mails.settle(self._rt, mail, MessageState.PARKED, problem=problem)
            case Retry(problem, after_s):
                wait_s = max(BACK_OFF_S[min(mail.tries, len(BACK_OFF_S)) - 1], after_s or 0.0)
                await account_mails.settle(
                    self._rt, mail, MessageState.PENDING, problem=problem, retry_after_s=wait_s
                )

    async def _result(self, claimed: Claimed) -> Result:
        if claimed.mail.is_expired:
            return Obsolete()
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                return await self._send(claimed)
        except TimeoutError:
            return Retry(f"it took longer than {SEND_TIMEOUT_S:g} s")
        except Exception as error:
            # Its text may contain an address.
            log.error("a mail about an account failed with %s", type(error).__name__)
            return Retry(type(error).__name__)

    async def _send(self, claimed: Claimed) -> Result:
        mail, account, settings = claimed.mail, claimed.account, self._rt.settings
        language = (account.language if account else mail.language) or Language.EN
        market = (account.market if account else mail.market) or HOME
        facts: dict[str, object] = {"timezone": MARKETS[market].timezone}
        if mail.request_sha256 is not None:
            made = mailed_secrets.of_login(settings.key(), mail.request_sha256)
            facts["link"] = f"{settings.base_url}/login#{made.link}"
            facts["code"] = made.code
        letter = render(mail.template, language, facts, audience=READERS[mail.kind])
        to = account.email if account else mail.email
        composed = compose(letter, sender=settings.mail_from, to=to, mail_id=mail.id, at=mail.now)
        if mail.template == LOGIN_LINK and account is None:
            return Obsolete()
        return await self._transport.deliver(composed, to)
