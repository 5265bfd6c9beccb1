"""Applications to become a friend: what is needed, what may follow what, and who decides."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from data.enums import ApplicationState, FriendState
from data.markets import Market
from dispatch.rules.people import ages
from dispatch.rules.refusals import Refused

JOIN_LIFE: Final = timedelta(hours=24)
"""For how long the link and the code that confirm an address work."""
AGAIN_AFTER: Final = timedelta(days=90)
"""How long after a decline the same person may apply again."""
RADIUS_M: Final = 5000
CAPACITY: Final = 3
"""What an applicant begins with."""
GUARDIAN_MAIL_LIFE: Final = timedelta(days=3)
GUARDIANS_A_DAY: Final = 3
"""Mails to guardians for one friend in a day."""


class Education(StrEnum):
    SCHOOL = "school"
    APPRENTICESHIP = "apprenticeship"
    UNIVERSITY = "university"
    OTHER = "other"


class Skill(StrEnum):
    EXPLAINING = "explaining"
    REPAIRS = "repairs"
    NETWORKS = "networks"
    PROGRAMMING = "programming"
    SIGN_LANGUAGE = "sign_language"
    DRIVING = "driving"


class DeclineReason(StrEnum):
    """Why the desk declines an application; the applicant is told."""

    INCOMPLETE = "incomplete"
    IDENTITY = "identity"
    KNOWLEDGE = "knowledge"
    NO_DEMAND = "no_demand"
    UNRELIABLE = "unreliable"
    OTHER = "other"


class ApplicationUndecided(Refused):
    """This application is not accepted yet."""

    code = "application-undecided"
    detail = "Only the decision on the application makes an applicant an active friend."


class ApplicationNotOpen(Refused):
    """This application cannot be changed any more."""

    code = "application-not-open"
    detail = "It was submitted or decided; withdraw it to begin another one."


class ApplicationExists(Refused):
    """You are applying already, or you are a friend."""

    code = "application-exists"
    detail = "Go on with the application that is open."


class ApplyLater(Refused):
    """Your last application was declined."""

    code = "apply-later"


class NotCertifiedYet(Refused):
    """This applicant holds no valid certificate."""

    code = "not-certified-yet"
    detail = "An exam comes first; then accept the application."


class GuardianRefused(Refused):
    """This person cannot be the guardian."""

    code = "guardian-refused"
    field = "guardian"


class ApplicationIncomplete(Refused):
    """Something is missing in the application."""

    code = "application-incomplete"
    detail = "Add what `errors` names, and submit it again."

    def __init__(self, missing: Collection[str]) -> None:
        super().__init__()
        self.missing = tuple(missing)


def check_accepted(state: FriendState) -> None:
    """Raise ApplicationUndecided for an applicant, whose state only the decision changes."""
    if state is FriendState.APPLICANT:
        raise ApplicationUndecided


def check_may_begin(last: Mapping[str, Any] | None, state: FriendState, now: datetime) -> None:
    """Raise ApplicationExists or ApplyLater unless an applicant may begin another application."""
    if state is not FriendState.APPLICANT or (last and last["ended_at"] is None):
        raise ApplicationExists
    again_at = may_apply_at(last) if last else None
    if again_at and now < again_at:
        raise ApplyLater(f"You may apply again from {again_at:%Y-%m-%d} on.")


def may_apply_at(last: Mapping[str, Any]) -> datetime | None:
    """From when on another application is possible; None unless the last one was declined."""
    if last["state"] != ApplicationState.DECLINED:
        return None
    ended_at: datetime = last["ended_at"]
    return ended_at + AGAIN_AFTER


def check_guardian(row: Mapping[str, Any]) -> None:
    """Raise GuardianRefused when the guardian has the mailbox or number of the friend."""
    if _mailbox(row["guardian_email"] or "") == _mailbox(row["email"]):
        raise GuardianRefused("A guardian is another person; give their own mail address.")
    if row["phone"] is not None and row["guardian_phone"] == row["phone"]:
        raise GuardianRefused("A guardian is another person; give their own telephone number.")


def _mailbox(address: str) -> str:
    """An address without the part after a plus, which most providers deliver to the same person."""
    name, at, domain = unicodedata.normalize("NFKC", address).casefold().rpartition("@")
    return name.partition("+")[0] + at + domain


def needs_guardian(born: date | None, market: Market, today: date) -> bool:
    """Whether somebody may decide only with a guardian."""
    return born is not None and not ages.is_adult(born, today, market)


def missing(
    row: Mapping[str, Any], agreed: Collection[str], wanted: Collection[str], today: date
) -> Iterator[str]:
    """The fields that an application lacks, in the order of the steps.

    `agreed` are the texts agreed to in their present version, of those that are `wanted`.
    """
    for field in ("phone", "birth_date", "postcode", "lat"):
        if row[field] is None:
            yield "base" if field == "lat" else field
    minor = needs_guardian(row["birth_date"], Market(row["market"]), today)
    if minor and row["guardian_email"] is None:
        yield "guardian"
    yield from (f"consents.{text}" for text in wanted if text not in agreed)
