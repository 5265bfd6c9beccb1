"""Retention: what is kept for a time is erased when the time of the policy is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from data.records.ids import BookingId, FileId
from data.store.rights import FoundPerson
from dispatch.flows import maintenance
from dispatch.flows.people import files, rights
from dispatch.rules.refusals import Refused
from dispatch.runtime import Runtime
from scheduler.providers.sms_folder import delete_texts
from scheduler.senders.mail_folder import delete_mails, delete_old_mails

log = logging.getLogger(__name__)

EVERY_S = 600.0
PAGES = 10


class Retention:
    """Goes through finished bookings in pages, again and again."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._after: tuple[datetime, UUID] = rights.BEGINNING
        self._strays: set[FileId] = set()
        self._reported: set[BookingId] = set()

    async def tick(self) -> None:
        """Erase what is over on the next pages, and delete old mails, evidence and stray files."""
        for _ in range(PAGES):
            following = await self._erase_page()
            self._after = following or rights.BEGINNING
            if following is None:
                break
        await rights.erase_documents_over(self._rt)
        await maintenance.empty_old_messages(self._rt)
        await files.delete_over(self._rt)
        self._strays = await files.sweep(self._rt, self._strays)
        now = await maintenance.now(self._rt)
        folder = self._rt.settings.mail_folder
        await asyncio.to_thread(delete_old_mails, folder, now, self._rt.policy.mails_kept)

    async def _erase_page(self) -> tuple[datetime, UUID] | None:
        """Erase the customers of one page whose time is over; returns where the next page begins.

        A booking that nobody has ended in that time is cancelled first; one that cannot be, because
        its visit is under way, is left with its customer and reported once. One that somebody has
        changed since the page was read keeps its customer.
        """
        page = await rights.customers_over(self._rt, self._after)
        for booking_id, customer in page.forgotten.items():
            try:
                cancelled = await maintenance.cancel_forgotten(self._rt, booking_id)
            except Refused as refused:
                self._report(booking_id, refused)
                continue
            if cancelled:
                await self._erase([customer])
        await self._erase(page.customers)
        return page.next

    def _report(self, booking_id: BookingId, refused: Refused) -> None:
        if booking_id not in self._reported:
            self._reported.add(booking_id)
            log.warning(
                "the customer of booking %s is kept beyond the time of the policy: %s",
                booking_id,
                refused,
            )

    async def _erase(self, customers: Sequence[FoundPerson]) -> None:
        done = await rights.erase_customers(self._rt, customers)
        if done.people:
            folder = self._rt.settings.mail_folder
            await asyncio.to_thread(delete_mails, folder, done.addresses, done.messages)
            await asyncio.to_thread(delete_texts, self._rt.settings.text_folder, done.errands)
