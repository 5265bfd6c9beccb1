"""Delivers mails about accounts, with retries as the relay does it for messages.

It ticks at its own pace, never because of a request, and writes a letter for an unknown address as
for a known one: nothing that a caller can measure depends on whether an address is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from data.enums import Audience
from data.markets import HOME, MARKETS, Language
from data.settings import Settings
from data.store.account_mails import JOIN_LINK, LOGIN_LINK, AccountMail, Addressee
from data.store.outbox import DeliveryOutcome
from data.store.sessions import Login
from dispatch.flows.people import account_mails, applications, guardians
from dispatch.flows.people.account_mails import Claimed
from dispatch.rules.trust import mailed_secrets
from dispatch.runtime import Runtime
from scheduler.deliveries import LEASE_S, Deliveries
from scheduler.senders import Obsolete, Result
from scheduler.senders.letters import render
from scheduler.senders.mail import Transport, compose, mail_transport

# Most servers that let an unknown sender wait take the mail after one to five minutes.
BACK_OFF_S = (5.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0)
READERS: Final[Mapping[Login, Audience]] = {
    Login.FRIEND: Audience.FRIEND,
    Login.OPERATOR: Audience.DESK,
    Login.ACCOUNT: Audience.CUSTOMER,
    Login.DISPATCHER: Audience.COMPANY,
}


class AccountMails(Deliveries[Claimed]):
    """Delivers mails about accounts through `transport`."""

    what = "mail about an account"
    back_off_s = BACK_OFF_S
    has_end = True

    def __init__(
        self,
        rt: Runtime,
        transport: Transport | None = None,
        *,
        request_tick: Callable[[], None],
    ) -> None:
        super().__init__(request_tick=request_tick)
        self._rt = rt
        self._transport = transport or mail_transport(rt.settings)

    async def _exchange(self, outcomes: Sequence[DeliveryOutcome], free: int) -> list[Claimed]:
        return await account_mails.settle_and_claim(self._rt, outcomes, free, lease_s=LEASE_S)

    async def _send(self, claimed: Claimed) -> Result:
        mail, account, settings = claimed.mail, claimed.account, self._rt.settings
        if mail.is_expired:
            return Obsolete()
        language = (account.language if account else mail.language) or Language.EN
        market = (account.market if account else mail.market) or HOME
        joins = mail.template == JOIN_LINK
        template = "join_known" if joins and account else mail.template
        secrets = _secrets(settings, mail, joins=joins and account is None)
        facts: dict[str, object] = {"timezone": MARKETS[market].timezone, **secrets}
        letter = render(template, language, facts, audience=READERS[mail.kind])
        to = account.email if account else mail.email
        composed = compose(letter, sender=settings.mail_from, to=to, mail_id=mail.id, at=mail.now)
        if mail.template == LOGIN_LINK and account is None:
            return Obsolete()
        return await self._transport.deliver(composed, to)


def _secrets(settings: Settings, mail: AccountMail, *, joins: bool) -> dict[str, object]:
    """What the letter states: the link, the code, and of a guardian's the friend's first name."""
    key, base = settings.key(), settings.base_url
    if mail.guardianship_id is not None:
        link = f"{base}/join/guardian#{guardians.token(key, mail.guardianship_id)}"
        return {"link": link, "first_name": mail.name}
    if mail.request_sha256 is None:
        return {}
    if joins:
        who = Addressee(
            email=mail.email,
            name=mail.name or "",
            language=mail.language or Language.EN,
            market=mail.market or HOME,
        )
        token = applications.link_token(key, mail.request_sha256, who)
        code = mailed_secrets.of_join(key, mail.request_sha256, b"").code
        return {"link": f"{base}/join#{token}", "code": code}
    made = mailed_secrets.of_login(key, mail.request_sha256)
    return {"link": f"{base}/login#{made.link}", "code": made.code}
