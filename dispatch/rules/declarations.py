"""What declarations of events and of entries of the journal are made of: fields and messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from data.enums import Audience, Channel

Data = Mapping[str, Any]


class Shape(StrEnum):
    """How a field stands in the JSON of an event."""

    ID = "id"
    IDS = "ids"
    OFFERS = "offers"
    CODE = "code"
    CODES = "codes"
    FLAG = "flag"
    COUNT = "count"
    MINUTES = "minutes"
    MINOR_UNITS = "minor_units"
    MOMENT = "moment"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an event's data; the desk sees every field, the other audiences those named."""

    shape: Shape
    seen_by: frozenset[Audience] = frozenset()


def fact_of(name: str) -> str:
    """By which name a letter states a field: an amount without its unit."""
    return name.removesuffix("_minor")


class Validity(StrEnum):
    """While what is true a message is worth delivering."""

    ALWAYS = "always"
    OFFER_OPEN = "offer_open"
    HELD = "held"
    CONTACT_AWAITED = "contact_awaited"
    LATEST_APPOINTMENT = "latest_appointment"
    MOVE_AWAITED = "move_awaited"
    BEFORE_VISIT = "before_visit"
    AGREEMENT_AWAITED = "agreement_awaited"
    UNFILLED = "unfilled"
    UNCONFIRMED = "unconfirmed"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One kind of message.

    `facts` are what its letter states, all of them and no other: the privacy promise of the letter.
    A push has a letter too, sent when no phone can be reached, unless `facts` is None.
    """

    name: str
    audience: Audience
    channel: Channel
    facts: frozenset[str] | None
    valid: Validity


def _letter(
    audience: Audience, name: str, facts: str, valid: Validity = Validity.ALWAYS
) -> Template:
    return Template(
        name=name,
        audience=audience,
        channel=Channel.MAIL,
        facts=frozenset(facts.split()),
        valid=valid,
    )


def to_customer(name: str, facts: str, valid: Validity = Validity.ALWAYS) -> Template:
    """A letter to the customer, stating these facts."""
    return _letter(Audience.CUSTOMER, name, facts, valid)


def to_friend(name: str, facts: str, valid: Validity = Validity.ALWAYS) -> Template:
    """A letter to a friend, stating these facts."""
    return _letter(Audience.FRIEND, name, facts, valid)


def to_company(name: str, facts: str, valid: Validity = Validity.ALWAYS) -> Template:
    """A letter to every dispatcher of a company, stating these facts."""
    return _letter(Audience.COMPANY, name, facts, valid)


def to_desk(name: str, facts: str) -> Template:
    """A letter to an operator, stating these facts."""
    return _letter(Audience.DESK, name, facts)


def to_phone(name: str, facts: str | None, valid: Validity = Validity.ALWAYS) -> Template:
    """A push to a friend, with the facts of the letter that replaces it; None: no letter does."""
    return Template(
        name=name,
        audience=Audience.FRIEND,
        channel=Channel.PUSH,
        facts=None if facts is None else frozenset(facts.split()),
        valid=valid,
    )


def has(name: str) -> Callable[[Data], bool]:
    """Whether a field is present and not empty."""
    return lambda data: bool(data.get(name))


def lacks(*names: str) -> Callable[[Data], bool]:
    """Whether these fields are missing or empty."""
    return lambda data: not any(data.get(name) for name in names)


class UndeclaredData(Exception):
    """Data of an event or entry that its declaration does not list: a bug, never a refusal."""
