"""Retention: what is kept for a time is erased when the time of the policy is over."""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import UUID

from dispatch.flows import maintenance
from dispatch.flows.people import rights
from dispatch.runtime import Runtime
from scheduler.senders.mail_folder import delete_old_mails

EVERY_S = 600.0
PAGES = 10


class Retention:
    """Goes through finished bookings in pages, again and again."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._after: tuple[datetime, UUID] = rights.BEGINNING

    async def tick(self) -> None:
        """Erase what is over on the next pages, and delete old mails from the folder of mails."""
        for _ in range(PAGES):
            following = await maintenance.erase_customers_over(self._rt, self._after)
            self._after = following or rights.BEGINNING
            if following is None:
                break
        await rights.erase_documents_over(self._rt)
        now = await maintenance.now(self._rt)
        folder = self._rt.settings.mail_folder
        await asyncio.to_thread(delete_old_mails, folder, now, self._rt.policy.mails_kept)
