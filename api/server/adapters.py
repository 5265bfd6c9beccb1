"""Adapters: the scheduler's senders behind the ports of the API."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from api.http.ports import Ports
from data.db import moment
from data.enums import Audience
from data.markets import MARKETS, Language, Market
from data.store.push_subscriptions import PhoneProblem, PushSubscription
from data.store.sessions import Login
from dispatch.flows.read_only import read_connection
from dispatch.runtime import Runtime
from scheduler.senders import Sent
from scheduler.senders.calendar import invitation
from scheduler.senders.letters import render
from scheduler.senders.mail import compose, mail_transport
from scheduler.senders.push import PushClient, trial_notification

log = logging.getLogger(__name__)

READERS = {Login.FRIEND: Audience.FRIEND, Login.OPERATOR: Audience.DESK}


def build_ports(rt: Runtime) -> Ports:
    """The ports of this runtime: configured mail server, icalendar, web push."""
    mail = mail_transport(rt.settings)

    async def send_login_link(
        *, kind: Login, email: str, language: Language, market: Market, link: str
    ) -> None:
        facts = {"timezone": MARKETS[market].timezone, "link": link}
        letter = render("login_link", language, facts, audience=READERS[kind])
        async with read_connection(rt) as tx:
            now = await moment(tx)
        message = compose(
            letter, sender=rt.settings.mail_from, to=email, mail_id=rt.new_id(), at=now
        )
        result = await mail.deliver(message, email)
        if not isinstance(result, Sent):
            log.warning("a login link was not sent: %s", result)

    client = PushClient.of(rt)

    async def send_test_push(
        phones: Sequence[PushSubscription], language: Language
    ) -> list[PhoneProblem | None]:
        results = await client.send_all(phones, trial_notification(language, rt.settings.base_url))
        return [one.problem for one in results]

    return Ports(
        send_login_link=send_login_link,
        write_invitation=invitation,
        send_test_push=send_test_push,
        push_key=client.vapid.public,
    )
