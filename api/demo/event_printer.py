"""Prints the events of the demo, one line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from rich.console import Console
from rich.text import Text

from api.demo.clock import HOME
from api.demo.people import short_name
from data.markets import Language
from data.records.catalogue import Catalogue
from data.records.ids import BookingId, FriendId
from data.records.jobs import Booking, Changes, Offer
from data.records.messages import Event
from dispatch.rules.trust import mailed_secrets

COLOURS: Final = ("cyan", "magenta", "blue", "green", "yellow", "bright_blue", "bright_magenta")
PLACE_WIDTH: Final = 34
WORD_WIDTH: Final = 11
BOOKINGS_MAX: Final = 5_000
KILOMETRE_M: Final = 1_000


@dataclass(frozen=True, slots=True)
class EventLine:
    """The printed form of an event: a word in a colour, and details."""

    word: str
    colour: str
    rest: str = ""


@dataclass(slots=True)
class EventPrinter:
    """Prints the events of every commit, and counts them."""

    console: Console
    catalogue: Catalogue
    names: Mapping[FriendId, str]
    secret: bytes
    counts: Counter[str] = field(default_factory=Counter)
    customers: dict[BookingId, str] = field(default_factory=dict)
    awarded: dict[BookingId, datetime] = field(default_factory=dict)
    rounds: dict[BookingId, int] = field(default_factory=dict)

    def print_changes(self, changes: Sequence[Changes]) -> None:
        """Print the events of committed changes."""
        for change in changes:
            self._remember(change)
            for event in change.events:
                self.counts[event.kind] += 1
                self.console.print(
                    self._line(change, event), no_wrap=True, overflow="ellipsis", crop=True
                )

    def print_step(self, at: datetime, who: str, word: str, rest: str) -> None:
        """Print what a person does beside bookings."""
        line = Text.assemble(
            (f"{at.astimezone(HOME):%a %H:%M:%S}  ", "dim"),
            (f"{'':4}  {_fit(who, PLACE_WIDTH)}", "bright_yellow"),
            ("  "),
            (_fit(word, WORD_WIDTH), "bold bright_yellow"),
            (f" {rest}"),
        )
        self.console.print(line, no_wrap=True, overflow="ellipsis", crop=True)

    def _remember(self, change: Changes) -> None:
        booking_id = change.booking.id
        if change.customer is not None:
            self.customers[booking_id] = short_name(change.customer.name)
        if change.award is not None and change.award_is_new:
            self.awarded[booking_id] = change.award.awarded_at
        for cache in (self.customers, self.awarded, self.rounds):
            while len(cache) > BOOKINGS_MAX:
                cache.pop(next(iter(cache)))

    def _line(self, change: Changes, event: Event) -> Text:
        line = FORMATTERS.get(event.kind, _plainly)(self, change, event)
        code = change.booking.id.hex[-4:]
        colour = COLOURS[change.booking.id.int % len(COLOURS)]
        return Text.assemble(
            (f"{event.at.astimezone(HOME):%a %H:%M:%S}  ", "dim"),
            (f"{code}  ", colour),
            (_fit(self._place(change.booking), PLACE_WIDTH), colour),
            ("  "),
            (_fit(line.word, WORD_WIDTH), f"bold {line.colour}"),
            (" " + line.rest, "" if line.colour != "bright_black" else "bright_black"),
        )

    def _place(self, booking: Booking) -> str:
        name = self.catalogue.at(booking.package, booking.package_version).texts[Language.EN].name
        where = booking.cell_label or booking.market
        width = PLACE_WIDTH - len(where) - 2
        return f"{name if len(name) <= width else name[: width - 1] + '…'}, {where}"

    def friend(self, data: Mapping[str, Any]) -> str:
        """The friend of an event."""
        return self.name(data["friend"])

    def name(self, friend_id: str) -> str:
        """The short name of a friend."""
        return self.names.get(FriendId(UUID(friend_id)), "a friend")

    def offered(self, change: Changes, event: Event) -> str:
        """The friends with new offers and their distances, nearest first."""
        offered = {offer["id"] for offer in event.data["offers"]}
        offers = [offer for offer in change.offers if str(offer.id) in offered]
        return " · ".join(map(self._offer, sorted(offers, key=lambda offer: offer.distance_m)))

    def _offer(self, offer: Offer) -> str:
        return f"{self.name(str(offer.friend_id))} {distance(offer.distance_m)}"

    def after(self, change: Changes, event: Event) -> str:
        """The time between the award and an event."""
        since = self.awarded.get(change.booking.id)
        return f" after {duration(event.at - since)}" if since else ""


def distance(metres: int) -> str:
    """A distance with its unit."""
    return f"{metres} m" if metres < KILOMETRE_M else f"{metres / KILOMETRE_M:.1f} km"


def duration(span: timedelta) -> str:
    """A duration in hours and minutes."""
    minutes = round(span.total_seconds() / 60)
    return f"{minutes // 60} h {minutes % 60:02}" if minutes >= 60 else f"{minutes} min"


def at(text: str) -> str:
    """A weekday and a time."""
    return f"{datetime.fromisoformat(text).astimezone(HOME):%a %H:%M}"


def _fit(text: str, width: int) -> str:
    return f"{text[: width - 1]}…" if len(text) > width else f"{text:<{width}}"


def _created(printer: EventPrinter, change: Changes, event: Event) -> EventLine:
    price = change.booking.price
    who = printer.customers.get(change.booking.id, "a customer")
    through = " through a partner" if change.booking.partner_id else ""
    rest = f"by {who}{through}, {price.amount / 100:.2f} {price.currency}"
    if event.data.get("unconfirmed"):
        rest += f"; code {mailed_secrets.of_booking(printer.secret, change.booking.id).code}"
    return EventLine("booked", "white", rest)


def _offered(printer: EventPrinter, change: Changes, event: Event) -> EventLine:
    round_, before = event.data["round"], printer.rounds.get(change.booking.id)
    printer.rounds[change.booking.id] = round_
    word = "asks also" if round_ == before else "asks"
    again = f"(round {round_}) " if word == "asks" and round_ > 1 else ""
    return EventLine(word, "cyan", again + printer.offered(change, event))


def _awarded(printer: EventPrinter, change: Changes, event: Event) -> EventLine:
    rest = f"{printer.friend(event.data)}; to call by {at(event.data['due_at'])}"
    return EventLine("taken by", "bright_green", rest)


def _contacted(printer: EventPrinter, change: Changes, event: Event) -> EventLine:
    return EventLine(
        "called by", "green", printer.friend(event.data) + printer.after(change, event)
    )


def _scheduled(printer: EventPrinter, change: Changes, event: Event) -> EventLine:
    rest = f"{at(event.data['starts_at'])} with {printer.friend(event.data)}"
    return EventLine("meets", "green", rest)


def _completed(printer: EventPrinter, change: Changes, event: Event) -> EventLine:
    worked = change.award.protocol if change.award else None
    time = f" in {worked.minutes} min: {worked.summary}" if worked else ""
    return EventLine("done", "bold bright_green", f"by {printer.friend(event.data)}{time}")


def _cancelled(printer: EventPrinter, change: Changes, event: Event) -> EventLine:
    fee, currency = event.data.get("fee_minor"), change.booking.price.currency
    cost = f", for {fee / 100:.2f} {currency}" if fee else ""
    return EventLine("cancelled", "red", event.data["reason"].replace("_", " ") + cost)


def _rated(printer: EventPrinter, change: Changes, event: Event) -> EventLine:
    stars = event.data["stars"]
    return EventLine(
        "★" * stars + "☆" * (5 - stars), "bright_yellow", f"for {printer.friend(event.data)}"
    )


def _missed(printer: EventPrinter, change: Changes, event: Event) -> EventLine:
    rest = f"{printer.friend(event.data)} did not call in time and lost the job"
    return EventLine("MISSED", "bold white on red", rest)


def _expired(printer: EventPrinter, change: Changes, event: Event) -> EventLine:
    names = ", ".join(map(printer.name, event.data["friends"]))
    return EventLine("no answer", "bright_black", f"from {names}")


def _with_friend(word: str, colour: str, rest: str = "") -> Formatter:
    def format_event(printer: EventPrinter, change: Changes, event: Event) -> EventLine:
        who = event.data.get("friend")
        return EventLine(word, colour, (printer.name(who) if who else "") + rest)

    return format_event


def _with_reason(word: str, colour: str, key: str) -> Formatter:
    def format_event(printer: EventPrinter, change: Changes, event: Event) -> EventLine:
        value = event.data.get(key, "")
        text = ", ".join(value) if isinstance(value, list) else str(value)
        return EventLine(word, colour, text.replace("_", " "))

    return format_event


def _plainly(printer: EventPrinter, change: Changes, event: Event) -> EventLine:
    """The kind, the friend and the numbers of an event that needs no line of its own."""
    who = event.data.get("friend")
    numbers = (f"{name} {value}" for name, value in event.data.items() if isinstance(value, int))
    word = event.kind.partition(".")[2].replace("_", " ")
    return EventLine(word, "white", " ".join(filter(None, [who and printer.name(who), *numbers])))


Formatter = Callable[[EventPrinter, Changes, Event], EventLine]

FORMATTERS: Final[Mapping[str, Formatter]] = {
    "booking.created": _created,
    "booking.offered": _offered,
    "booking.escalated": _with_reason("escalates", "magenta", "tier"),
    "booking.unfilled": _with_reason("UNFILLED", "bold red", "because"),
    "booking.redispatched": _with_friend("sent again", "magenta"),
    "booking.awarded": _awarded,
    "booking.contacted": _contacted,
    "booking.scheduled": _scheduled,
    "booking.on_the_way": _with_friend("on the way", "green"),
    "booking.started": _with_friend("started by", "green"),
    "booking.completed": _completed,
    "booking.incomplete": _with_friend("not solved", "red"),
    "booking.cancelled": _cancelled,
    "booking.rated": _rated,
    "booking.handed_back": _with_friend("given back", "yellow"),
    "offer.declined": _with_friend("declined", "yellow"),
    "offer.expired": _expired,
    "appointment.move_asked": _with_reason("other time", "yellow", "wishes"),
    "contact.disputed": _with_friend("not called", "yellow", ", says the customer"),
    "contact.answered": _with_friend("answers", "yellow", ", names a call"),
    "contact.settled": _with_friend("settled", "green", " is in contact"),
    "contact.unanswered": _with_friend("no answer", "red", " loses the job"),
    "completion.contested": _with_reason("contested", "bold red", "reason"),
    "contact.reminded": _with_friend("reminded", "yellow", ", has not called yet"),
    "contact.missed": _missed,
}
