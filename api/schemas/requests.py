"""The JSON of requests about bookings and jobs, and of requests by the desk."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Final, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    Field,
    Strict,
    StringConstraints,
    model_validator,
)

from api.schemas.base import RequestModel, example
from api.schemas.fields import (
    POINTS_MAX,
    WHOLE,
    Capacity,
    City,
    Code,
    Comment,
    DayLimit,
    Email,
    FeeMax,
    Flag,
    Lat,
    Lon,
    Minutes,
    Moment,
    Name,
    Notes,
    OptionalLine,
    PersonName,
    PersonWord,
    Phone,
    Postcode,
    RadiusM,
    Reason,
    ShortNote,
    Side,
    Stars,
    Strokes,
    Summary,
    ThreadText,
    Wishes,
    Word,
    e164,
    invalid,
)
from data.enums import FriendState
from data.markets import Language, Market
from dispatch.flows.people.friend_import import ENDINGS
from dispatch.rules.jobs.reasons import ContestReason, HandBackReason
from geo import geocode
from geo.point import Point

ADDRESS_EXAMPLE = {
    "street": "Bahnhofstrasse 1",
    "postcode": "8001",
    "city": "Zürich",
    "country": "CH",
}
CUSTOMER_EXAMPLE = {
    "name": "Anna Muster",
    "email": "anna.muster@example.com",
    "phone": "+41 44 000 17 39",
    "language": "de",
}


class _Place(RequestModel):
    lat: Lat | None = None
    lon: Lon | None = None

    @model_validator(mode="after")
    def _check_coordinates(self) -> Self:
        if (self.lat is None) != (self.lon is None):
            missing = "lat" if self.lat is None else "lon"
            raise invalid(
                "is missing while the other coordinate is given", "give both or neither", missing
            )
        return self


class Address(_Place):
    """The address of the visit; given coordinates are taken as they are."""

    street: Name
    postcode: Postcode
    city: City
    country: Market

    def to_geocode(self) -> tuple[geocode.Address, Point | None]:
        """The address to geocode, and the given point, if any."""
        address = geocode.Address(
            street=self.street, postcode=self.postcode, city=self.city, country=self.country
        )
        if self.lat is None or self.lon is None:
            return address, None
        return address, Point(self.lat, self.lon)


class QuoteAddress(Address):
    """Where help is wanted; given coordinates are taken as they are."""

    street: OptionalLine = ""


class BookingCustomer(RequestModel):
    """The customer who books."""

    name: PersonName
    email: Email
    phone: Phone
    language: Language


class QuoteRequest(RequestModel):
    """The package and place to quote."""

    model_config = example({"package": "wifi-setup", "address": ADDRESS_EXAMPLE})

    package: Code
    address: QuoteAddress


class BookingRequest(RequestModel):
    """A booking: one package, one customer, one address.

    `ask_first` is a completed booking of the same customer: its friend is asked first, and alone.
    """

    model_config = example(
        {
            "package": "wifi-setup",
            "customer": CUSTOMER_EXAMPLE,
            "address": ADDRESS_EXAMPLE,
            "notes": "Ring twice, second floor.",
            "wishes": ["soon", "evening"],
        }
    )

    package: Code
    customer: BookingCustomer
    address: Address
    notes: Notes | None = None
    wishes: Wishes = Field(default_factory=list)
    partner_reference: Name | None = None
    quote_id: UUID | None = None
    ask_first: UUID | None = None

    @model_validator(mode="after")
    def _format_phone(self) -> Self:
        self.customer.phone = e164(self.customer.phone, self.address.country)
        return self


class ConfirmRequest(RequestModel):
    """The code of the letter: six digits, or what its link carries."""

    model_config = example({"code": "271828"})

    code: Word


class CancelRequest(RequestModel):
    """The reason of a cancellation."""

    model_config = example({"reason": "changed_mind"})

    reason: Reason = Field(
        "other",
        description="`changed_mind`, `solved`, `too_long`, `mistake` or `other`; any other text "
        "counts as `other` and is not stored, so that events hold no personal data.",
    )
    fee_minor_max: FeeMax = Field(
        0, description="The highest accepted fee in minor units; a higher one is refused."
    )


class MoveRequest(RequestModel):
    """The preferred other times; the note is for the friend."""

    model_config = example({"wishes": ["evening"], "note": "After six, please."})

    wishes: Wishes
    note: ShortNote | None = None


class AppointmentRequest(RequestModel):
    """The agreed time; without an end the package's duration applies."""

    model_config = example({"starts_at": "2026-03-03T14:00:00Z", "ends_at": "2026-03-03T15:00:00Z"})

    starts_at: Moment
    ends_at: Moment | None = None


class EvidenceRequest(RequestModel):
    """When the friend called the customer, as the telephone's list of calls says.

    Without it the messages that the customer has read or answered are the evidence.
    """

    model_config = example({"called_at": "2026-03-02T10:00:00Z"})

    called_at: Moment | None = None


class MessageRequest(RequestModel):
    """A message; plain text, in which lines may end."""

    model_config = example({"text": "May I come at six?"})

    text: ThreadText


class ReadRequest(RequestModel):
    """Up to which message the thread was read."""

    model_config = example({"up_to": 3})

    up_to: Annotated[int, Strict(), Field(ge=0, le=2**31 - 1), WHOLE]


class DelayRequest(RequestModel):
    """By how many minutes the friend is late for the appointment."""

    model_config = example({"minutes": 20})

    minutes: Annotated[int, Strict(), Field(ge=5, le=240), WHOLE]


class Signature(RequestModel):
    """A drawn signature: strokes of x, y, x, y, … within a box of this size."""

    width: Side
    height: Side
    strokes: Strokes

    @model_validator(mode="after")
    def _check_strokes(self) -> Self:
        if sum(map(len, self.strokes)) > 2 * POINTS_MAX:
            raise invalid(f"has more than {POINTS_MAX} points", "send fewer points", "strokes")
        for number, stroke in enumerate(self.strokes):
            outside = max(stroke[::2]) > self.width or max(stroke[1::2]) > self.height
            if len(stroke) % 2 or outside:
                raise invalid(
                    "is not pairs of x and y within the box",
                    "give x up to the width and y up to the height",
                    f"strokes.{number}",
                )
        return self


class CompleteRequest(RequestModel):
    """What was done, and the customer's signature if available."""

    model_config = example(
        {
            "summary": "Router connected, four devices online.",
            "minutes": 50,
            "signature": {"width": 600, "height": 200, "strokes": [[40, 120, 90, 60, 140, 130]]},
        }
    )

    summary: Summary
    minutes: Minutes
    signature: Signature | None = None


class IncompleteRequest(RequestModel):
    """Why the problem is not solved."""

    model_config = example({"reason": "parts_missing", "summary": "The cable is broken."})

    reason: Reason = Field(
        description="`not_solvable`, `parts_missing`, `nobody_there`, `needs_pro` or `other`; any "
        "other text counts as `other` and is stored with the summary.",
    )
    summary: Summary | None = None


class HandBackRequest(RequestModel):
    """Why the job is handed back; the note is for the desk."""

    model_config = example({"reason": "no_time", "note": "I am ill."})

    reason: HandBackReason
    note: Summary | None = None


class ContestRequest(RequestModel):
    """Why the job is not done."""

    model_config = example({"reason": "nobody_came"})

    reason: ContestReason


class RatingRequest(RequestModel):
    """A rating of one to five stars."""

    model_config = example({"stars": 5, "comment": "Quick and kind."})

    stars: Stars
    comment: Comment | None = None


class RedispatchRequest(RequestModel):
    """Whether only pros can do the job; null leaves it as it is."""

    model_config = example({"needs_pro": True})

    needs_pro: Flag | None = None


class AwardRequest(RequestModel):
    """The awarded friend, by id or `ref`."""

    model_config = example({"friend": "zh-001"})

    friend: Word


class NoteRequest(RequestModel):
    """The text of a note."""

    model_config = example({"text": "Please call after six."})

    text: Summary


class PersonRequest(RequestModel):
    """Whose data: an e-mail address, the id of a booking or friend, or a friend's `ref`."""

    model_config = example({"person": "anna.muster@example.com"})

    person: PersonWord


class FriendStateRequest(RequestModel):
    """The new state of a friend; the reason is kept as a note."""

    model_config = example({"state": "paused", "reason": "On holiday until August."})

    state: Literal[FriendState.ACTIVE, FriendState.PAUSED, FriendState.SUSPENDED]
    reason: Reason | None = None


class FriendLimitsRequest(RequestModel):
    """What one friend may do in 24 hours and set in the profile; null is what the policy allows."""

    model_config = example(
        {
            "jobs_per_day": 40,
            "hand_backs_per_day": 8,
            "capacity_max": 12,
            "radius_max_m": 60_000,
        }
    )

    jobs_per_day: DayLimit | None
    hand_backs_per_day: DayLimit | None
    capacity_max: Capacity | None
    radius_max_m: RadiusM | None


def _check_extension(filename: str) -> str:
    if PurePath(filename).suffix.lower() not in ENDINGS:
        raise invalid(
            "is not the name of a CSV or GeoJSON file", "use a name that ends in .csv or .geojson"
        )
    return filename


class ImportRequest(RequestModel):
    """A file of friends, at most 20,000 rows; a dry run reports its effect and changes nothing."""

    model_config = example(
        {
            "filename": "friends.csv",
            "content": "ref,name,email,phone,radius_km,languages,lat,lon\n"
            "zh-900,Bea Beispiel,bea@example.org,+41 44 000 17 39,8,de;en,47.37,8.54\n",
            "dry_run": True,
        }
    )

    filename: Annotated[Word, AfterValidator(_check_extension)]
    content: Annotated[str, StringConstraints(min_length=1, max_length=FILE_MAX)]
    dry_run: Flag = False
    skip_bad: Flag = Field(False, description="Import the good rows and skip the bad ones.")


FILE_MAX: Final = 5_000_000


class PartnerRequest(RequestModel):
    """A new partner; with `members_only`, only friends of the partner's community get offers."""

    model_config = example({"name": "Elektro Muster", "members_only": False})

    name: PersonName
    members_only: Flag = False
