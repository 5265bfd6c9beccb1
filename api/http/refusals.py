"""The status of each refusal of a rule; its code and title stand beside the rule."""

from __future__ import annotations

from collections.abc import Mapping

from dispatch.flows.execute import KeyReused, ReferenceTaken
from dispatch.flows.jobs.orders import NoSuchFavourite, QuoteExpired
from dispatch.flows.partners.accounts import NameTaken
from dispatch.flows.people.companies import AddressTaken, JobsOfCompany, NoTechnician
from dispatch.flows.people.passkeys import PasskeyRefused
from dispatch.flows.people.rights import StillNeeded
from dispatch.flows.people.sessions import CodeRefused, LinkUsedUp
from dispatch.rules.errands import NoticeRefused
from dispatch.rules.jobs.catalogue import (
    PackageChanged,
    PlannedVersion,
    PriceRefused,
    UnknownCategory,
    UnknownCertificate,
    UnknownPackage,
)
from dispatch.rules.jobs.refusals import (
    AlreadyRated,
    AppointmentOverlaps,
    AppointmentUnfit,
    AtCapacity,
    CompletedTooEarly,
    ContactContested,
    ContactDeadlinePassed,
    ContestOver,
    EvidenceUnfit,
    FeeChanged,
    FriendUnfit,
    NotInThisState,
    OfferExpired,
    OfferGone,
    ReviewOver,
    TechnicianBusy,
    TechnicianUnfit,
    ThreadClosed,
    TooManyCodes,
    TooManyMessages,
    WrongCode,
)
from dispatch.rules.jobs.reviews import NoReviewShown
from dispatch.rules.money.prices import NotSoldHere
from dispatch.rules.people.ages import BirthDateRefused
from dispatch.rules.people.applications import (
    ApplicationExists,
    ApplicationIncomplete,
    ApplicationNotOpen,
    ApplicationUndecided,
    ApplyLater,
    GuardianRefused,
    NotCertifiedYet,
)
from dispatch.rules.people.desk_notes import NotesFull
from dispatch.rules.people.exams import (
    AnotherSitting,
    ExamNotOpen,
    PracticalNotDue,
    SittingOver,
    TooManyAnswers,
)
from dispatch.rules.people.names import NameRefused
from dispatch.rules.people.phone_codes import (
    AlreadyConfirmed,
    NoTextsSent,
    NumberNotMobile,
    PhoneCodeOver,
    PhoneCodeRefused,
    TooManyTexts,
)
from dispatch.rules.people.push_endpoints import EndpointRefused
from dispatch.rules.people.review_requests import (
    ReviewAnswered,
    ReviewAskedAlready,
    ReviewByAnother,
)
from dispatch.rules.refusals import NotFound, Refused
from dispatch.rules.trust.base_moves import BaseMovedLately
from dispatch.rules.trust.files import EvidenceOver, TooManyFiles
from dispatch.rules.trust.limits import PausedByAlarm, TooManyToday
from dispatch.rules.trust.quotas import ProofRequired, TooManyBookings

REFUSALS: Mapping[type[Refused], int] = {
    OfferGone: 409,
    OfferExpired: 409,
    AtCapacity: 409,
    TechnicianUnfit: 409,
    AddressTaken: 409,
    NoTechnician: 409,
    JobsOfCompany: 409,
    TechnicianBusy: 409,
    TooManyToday: 409,
    PausedByAlarm: 409,
    ApplicationUndecided: 409,
    ApplicationNotOpen: 409,
    ApplicationExists: 409,
    ApplicationIncomplete: 422,
    ApplyLater: 409,
    NotCertifiedYet: 409,
    GuardianRefused: 422,
    BirthDateRefused: 422,
    NotInThisState: 409,
    ContactDeadlinePassed: 409,
    ContactContested: 409,
    EvidenceUnfit: 422,
    ThreadClosed: 409,
    TooManyMessages: 429,
    AppointmentOverlaps: 409,
    AppointmentUnfit: 422,
    FeeChanged: 409,
    CompletedTooEarly: 409,
    ContestOver: 409,
    ReviewOver: 409,
    NoReviewShown: 409,
    WrongCode: 422,
    TooManyCodes: 409,
    TooManyBookings: 429,
    ProofRequired: 428,
    AlreadyRated: 409,
    FriendUnfit: 409,
    KeyReused: 422,
    ReferenceTaken: 409,
    NotFound: 404,
    UnknownPackage: 422,
    PackageChanged: 409,
    PlannedVersion: 409,
    UnknownCategory: 422,
    UnknownCertificate: 422,
    PriceRefused: 422,
    NotSoldHere: 422,
    QuoteExpired: 409,
    NoSuchFavourite: 409,
    LinkUsedUp: 422,
    CodeRefused: 422,
    PasskeyRefused: 422,
    StillNeeded: 409,
    EndpointRefused: 422,
    BaseMovedLately: 409,
    NameTaken: 409,
    NameRefused: 422,
    NotesFull: 409,
    ExamNotOpen: 409,
    AnotherSitting: 409,
    SittingOver: 409,
    TooManyAnswers: 409,
    PracticalNotDue: 409,
    ReviewAnswered: 409,
    ReviewAskedAlready: 409,
    ReviewByAnother: 409,
    TooManyFiles: 409,
    EvidenceOver: 422,
    NoTextsSent: 503,
    NumberNotMobile: 422,
    AlreadyConfirmed: 409,
    TooManyTexts: 429,
    PhoneCodeRefused: 422,
    PhoneCodeOver: 409,
    NoticeRefused: 403,
}
