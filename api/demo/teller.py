"""Tells what happens, a line for each event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from rich.console import Console
from rich.text import Text

from api.demo.cast import short
from api.demo.time import HOME
from data.markets import Language
from data.records.catalogue import Package
from data.records.ids import BookingId, FriendId
from data.records.jobs import Booking, Changes, Offer
from data.records.messages import Event

HUES: Final = ("cyan", "magenta", "blue", "green", "yellow", "bright_blue", "bright_magenta")
PLACE_WIDTH: Final = 34
WORD_WIDTH: Final = 11
REMEMBERED_MAX: Final = 5_000
KILOMETRE_M: Final = 1_000


@dataclass(frozen=True, slots=True)
class Told:
    """One event as it is told: a word in its colour, and the rest."""

    word: str
    colour: str
    rest: str = ""


@dataclass(slots=True)
class Teller:
    """Hears of every decision after its commit, and prints its events."""

    console: Console
    packages: Mapping[str, Package]
    names: Mapping[FriendId, str]
    counts: Counter[str] = field(default_factory=Counter)
    customers: dict[BookingId, str] = field(default_factory=dict)
    awarded: dict[BookingId, datetime] = field(default_factory=dict)
    rounds: dict[BookingId, int] = field(default_factory=dict)

    def hear(self, changes: Sequence[Changes]) -> None:
        """Print what these decisions made happen."""
        for change in changes:
            self._remember(change)
            for event in change.events:
                self.counts[event.kind] += 1
                self.console.print(
                    self._line(change, event), no_wrap=True, overflow="ellipsis", crop=True
                )

    def _remember(self, change: Changes) -> None:
        booking_id = change.booking.id
        if change.customer is not None:
            self.customers[booking_id] = short(change.customer.name)
        if change.award is not None and change.award_is_new:
            self.awarded[booking_id] = change.award.awarded_at
        for memory in (self.customers, self.awarded, self.rounds):
            while len(memory) > REMEMBERED_MAX:
                memory.pop(next(iter(memory)))

    def _line(self, change: Changes, event: Event) -> Text:
        told = TOLD[event.kind](self, change, event)
        code = change.booking.id.hex[-4:]
        hue = HUES[change.booking.id.int % len(HUES)]
        return Text.assemble(
            (f"{event.at.astimezone(HOME):%a %H:%M:%S}  ", "dim"),
            (f"{code}  ", hue),
            (_fit(self._place(change.booking), PLACE_WIDTH), hue),
            ("  "),
            (_fit(told.word, WORD_WIDTH), f"bold {told.colour}"),
            (" " + told.rest, "" if told.colour != "bright_black" else "bright_black"),
        )

    def _place(self, booking: Booking) -> str:
        name = self.packages[booking.package].texts[Language.EN].name
        where = booking.cell_label or booking.market
        room = PLACE_WIDTH - len(where) - 2
        return f"{name if len(name) <= room else name[: room - 1] + '…'}, {where}"

    def friend(self, data: Mapping[str, Any]) -> str:
        """The friend an event is about."""
        return self.name(data["friend"])

    def name(self, friend_id: str) -> str:
        """A friend's short name."""
        return self.names.get(FriendId(UUID(friend_id)), "a friend")

    def asked(self, change: Changes, event: Event) -> str:
        """Who is asked and how far away each is, the nearest first."""
        asked = {offer["id"] for offer in event.data["offers"]}
        offers = [offer for offer in change.offers if str(offer.id) in asked]
        return " · ".join(map(self._offer, sorted(offers, key=lambda offer: offer.distance_m)))

    def _offer(self, offer: Offer) -> str:
        return f"{self.name(str(offer.friend_id))} {distance(offer.distance_m)}"

    def after(self, change: Changes, event: Event) -> str:
        """How long after the award something happened."""
        since = self.awarded.get(change.booking.id)
        return f" after {lasting(event.at - since)}" if since else ""


def distance(metres: int) -> str:
    """A distance as people say it."""
    return f"{metres} m" if metres < KILOMETRE_M else f"{metres / KILOMETRE_M:.1f} km"


def lasting(span: timedelta) -> str:
    """A length of time as people say it."""
    minutes = round(span.total_seconds() / 60)
    return f"{minutes // 60} h {minutes % 60:02}" if minutes >= 60 else f"{minutes} min"


def at(text: str) -> str:
    """A moment as people say it."""
    return f"{datetime.fromisoformat(text).astimezone(HOME):%a %H:%M}"


def _fit(text: str, width: int) -> str:
    return f"{text[: width - 1]}…" if len(text) > width else f"{text:<{width}}"


def _created(teller: Teller, change: Changes, event: Event) -> Told:
    price = change.booking.price
    who = teller.customers.get(change.booking.id, "a customer")
    through = " through a partner" if change.booking.partner_id else ""
    return Told("booked", "white", f"by {who}{through}, {price.amount / 100:.2f} {price.currency}")


def _offered(teller: Teller, change: Changes, event: Event) -> Told:
    round_, before = event.data["round"], teller.rounds.get(change.booking.id)
    teller.rounds[change.booking.id] = round_
    word = "asks also" if round_ == before else "asks"
    again = f"(round {round_}) " if word == "asks" and round_ > 1 else ""
    return Told(word, "cyan", again + teller.asked(change, event))


def _awarded(teller: Teller, change: Changes, event: Event) -> Told:
    rest = f"{teller.friend(event.data)}; to call by {at(event.data['due_at'])}"
    return Told("taken by", "bright_green", rest)


def _contacted(teller: Teller, change: Changes, event: Event) -> Told:
    return Told("called by", "green", teller.friend(event.data) + teller.after(change, event))


def _scheduled(teller: Teller, change: Changes, event: Event) -> Told:
    rest = f"{at(event.data['starts_at'])} with {teller.friend(event.data)}"
    return Told("meets", "green", rest)


def _completed(teller: Teller, change: Changes, event: Event) -> Told:
    worked = change.award.protocol if change.award else None
    time = f" in {worked.minutes} min: {worked.summary}" if worked else ""
    return Told("done", "bold bright_green", f"by {teller.friend(event.data)}{time}")


def _cancelled(teller: Teller, change: Changes, event: Event) -> Told:
    fee, currency = event.data.get("fee_minor"), change.booking.price.currency
    cost = f", for {fee / 100:.2f} {currency}" if fee else ""
    return Told("cancelled", "red", event.data["reason"].replace("_", " ") + cost)


def _rated(teller: Teller, change: Changes, event: Event) -> Told:
    stars = event.data["stars"]
    return Told(
        "★" * stars + "☆" * (5 - stars), "bright_yellow", f"for {teller.friend(event.data)}"
    )


def _missed(teller: Teller, change: Changes, event: Event) -> Told:
    rest = f"{teller.friend(event.data)} did not call in twelve hours; the job leaves him"
    return Told("MISSED", "bold white on red", rest)


def _expired(teller: Teller, change: Changes, event: Event) -> Told:
    names = ", ".join(map(teller.name, event.data["friends"]))
    return Told("no answer", "bright_black", f"from {names}")


def _by_friend(word: str, colour: str, rest: str = "") -> Telling:
    def tell(teller: Teller, change: Changes, event: Event) -> Told:
        who = event.data.get("friend")
        return Told(word, colour, (teller.name(who) if who else "") + rest)

    return tell


def _because(word: str, colour: str, key: str) -> Telling:
    def tell(teller: Teller, change: Changes, event: Event) -> Told:
        value = event.data.get(key, "")
        said = ", ".join(value) if isinstance(value, list) else str(value)
        return Told(word, colour, said.replace("_", " "))

    return tell


Telling = Callable[[Teller, Changes, Event], Told]

TOLD: Final[Mapping[str, Telling]] = {
    "booking.created": _created,
    "booking.offered": _offered,
    "booking.escalated": _because("escalates", "magenta", "tier"),
    "booking.unfilled": _because("UNFILLED", "bold red", "because"),
    "booking.redispatched": _by_friend("sent again", "magenta"),
    "booking.awarded": _awarded,
    "booking.contacted": _contacted,
    "booking.scheduled": _scheduled,
    "booking.on_the_way": _by_friend("on the way", "green"),
    "booking.started": _by_friend("begun by", "green"),
    "booking.completed": _completed,
    "booking.incomplete": _by_friend("not solved", "red"),
    "booking.cancelled": _cancelled,
    "booking.rated": _rated,
    "booking.handed_back": _by_friend("given back", "yellow"),
    "offer.declined": _by_friend("declined", "yellow"),
    "offer.expired": _expired,
    "appointment.move_asked": _because("other time", "yellow", "wishes"),
    "contact.disputed": _by_friend("not called", "yellow", ", says the customer"),
    "contact.reminded": _by_friend("reminded", "yellow", ", who has not called yet"),
    "contact.missed": _missed,
}
