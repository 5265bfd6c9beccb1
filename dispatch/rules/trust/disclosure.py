"""For how long a friend may know who their customer is."""

from __future__ import annotations

from datetime import datetime

from dispatch.rules.policy import Policy


def may_know_customer(ended_at: datetime | None, now: datetime, policy: Policy) -> bool:
    """Whether a friend who held a job until `ended_at` (None: still holds it) may see its customer.

    They may from the award until `policy.privacy_after` has passed since the end.
    """
    return ended_at is None or now < ended_at + policy.privacy_after
