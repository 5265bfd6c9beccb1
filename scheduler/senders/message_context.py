"""From a message to the facts of its letter, or to the insight that it is no longer true.

A message is called for at one moment and written at a later one. What has changed in between
decides: an offer that somebody else accepted is not sent any more, an appointment that was moved is
told by the message that moved it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from data.enums import Audience, AwardState, BookingState, OfferState
from data.markets import MARKETS
from data.records.catalogue import Package
from data.records.messages import Message
from data.records.money import Money
from data.store.mail_context import AwardNow, Background
from dispatch.rules.jobs.customer_links import customer_token

SETTING_OUT = frozenset({BookingState.CONTACTED, BookingState.SCHEDULED})
STANDING = frozenset({AwardState.LIVE, AwardState.DONE})

Holds = Callable[[Background], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Whatever may fill a letter: the package names, and the address and key of the links."""

    packages: Mapping[str, Package]
    base_url: str
    secret: bytes

    def facts(self, message: Message, about: Background) -> Mapping[str, object]:
        """The facts known about a message; a letter takes those it declares and no other."""
        known: dict[str, object] = {
            "timezone": MARKETS[about.market].timezone,
            "package": self.packages[about.package].texts[about.language].name,
            "area": about.area,
            "price": about.price,
            "pay": about.pay,
            "helpers": about.asked,
            "link": self.link(message, about),
        }
        if about.friend_name:
            known["first_name"] = about.friend_name.split()[0]
        if about.offer:
            known |= {"distance_m": about.offer.shown_m, "expires_at": about.offer.expires_at}
        if about.award:
            known |= _of_award(about, about.award)
        if "stars" in about.said:
            known["stars"] = about.said["stars"]
        for name in ("fee", "share"):
            if f"{name}_minor" in about.said:
                amount = about.said[f"{name}_minor"]
                known[name] = Money(amount=amount, currency=about.price.currency)
        return known

    def link(self, message: Message, about: Background) -> str:
        """Where the letter's button leads; a customer's link is itself the proof of who she is."""
        if message.audience is Audience.CUSTOMER:
            return f"{self.base_url}/job/{customer_token(self.secret, message.booking_id)}"
        if about.offer:
            return f"{self.base_url}/friend/offers/{about.offer.id}"
        return f"{self.base_url}/friend/jobs/{message.booking_id}"


def _of_award(about: Background, award: AwardNow) -> dict[str, object]:
    known: dict[str, object] = {
        "contact_due_at": award.contact_due_at,
        "time_left": award.contact_due_at - about.now,
    }
    if award.appointment:
        known["starts_at"] = award.appointment.starts_at
        known["ends_at"] = award.appointment.ends_at
    return known


def _offer_open(about: Background) -> bool:
    offer = about.offer
    return offer is not None and offer.state is OfferState.LIVE and about.now < offer.expires_at


def _held(about: Background) -> bool:
    return about.award is not None and about.award.state in STANDING


def _contact_awaited(about: Background) -> bool:
    award = about.award
    return (
        award is not None
        and award.state is AwardState.LIVE
        and award.contacted_at is None
        and about.now < award.contact_due_at
    )


def _latest_appointment(about: Background) -> bool:
    appointment = about.award.appointment if about.award else None
    return (
        _held(about)
        and appointment is not None
        and appointment.revision == about.said.get("revision")
    )


def _move_awaited(about: Background) -> bool:
    return _latest_appointment(about) and about.state is BookingState.SCHEDULED


def _setting_out(about: Background) -> bool:
    return _held(about) and about.state in SETTING_OUT


def _unfilled(about: Background) -> bool:
    return about.state is BookingState.UNFILLED


HOLDS: Mapping[str, Holds] = {
    "offer": _offer_open,
    "awarded": _held,
    "friend_found": _held,
    "contacted": _held,
    "contact_reminder": _contact_awaited,
    "customer_waits": _contact_awaited,
    "move_asked": _move_awaited,
    "on_the_way": _setting_out,
    "appointment": _latest_appointment,
    "started": _held,
    "unfilled": _unfilled,
}


def holds(message: Message, about: Background) -> bool:
    """Whether a message is still true and still of use to its reader."""
    if about.email is None:
        return False
    check = HOLDS.get(message.template)
    return check is None or check(about)
