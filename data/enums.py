"""Enumerations of the values in rows; each equals an SQL enum."""

from __future__ import annotations

from enum import StrEnum


class PackageTier(StrEnum):
    FRIEND = "friend"
    PRO = "pro"
    FRIEND_THEN_PRO = "friend_then_pro"


class Tier(StrEnum):
    FRIEND = "friend"
    PRO = "pro"


class FriendState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    APPLICANT = "applicant"


class ApplicationState(StrEnum):
    DRAFT = "draft"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


class BookingState(StrEnum):
    OPEN = "open"
    AWARDED = "awarded"
    CONTACTED = "contacted"
    SCHEDULED = "scheduled"
    UNDER_WAY = "under_way"
    COMPLETED = "completed"
    UNFILLED = "unfilled"
    INCOMPLETE = "incomplete"
    CANCELLED = "cancelled"
    UNCONFIRMED = "unconfirmed"


class OfferState(StrEnum):
    LIVE = "live"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    LOST = "lost"
    WITHDRAWN = "withdrawn"
    FORFEITED = "forfeited"
    HANDED_BACK = "handed_back"
    RELEASED = "released"


class AwardState(StrEnum):
    LIVE = "live"
    DONE = "done"
    FORFEITED = "forfeited"
    HANDED_BACK = "handed_back"
    RELEASED = "released"


class TimerKind(StrEnum):
    OFFERS_EXPIRE = "offers_expire"
    CONTACT_REMINDER = "contact_reminder"
    CONTACT_DEADLINE = "contact_deadline"
    RETRY = "retry"
    CONFIRMATION_DUE = "confirmation_due"
    AGREEMENT_DUE = "agreement_due"
    CERTIFICATE_ENDING = "certificate_ending"
    SITTING_DUE = "sitting_due"
    CONTACT_CONTESTED = "contact_contested"
    REVIEW_DUE = "review_due"


class Outcome(StrEnum):
    """Why a friend in the frame was asked or not: exactly one per friend."""

    OFFERED = "OFFERED"
    RANKED_BELOW_K = "RANKED_BELOW_K"
    INACTIVE = "INACTIVE"
    UNREACHABLE = "UNREACHABLE"
    WRONG_MARKET = "WRONG_MARKET"
    WRONG_TIER = "WRONG_TIER"
    NOT_CERTIFIED = "NOT_CERTIFIED"
    NO_SHARED_LANGUAGE = "NO_SHARED_LANGUAGE"
    NOT_A_MEMBER = "NOT_A_MEMBER"
    OUT_OF_RADIUS = "OUT_OF_RADIUS"
    BLOCKED = "BLOCKED"
    EXCLUDED = "EXCLUDED"
    AT_CAPACITY = "AT_CAPACITY"
    TOO_MANY_OFFERS = "TOO_MANY_OFFERS"
    QUIET_HOURS = "QUIET_HOURS"
    FAVOURITE_FIRST = "FAVOURITE_FIRST"
    TOO_YOUNG = "TOO_YOUNG"
    OUTSIDE_PLAN = "OUTSIDE_PLAN"
    COMPANY_ASKED = "COMPANY_ASKED"
    LEVEL_TOO_LOW = "LEVEL_TOO_LOW"


class SubjectKind(StrEnum):
    """What messages, timers, the journal and the audit are about; a booking has events instead."""

    BOOKING = "booking"
    PERSON = "person"
    PARTNER = "partner"


class FileKind(StrEnum):
    """What a file is: a person's photo, evidence of who they are, or the result of a job."""

    PHOTO = "photo"
    EVIDENCE = "evidence"
    RESULT = "result"


class AreaKind(StrEnum):
    """How a friend describes an area beside the base."""

    CIRCLE = "circle"
    POLYGON = "polygon"
    MINUTES = "minutes"


class Channel(StrEnum):
    PUSH = "push"
    MAIL = "mail"
    WEBHOOK = "webhook"


class ErrandState(StrEnum):
    """Where a call to a provider stands, or an event of one."""

    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"
    PARKED = "parked"


class Audience(StrEnum):
    FRIEND = "friend"
    CUSTOMER = "customer"
    PARTNER = "partner"
    DESK = "desk"
    COMPANY = "company"


class Author(StrEnum):
    """Who writes a message of a thread."""

    FRIEND = "friend"
    CUSTOMER = "customer"


class Wish(StrEnum):
    """When the customer would like the visit; no free text, which could identify the customer."""

    SOON = "soon"
    MORNING = "morning"
    AFTERNOON = "afternoon"
    EVENING = "evening"
    WEEKEND = "weekend"


class OperatorRole(StrEnum):
    """What an operator of the desk may do: each role reads, an admin does everything."""

    VIEWER = "viewer"
    DISPATCHER = "dispatcher"
    COMMUNITY = "community"
    FINANCE = "finance"
    ADMIN = "admin"

    def includes(self, other: OperatorRole) -> bool:
        """Whether this role may do all that `other` may."""
        return self is OperatorRole.ADMIN or other in {self, OperatorRole.VIEWER}
