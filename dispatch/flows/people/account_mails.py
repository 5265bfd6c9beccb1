"""Mails about accounts: settled and claimed by the relay of such mails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from data.db import transaction
from data.store import account_mails, sessions
from data.store.account_mails import JOIN_LINK, LOGIN_LINK, AccountMail
from data.store.outbox import DeliveryOutcome
from data.store.sessions import Account
from dispatch.flows.people.sessions import token_hash
from dispatch.rules.people.logins import LINK_LIFE
from dispatch.rules.trust import mailed_secrets
from dispatch.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A mail to send; `account` is whose address it is, None for nobody's.

    Only links have one, to sign in or to join.
    """

    mail: AccountMail
    account: Account | None

    @property
    def id(self) -> UUID:
        """The mail's id."""
        return self.mail.id

    @property
    def tries(self) -> int:
        """How many attempts were begun, this one included."""
        return self.mail.tries


async def settle_and_claim(
    rt: Runtime, outcomes: Sequence[DeliveryOutcome], limit: int, *, lease_s: float
) -> list[Claimed]:
    """Record the results of attempts and claim due mails, in one transaction.

    The links of known accounts are valid from now on for LINK_LIFE.
    """
    key = rt.settings.key()
    found = []
    async with transaction(rt.pool) as tx:
        await account_mails.settle(tx, outcomes)
        for mail in await account_mails.claim(tx, limit, lease_s=lease_s):
            account = None
            if mail.template in (LOGIN_LINK, JOIN_LINK) and not mail.is_expired:
                account = await sessions.find_login(tx, mail.kind, mail.email)
            if account is not None and mail.request_sha256 is not None:
                token = mailed_secrets.of_login(key, mail.request_sha256).link
                await account_mails.renew_link(tx, token_hash(token), account.id, LINK_LIFE)
            found.append(Claimed(mail=mail, account=account))
    return found
