"""What the rules of a job refuse. The docstring is the title, `code` the public name."""

from __future__ import annotations

from datetime import UTC, datetime

from data.records.money import Money
from dispatch.rules.refusals import Refused


class OfferGone(Refused):
    """This offer is gone."""

    code = "offer-gone"
    detail = (
        "Another friend has the job, or it was withdrawn or taken back; there is nothing to do."
    )


class OfferExpired(Refused):
    """This offer has expired."""

    code = "offer-expired"
    detail = "The time to answer is over; there is nothing to do."


class AtCapacity(Refused):
    """You have as many open jobs as your capacity allows."""

    code = "at-capacity"


class FriendUnfit(Refused):
    """This friend cannot be awarded the job."""

    code = "friend-unfit"
    field = "friend"


class TechnicianUnfit(Refused):
    """This technician may not do the job."""

    code = "technician-unfit"
    field = "technician"


class TechnicianBusy(Refused):
    """This technician has as many open jobs as their capacity allows."""

    code = "technician-busy"
    field = "technician"


class ContactDeadlinePassed(Refused):
    """The time to contact the customer is over."""

    code = "contact-deadline-passed"
    detail = "The job is offered to others."


class ContactContested(Refused):
    """The customer contests that you have been in contact."""

    code = "contact-contested"
    detail = "Say when you called; until then the job is paused."


class EvidenceUnfit(Refused):
    """This is no evidence of contact."""

    code = "evidence-unfit"
    field = "called_at"
    detail = (
        "Give the time of a call after you got the job and not in the future; or leave it out, "
        "once the customer has read or answered a message of yours."
    )


class ThreadClosed(Refused):
    """This conversation is closed."""

    code = "thread-closed"
    detail = "It can be read; to write, there must be a friend who has the job or had it lately."


class TooManyMessages(Refused):
    """You have written many messages in a short time."""

    code = "too-many-messages"
    detail = "Wait some minutes, or call."


class AppointmentOverlaps(Refused):
    """You have another appointment at that time."""

    code = "appointment-overlaps"
    field = "starts_at"
    detail = "Choose a time that does not overlap your other appointments."


class AppointmentUnfit(Refused):
    """This appointment cannot be kept."""

    code = "appointment-unfit"
    field = "starts_at"


class AppointmentTooLong(AppointmentUnfit):
    """This appointment lasts too long."""

    field = "ends_at"


class NotInThisState(Refused):
    """The booking is not in a state that allows this."""

    code = "wrong-state"


class WrongCode(Refused):
    """This is not the code of the booking."""

    code = "wrong-code"
    field = "code"
    detail = "Enter the six digits of the mail, or open its link."


class TooManyCodes(Refused):
    """Too many wrong codes were entered."""

    code = "too-many-codes"
    field = "code"
    detail = "Open the link in the mail, or book again."


class FeeChanged(Refused):
    """Cancelling costs more now."""

    code = "fee-changed"
    field = "fee_minor_max"

    def __init__(self, fee: Money) -> None:
        super().__init__(fee)
        self.fee = fee

    def __str__(self) -> str:
        return f"Nothing was cancelled; to cancel for {self.fee.amount}, send it as fee_minor_max."


class CompletedTooEarly(Refused):
    """The job cannot be done yet."""

    code = "completed-too-early"

    def __init__(self, possible_at: datetime) -> None:
        super().__init__(possible_at)
        self.possible_at = possible_at

    def __str__(self) -> str:
        at = self.possible_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"Complete it from {at} on, or with the customer's signature at once."


class ContestOver(Refused):
    """The completion can no longer be contested."""

    code = "contest-over"
    detail = "It can be contested once, for some days after the completion."


class ReviewOver(Refused):
    """The time to review is over."""

    code = "review-over"
    detail = "What was said is shown now; there is nothing to do."


class AlreadyRated(Refused):
    """This booking has been rated."""

    code = "already-rated"
    detail = "A completed job can be rated once."
