"""Every kind of event that can happen to a booking, declared once.

A declaration says which data an event carries and which messages it calls for; `FIELDS` says what
each field of data is and who may see it. From this table derive: the messages (`notifications`),
what each audience sees on its stream and in its lists (`visibility`), the facts that a letter may
use and how long a message stays valid (`scheduler.senders`), the kinds in the OpenAPI document, and
the texts that every language must have (tests). `docs/changing.md` says how to add one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from data.enums import Audience
from dispatch.rules.declarations import (
    Data,
    Field,
    Shape,
    Template,
    UndeclaredData,
    Validity,
    has,
    lacks,
    to_company,
    to_customer,
    to_friend,
    to_phone,
)

CUSTOMER: Final = UUID(int=0)
"""Stands among recipients for the booking's own customer."""

PUBLIC: Final = frozenset({Audience.CUSTOMER, Audience.PARTNER})
ITS_FRIEND: Final = frozenset({Audience.FRIEND})
ALL: Final = PUBLIC | ITS_FRIEND

FIELDS: Final[Mapping[str, Field]] = {
    "answer_by": Field(Shape.MOMENT, ALL),
    "award": Field(Shape.ID, ITS_FRIEND),
    "because": Field(Shape.CODE, PUBLIC),
    "by_friend": Field(Shape.FLAG, ALL),
    "called_at": Field(Shape.MOMENT, ALL),
    "before": Field(Shape.ID),
    "claimed": Field(Shape.FLAG, ALL),
    "companies": Field(Shape.IDS),
    "company": Field(Shape.ID),
    "due_at": Field(Shape.MOMENT, ALL),
    "ends_at": Field(Shape.MOMENT, ALL),
    "evidence": Field(Shape.CODE, ITS_FRIEND),
    "favourite": Field(Shape.FLAG, PUBLIC),
    "fee_minor": Field(Shape.MINOR_UNITS, PUBLIC),
    "forgotten": Field(Shape.FLAG),
    "friend": Field(Shape.ID),
    "friends": Field(Shape.IDS),
    "lost": Field(Shape.IDS),
    "minutes": Field(Shape.MINUTES, ALL),
    "offer": Field(Shape.ID),
    "offers": Field(Shape.OFFERS),
    "package": Field(Shape.CODE, PUBLIC),
    "reason": Field(Shape.CODE, PUBLIC),
    "revision": Field(Shape.COUNT, ALL),
    "round": Field(Shape.COUNT, PUBLIC),
    "share_minor": Field(Shape.MINOR_UNITS, ITS_FRIEND),
    "stars": Field(Shape.COUNT, PUBLIC),
    "starts_at": Field(Shape.MOMENT, ALL),
    "tier": Field(Shape.CODE, PUBLIC),
    "unconfirmed": Field(Shape.FLAG, PUBLIC),
    "wishes": Field(Shape.CODES, ALL),
    "withdrawn": Field(Shape.IDS),
}


OF_EVERY_AWARD: Final = frozenset({"company"})
"""What every event that names the holder of a job may carry."""

Recipients = Callable[[Data], Iterator[tuple[UUID, Data]]]
"""From an event's data to its recipients, each with the data of the message."""


def customer(data: Data) -> Iterator[tuple[UUID, Data]]:
    """The customer of the booking."""
    yield CUSTOMER, {}


def friend(data: Data) -> Iterator[tuple[UUID, Data]]:
    """The friend that the event names, if any."""
    if data.get("friend"):
        yield UUID(data["friend"]), {k: v for k, v in data.items() if k in ("award", "due_at")}


def offered(data: Data) -> Iterator[tuple[UUID, Data]]:
    """Every friend who got an offer; a company's dispatchers get it for their technician."""
    for offer in data["offers"]:
        if "company" not in offer:
            yield UUID(offer["friend"]), _offer_facts(offer)


def offered_company(data: Data) -> Iterator[tuple[UUID, Data]]:
    """Every company that got an offer."""
    for offer in data["offers"]:
        if "company" in offer:
            yield UUID(offer["company"]), _offer_facts(offer)


def _offer_facts(offer: Data) -> Data:
    return {"offer": offer["id"], "expires_at": offer["expires_at"]}


def company(data: Data) -> Iterator[tuple[UUID, Data]]:
    """The company whose technician the event names, if any."""
    if data.get("company"):
        yield UUID(data["company"]), {}


def former(data: Data) -> Iterator[tuple[UUID, Data]]:
    """The technician who held the job before."""
    yield UUID(data["before"]), {}


def listed(name: str) -> Recipients:
    """Every friend in the field `name`."""

    def read(data: Data) -> Iterator[tuple[UUID, Data]]:
        for one in data.get(name, ()):
            yield UUID(one), {}

    return read


def where(condition: Callable[[Data], bool], recipients: Recipients) -> Recipients:
    """These recipients, if the event's data meet the condition."""

    def read(data: Data) -> Iterator[tuple[UUID, Data]]:
        if condition(data):
            yield from recipients(data)

    return read


@dataclass(frozen=True, slots=True)
class EventKind:
    """What an event of one kind carries, and who gets which message.

    An automatic one follows by itself from what somebody did: its actor is the system.
    """

    fields: frozenset[str]
    messages: tuple[tuple[Template, Recipients], ...]
    automatic: bool = False


def _kind(fields: str, *messages: tuple[Template, Recipients]) -> EventKind:
    return EventKind(frozenset(fields.split()), messages)


def _automatic(fields: str, *messages: tuple[Template, Recipients]) -> EventKind:
    return EventKind(frozenset(fields.split()), messages, automatic=True)


BOOKED = to_customer("booked", "package price helpers link")
FRIEND_CHANGED = to_customer("friend_changed", "package link")
OFFER_FACTS: Final = "package pay area distance_m expires_at link"
JOB_CANCELLED = to_friend("job_cancelled", "package")
COMPANY_LOST = to_company("job_lost", "package first_name")

EVENTS: Final[Mapping[str, EventKind]] = {
    "booking.created": _kind(
        "package unconfirmed",
        (BOOKED, where(lacks("unconfirmed"), customer)),
        (
            to_customer("confirm_booking", "package price code link", Validity.UNCONFIRMED),
            where(has("unconfirmed"), customer),
        ),
    ),
    "booking.confirmed": _kind("", (BOOKED, customer)),
    "booking.offered": _automatic(
        "round offers favourite",
        (to_phone("offer", OFFER_FACTS, Validity.OFFER_OPEN), where(lacks("favourite"), offered)),
        (
            to_phone("offer_for_you", OFFER_FACTS, Validity.OFFER_OPEN),
            where(has("favourite"), offered),
        ),
        (to_company("offer", OFFER_FACTS, Validity.OFFER_OPEN), offered_company),
    ),
    "booking.escalated": _automatic("tier"),
    "booking.unfilled": _automatic(
        "round because", (to_customer("unfilled", "package link", Validity.UNFILLED), customer)
    ),
    "booking.redispatched": _kind(
        "friend", (JOB_CANCELLED, friend), (FRIEND_CHANGED, where(has("friend"), customer))
    ),
    "booking.awarded": _kind(
        "friend award due_at lost companies",
        (to_friend("awarded", "package contact_due_at link", Validity.HELD), friend),
        (to_phone("offer_gone", None), listed("lost")),
        (
            to_customer("friend_found", "package first_name contact_due_at link", Validity.HELD),
            customer,
        ),
    ),
    "booking.reassigned": _kind(
        "friend before award",
        (to_friend("reassigned_to_you", "package link", Validity.HELD), friend),
        (to_friend("reassigned_away", "package"), former),
        (to_customer("reassigned", "package first_name link", Validity.HELD), customer),
    ),
    "booking.contacted": _kind(
        "friend evidence",
        (
            to_customer("contacted", "package first_name link", Validity.HELD),
            where(lacks("evidence"), customer),
        ),
    ),
    "booking.scheduled": _kind(
        "friend starts_at ends_at revision",
        (
            to_friend("appointment", "package starts_at ends_at link", Validity.LATEST_APPOINTMENT),
            friend,
        ),
        (
            to_customer(
                "appointment",
                "package first_name starts_at ends_at link",
                Validity.LATEST_APPOINTMENT,
            ),
            customer,
        ),
    ),
    "booking.on_the_way": _kind(
        "friend",
        (to_customer("on_the_way", "package first_name link", Validity.BEFORE_VISIT), customer),
    ),
    "booking.not_on_the_way": _kind(
        "friend",
        (to_customer("not_on_the_way", "package first_name link", Validity.BEFORE_VISIT), customer),
    ),
    "booking.delayed": _kind(
        "friend minutes",
        (
            to_customer("delayed", "package first_name minutes link", Validity.BEFORE_VISIT),
            customer,
        ),
    ),
    "booking.started": _kind(
        "friend", (to_customer("started", "package first_name link", Validity.HELD), customer)
    ),
    "booking.completed": _kind(
        "friend", (to_customer("completed", "package price link"), customer)
    ),
    "completion.contested": _kind(
        "friend reason",
        (to_customer("contested", "package link"), customer),
        (to_friend("contested", "package link"), friend),
    ),
    "completion.upheld": _kind(
        "friend",
        (to_customer("upheld", "package price link"), customer),
        (to_friend("upheld", "package"), friend),
    ),
    "booking.reopened": _kind(
        "friend",
        (to_customer("reopened", "package link"), customer),
        (to_friend("reopened", "package"), friend),
    ),
    "booking.incomplete": _kind(
        "friend reason", (to_customer("incomplete", "package link"), customer)
    ),
    "booking.cancelled": _kind(
        "reason withdrawn companies friend fee_minor share_minor unconfirmed forgotten",
        (to_phone("offer_withdrawn", None), listed("withdrawn")),
        (JOB_CANCELLED, where(lacks("fee_minor"), friend)),
        (JOB_CANCELLED, where(has("fee_minor"), where(has("company"), friend))),
        (
            to_friend("job_cancelled_late", "package share"),
            where(has("fee_minor"), where(lacks("company"), friend)),
        ),
        (
            to_customer("cancelled", "package"),
            where(lacks("fee_minor", "unconfirmed", "forgotten"), customer),
        ),
        (to_customer("cancelled_late", "package fee"), where(has("fee_minor"), customer)),
        (COMPANY_LOST, company),
    ),
    "booking.rated": _kind("friend stars", (to_friend("rated", "package link"), friend)),
    "customer.reviewed": _kind("friend"),
    "review.kept": _kind(
        "friend by_friend",
        (to_customer("review_kept", "package link"), customer),
        (to_friend("review_kept", "package link"), friend),
    ),
    "review.hidden": _kind(
        "friend by_friend reason",
        (to_customer("review_hidden", "package link"), customer),
        (to_friend("review_hidden", "package link"), friend),
    ),
    "booking.handed_back": _kind("friend reason", (FRIEND_CHANGED, customer)),
    "appointment.move_asked": _kind(
        "friend wishes revision",
        (to_phone("move_asked", "package starts_at link", Validity.MOVE_AWAITED), friend),
    ),
    "appointment.missing": _kind(
        "friend",
        (to_phone("agree_appointment", "package link", Validity.AGREEMENT_AWAITED), friend),
        (
            to_customer("not_agreed", "package first_name link", Validity.AGREEMENT_AWAITED),
            customer,
        ),
    ),
    "contact.disputed": _kind(
        "friend claimed answer_by",
        (
            to_phone("contact_contested", "package answer_by link", Validity.AGREEMENT_AWAITED),
            where(has("answer_by"), friend),
        ),
        (
            to_phone(
                "customer_waits",
                "package time_left contact_due_at link",
                Validity.CONTACT_AWAITED,
            ),
            where(lacks("claimed"), friend),
        ),
    ),
    "contact.answered": _kind(
        "friend evidence called_at",
        (
            to_customer("contact_answered", "package first_name link", Validity.HELD),
            customer,
        ),
    ),
    "contact.settled": _kind(
        "friend evidence",
        (to_friend("contact_settled", "package link", Validity.HELD), friend),
    ),
    "contact.unanswered": _automatic(
        "friend award",
        (to_phone("contact_unanswered", "package"), friend),
        (COMPANY_LOST, company),
        (FRIEND_CHANGED, customer),
    ),
    "link.renewed": _kind("", (to_customer("link_renewed", "package link"), customer)),
    "offer.declined": _kind("friend offer"),
    "offer.expired": _automatic("friends companies"),
    "contact.reminded": _automatic(
        "friend due_at",
        (
            to_phone(
                "contact_reminder",
                "package time_left contact_due_at link",
                Validity.CONTACT_AWAITED,
            ),
            friend,
        ),
    ),
    "contact.missed": _automatic(
        "friend award",
        (to_phone("contact_missed", "package"), friend),
        (COMPANY_LOST, company),
        (FRIEND_CHANGED, customer),
    ),
}

WRITTEN: Final = "written"
"""The letter that there are messages, without any of their words (`thread`)."""
OF_THREADS: Final = (
    to_customer(WRITTEN, "package first_name link", Validity.UNREAD),
    to_phone(WRITTEN, "package link", Validity.UNREAD),
)
TEMPLATES: Final[Mapping[tuple[Audience, str], Template]] = {
    (template.audience, template.name): template
    for template in (*(t for kind in EVENTS.values() for t, _ in kind.messages), *OF_THREADS)
}


def check(kind: str, data: Data) -> None:
    """Raise UndeclaredData unless `kind` is declared with every field of `data`."""
    declared = EVENTS.get(kind)
    if declared is None or not data.keys() <= declared.fields | OF_EVERY_AWARD:
        raise UndeclaredData(f"{kind} with {', '.join(sorted(data))} is not declared in EVENTS")


def seen_by(audience: Audience, data: Data) -> dict[str, Any]:
    """The part of an event's data that an audience may see."""
    if audience is Audience.DESK:
        return dict(data)
    return {name: value for name, value in data.items() if audience in FIELDS[name].seen_by}
