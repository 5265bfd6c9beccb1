"""What an applicant may not do yet."""

from __future__ import annotations

from data.enums import FriendState
from dispatch.rules.refusals import Refused


class ApplicationUndecided(Refused):
    """This application is not accepted yet."""

    code = "application-undecided"
    detail = "Only the decision on the application makes an applicant an active friend."


def check_accepted(state: FriendState) -> None:
    """Raise ApplicationUndecided for an applicant, whose state only the decision changes."""
    if state is FriendState.APPLICANT:
        raise ApplicationUndecided
