"""Lets the senders of the scheduler do what the API asks of others."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from api.http.ports import Outside
from data.db import moment
from data.enums import Audience
from data.markets import MARKETS, Language, Market
from data.store.push_subscriptions import Phone, PhoneProblem
from data.store.sessions import Login
from dispatch.flows.read_only import reading
from dispatch.runtime import Runtime
from scheduler.senders import Sent
from scheduler.senders.calendar import invitation
from scheduler.senders.letters import render
from scheduler.senders.mail import carrier, compose
from scheduler.senders.push import Bell, alarm

log = logging.getLogger(__name__)

READERS = {Login.FRIEND: Audience.FRIEND, Login.OPERATOR: Audience.DESK}


def by_mail(rt: Runtime) -> Outside:
    """Letters by the mail server of the settings, calendars by icalendar, phones by push."""
    mail = carrier(rt.settings)

    async def send_login_link(
        *, kind: Login, email: str, language: Language, market: Market, link: str
    ) -> None:
        facts = {"timezone": MARKETS[market].timezone, "link": link}
        letter = render("login_link", language, facts, audience=READERS[kind])
        async with reading(rt) as tx:
            now = await moment(tx)
        result = await mail.carry(
            compose(letter, sender=rt.settings.mail_from, to=email, mail_id=rt.new_id(), at=now)
        )
        if not isinstance(result, Sent):
            log.warning("a login link was not sent: %s", result)

    bell = Bell.of(rt)

    async def ring(phones: Sequence[Phone], language: Language) -> list[PhoneProblem | None]:
        rung = await bell.ring(phones, alarm(language, rt.settings.base_url))
        return [one.problem for one in rung]

    return Outside(
        send_login_link=send_login_link,
        invitation=invitation,
        ring=ring,
        push_key=bell.vapid.public,
    )
