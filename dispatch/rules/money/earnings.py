"""What a friend has earned: for jobs, and as compensation."""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """What a friend is paid for."""

    JOB = "job"
    LATE_CANCEL = "late_cancel"


def cause_of_charge(cancel_fee_minor: int, *, reversed_: bool) -> Cause:
    """What a charge pays: the last one of a booking with a cancellation fee is for that."""
    return Cause.LATE_CANCEL if cancel_fee_minor and not reversed_ else Cause.JOB
