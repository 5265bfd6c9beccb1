"""Adapters: the scheduler's senders behind the ports of the API."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from api.http.ports import Notice, Ports
from data.markets import Language
from data.store.push_subscriptions import PhoneProblem, PushSubscription
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime
from scheduler.providers.configured import providers
from scheduler.providers.sms_folder import delete_texts
from scheduler.senders.calendar import invitation
from scheduler.senders.mail_folder import delete_mails
from scheduler.senders.push import PushClient, trial_notification


def build_ports(rt: Runtime) -> Ports:
    """The ports of this runtime: icalendar, web push."""
    client = PushClient.of(rt)

    async def send_test_push(
        phones: Sequence[PushSubscription], language: Language
    ) -> list[PhoneProblem | None]:
        results = await client.send_all(phones, trial_notification(language, rt.settings.base_url))
        return [one.problem for one in results]

    async def forget_mails(addresses: Collection[str], ids: Collection[UUID]) -> int:
        await asyncio.to_thread(delete_texts, rt.settings.text_folder, ids)
        return await asyncio.to_thread(delete_mails, rt.settings.mail_folder, addresses, ids)

    known = providers(rt)

    def verify_notice(name: str, headers: Mapping[str, str], body: bytes) -> Notice | None:
        provider = known.named(name)
        if provider is None:
            raise NotFound
        event = provider.verify(headers, body)
        return Notice(event_id=event.id, reference=event.reference) if event else None

    return Ports(
        write_invitation=invitation,
        send_test_push=send_test_push,
        forget_mails=forget_mails,
        verify_notice=verify_notice,
        push_key=client.vapid.public,
    )
