"""The reasons for cancelling, handing back, not solving and contesting a job, as events carry them.

An event must not contain personal data, so free text never becomes a reason.
"""

from __future__ import annotations

from enum import StrEnum


class CancelReason(StrEnum):
    """Why a customer, a partner or the desk cancels."""

    CHANGED_MIND = "changed_mind"
    SOLVED = "solved"
    TOO_LONG = "too_long"
    MISTAKE = "mistake"
    OTHER = "other"


class SystemReason(StrEnum):
    """Why a booking is cancelled by a timer."""

    UNCONFIRMED = "unconfirmed"


class IncompleteReason(StrEnum):
    """Why a visit did not solve the problem."""

    NOT_SOLVABLE = "not_solvable"
    PARTS_MISSING = "parts_missing"
    NOBODY_THERE = "nobody_there"
    NEEDS_PRO = "needs_pro"
    OTHER = "other"


class HandBackReason(StrEnum):
    """Why a friend hands a job back."""

    CANNOT_HELP = "cannot_help"
    CUSTOMER_UNREACHABLE = "customer_unreachable"
    NO_TIME = "no_time"
    OTHER = "other"


class ContestReason(StrEnum):
    """Why a customer contests that the job was completed."""

    NOBODY_CAME = "nobody_came"
    NOT_SOLVED = "not_solved"
    NOT_FINISHED = "not_finished"
    OTHER = "other"


def cancel_reason(text: str) -> CancelReason:
    """The reason that `text` names; OTHER for any other text, which is not kept."""
    return CancelReason(text) if text in set(CancelReason) else CancelReason.OTHER


def incomplete_reason(text: str, summary: str | None) -> tuple[IncompleteReason, str | None]:
    """The reason that `text` names, and the summary; other text moves into the summary."""
    if text in set(IncompleteReason):
        return IncompleteReason(text), summary
    return IncompleteReason.OTHER, "\n".join(filter(None, [text, summary]))
