"""From a message to the facts of its letter, unless the message is no longer valid.

A message is created at one moment and delivered at a later one. What has changed in between
decides: an offer that another friend accepted is not sent any more, and an appointment that was
moved is announced by the message that moved it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from data.enums import Audience, AwardState, BookingState, OfferState
from data.markets import MARKETS
from data.records.catalogue import Catalogue
from data.records.messages import Message
from data.records.money import Money
from data.store.mail_context import Context, LatestAward, MessageContext, PersonContext
from dispatch.rules.declarations import Shape, Validity, fact_of
from dispatch.rules.jobs.customer_links import customer_token
from dispatch.rules.jobs.events import FIELDS, TEMPLATES
from dispatch.rules.journal import FIELDS as ENTRY_FIELDS
from dispatch.rules.people.names import first_name
from dispatch.rules.trust import mailed_secrets

BEFORE_VISIT: Final = frozenset({BookingState.CONTACTED, BookingState.SCHEDULED})
CONFIRM: Final = "confirm_booking"
STANDING: Final = frozenset({AwardState.LIVE, AwardState.DONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What fills a letter: the package names, and the address and key of the links."""

    catalogue: Catalogue
    base_url: str
    secret: bytes

    def facts(self, message: Message, about: Context) -> Mapping[str, object]:
        """The facts known about a message; a letter takes those it declares and no other."""
        if isinstance(about, PersonContext):
            return self._of_person(about)
        known: dict[str, object] = {
            "timezone": MARKETS[about.market].timezone,
            "package": self.package_name(about),
            "area": about.area,
            "price": about.price,
            "pay": about.pay,
            "helpers": about.asked,
            "link": self.link(message, about),
        }
        if message.template == CONFIRM:
            made = mailed_secrets.of_booking(self.secret, message.booking_id)
            known["code"], known["link"] = made.code, f"{known['link']}#{made.link}"
        if about.friend_name is not None:
            known["first_name"] = first_name(about.friend_name)
        if about.offer:
            known |= {"distance_m": about.offer.shown_m, "expires_at": about.offer.expires_at}
        if about.award:
            known |= _of_award(about, about.award)
        return _of_event(about) | known

    def package_name(self, about: MessageContext) -> str:
        """The name that the booking was sold under, in the language of the recipient."""
        package = self.catalogue.at(about.package, about.package_version)
        return package.texts[about.language].name

    def _of_person(self, about: PersonContext) -> dict[str, object]:
        known: dict[str, object] = {"timezone": MARKETS[about.market].timezone}
        if about.certificate is not None:
            known["certificate"] = about.certificate
            known["link"] = f"{self.base_url}/exam/{about.entry_data['certificate']}"
        if "level" in about.entry_data:
            known["link"] = f"{self.base_url}/friend/profile"
        if about.reasons is not None:
            known["reasons"] = about.reasons
        for name, value in about.entry_data.items():
            shape = ENTRY_FIELDS[name].shape if name in ENTRY_FIELDS else None
            if shape is Shape.MOMENT:
                known[name] = datetime.fromisoformat(value)
            elif shape is Shape.COUNT:
                known[name] = str(value)
        return known

    def link(self, message: Message, about: MessageContext) -> str:
        """Where the letter's button leads; a customer's link is itself their credential."""
        if message.audience is Audience.CUSTOMER:
            generation = about.link_generation
            token = customer_token(self.secret, message.booking_id, generation)
            return f"{self.base_url}/job/{token}"
        if message.audience is Audience.COMPANY:
            return f"{self.base_url}/company"
        if about.offer:
            return f"{self.base_url}/friend/offers/{about.offer.id}"
        return f"{self.base_url}/friend/jobs/{message.booking_id}"


def _of_event(about: MessageContext) -> dict[str, object]:
    """The facts that stand in the event itself, by the shape of their field."""
    facts: dict[str, object] = {}
    for name, value in about.event_data.items():
        shape = FIELDS[name].shape if name in FIELDS else None
        if shape is Shape.COUNT:
            facts[name] = value
        elif shape is Shape.MINUTES:
            facts[name] = timedelta(minutes=value)
        elif shape is Shape.MOMENT:
            facts[name] = datetime.fromisoformat(value)
        elif shape is Shape.MINOR_UNITS:
            facts[fact_of(name)] = Money(amount=value, currency=about.price.currency)
    return facts


def _of_award(about: MessageContext, award: LatestAward) -> dict[str, object]:
    known: dict[str, object] = {
        "contact_due_at": award.contact_due_at,
        "time_left": award.contact_due_at - about.now,
    }
    if award.appointment:
        known["starts_at"] = award.appointment.starts_at
        known["ends_at"] = award.appointment.ends_at
    return known


def _offer_open(about: MessageContext) -> bool:
    offer = about.offer
    return offer is not None and offer.state is OfferState.LIVE and about.now < offer.expires_at


def _held(about: MessageContext) -> bool:
    return about.award is not None and about.award.state in STANDING


def _contact_awaited(about: MessageContext) -> bool:
    award = about.award
    return (
        award is not None
        and award.state is AwardState.LIVE
        and award.contacted_at is None
        and about.now < award.contact_due_at
    )


def _latest_appointment(about: MessageContext) -> bool:
    appointment = about.award.appointment if about.award else None
    return (
        _held(about)
        and appointment is not None
        and appointment.revision == about.event_data.get("revision")
    )


def _move_awaited(about: MessageContext) -> bool:
    return _latest_appointment(about) and about.state is BookingState.SCHEDULED


def _before_visit(about: MessageContext) -> bool:
    return _held(about) and about.state in BEFORE_VISIT


def _agreement_awaited(about: MessageContext) -> bool:
    return _held(about) and about.state is BookingState.CONTACTED


def _unfilled(about: MessageContext) -> bool:
    return about.state is BookingState.UNFILLED


def _unconfirmed(about: MessageContext) -> bool:
    return about.state is BookingState.UNCONFIRMED


def _unread(about: MessageContext) -> bool:
    return _held(about) and about.unread


CHECKS: Final[Mapping[Validity, Callable[[MessageContext], bool]]] = {
    Validity.ALWAYS: lambda about: True,
    Validity.OFFER_OPEN: _offer_open,
    Validity.HELD: _held,
    Validity.CONTACT_AWAITED: _contact_awaited,
    Validity.LATEST_APPOINTMENT: _latest_appointment,
    Validity.MOVE_AWAITED: _move_awaited,
    Validity.BEFORE_VISIT: _before_visit,
    Validity.AGREEMENT_AWAITED: _agreement_awaited,
    Validity.UNFILLED: _unfilled,
    Validity.UNCONFIRMED: _unconfirmed,
    Validity.UNREAD: _unread,
}


def is_valid(message: Message, about: Context) -> bool:
    """Whether a message is still true and still of use to its recipient."""
    if about.email is None:
        return False
    if isinstance(about, PersonContext):
        return True
    template = TEMPLATES.get((message.audience, message.template))
    return template is None or CHECKS[template.valid](about)
