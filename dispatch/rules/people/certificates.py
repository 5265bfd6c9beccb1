"""When the holder of a certificate is told that it ends."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from data.records.people import Ending
from dispatch.rules.policy import Policy


def tell_endings(
    held: Iterable[Ending], now: datetime, policy: Policy
) -> tuple[list[Ending], datetime | None]:
    """Those of `held` to tell of now, and when the next one is due; None without one."""
    due = {one: one.until - policy.certificate_told_before for one in held}
    now_due = [one for one, at in due.items() if at <= now]
    return now_due, min((at for at in due.values() if at > now), default=None)
