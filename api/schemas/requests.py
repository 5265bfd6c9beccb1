"""What is asked: the JSON of every request."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from api.schemas.fields import (
    POINTS_MAX,
    Capacity,
    City,
    Code,
    Comment,
    DelayMinutes,
    Email,
    Endpoint,
    FeeMax,
    Flag,
    Languages,
    Lat,
    LocalTime,
    Lon,
    Minutes,
    Moment,
    Name,
    Notes,
    OptionalLine,
    Phone,
    PhoneKey,
    PhoneSecret,
    Postcode,
    RadiusM,
    Reason,
    ShortNote,
    Side,
    Stars,
    Strokes,
    Summary,
    Token,
    Wishes,
    Word,
    e164,
    invalid,
)
from api.schemas.responses import RequestModel, example
from data.enums import FriendState
from data.markets import Language, Market
from data.store.sessions import Login
from dispatch.flows.people.friend_import import ENDINGS
from dispatch.rules.jobs.reasons import HandBackReason
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
    def _both_or_neither(self) -> Self:
        if (self.lat is None) != (self.lon is None):
            missing = "lat" if self.lat is None else "lon"
            raise invalid("is missing beside the other coordinate", "give both or neither", missing)
        return self


class Address(_Place):
    """Where the friend is to come; a point given with it is taken as it is."""

    street: Name
    postcode: Postcode
    city: City
    country: Market

    def located(self) -> tuple[geocode.Address, Point | None]:
        """The address, and the point given with it."""
        address = geocode.Address(
            street=self.street, postcode=self.postcode, city=self.city, country=self.country
        )
        if self.lat is None or self.lon is None:
            return address, None
        return address, Point(self.lat, self.lon)


class QuoteAddress(Address):
    """Where help is wanted; a point given with it is taken as it is."""

    street: OptionalLine = ""


class BookingCustomer(RequestModel):
    """Who books."""

    name: Name
    email: Email
    phone: Phone
    language: Language


class QuoteRequest(RequestModel):
    """For which package and place a price is wanted."""

    model_config = example({"package": "wifi-setup", "address": ADDRESS_EXAMPLE})

    package: Code
    address: QuoteAddress


class BookingRequest(RequestModel):
    """A booking: one package, one person, one place."""

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

    @model_validator(mode="after")
    def _telephone(self) -> Self:
        self.customer.phone = e164(self.customer.phone, self.address.country)
        return self


class CancelRequest(RequestModel):
    """Why a booking ends."""

    model_config = example({"reason": "changed_mind"})

    reason: Reason = Field(
        "other",
        description="`changed_mind`, `solved`, `too_long`, `mistake` or `other`; any other words "
        "count as `other` and are not kept, so that no event tells who somebody is.",
    )
    fee_minor_max: FeeMax = Field(
        0, description="The fee the customer was shown, in minor units; more is refused."
    )


class MoveRequest(RequestModel):
    """Which other time would suit the customer; the note is for her friend."""

    model_config = example({"wishes": ["evening"], "note": "After six, please."})

    wishes: Wishes
    note: ShortNote | None = None


class AppointmentRequest(RequestModel):
    """When the friend comes; without an end it lasts as long as the package says."""

    model_config = example({"starts_at": "2026-03-03T14:00:00Z", "ends_at": "2026-03-03T15:00:00Z"})

    starts_at: Moment
    ends_at: Moment | None = None


class DelayRequest(RequestModel):
    """By how many minutes the friend is late for the appointment."""

    model_config = example({"minutes": 20})

    minutes: DelayMinutes


class Signature(RequestModel):
    """A signature as it was drawn: strokes of x, y, x, y, … within a box of this size."""

    width: Side
    height: Side
    strokes: Strokes

    @model_validator(mode="after")
    def _within(self) -> Self:
        if sum(map(len, self.strokes)) > 2 * POINTS_MAX:
            raise invalid(f"has more than {POINTS_MAX} points", "leave points out", "strokes")
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
    """What was done, and the customer's signature if she could sign."""

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
        "other words are kept with the summary and count as `other`.",
    )
    summary: Summary | None = None


class HandBackRequest(RequestModel):
    """Why the job goes back; the note is for the desk."""

    model_config = example({"reason": "no_time", "note": "I am ill."})

    reason: HandBackReason
    note: Summary | None = None


class RatingRequest(RequestModel):
    """One to five stars."""

    model_config = example({"stars": 5, "comment": "Quick and kind."})

    stars: Stars
    comment: Comment | None = None


class AwardRequest(RequestModel):
    """Who gets the job: the friend's id or his `ref`."""

    model_config = example({"friend": "zh-001"})

    friend: Word


class LoginLinkRequest(RequestModel):
    """Whose login link is to be mailed."""

    model_config = example({"email": "friend@example.com", "kind": "friend"})

    email: Email
    kind: Login


class PushKeys(RequestModel):
    """The keys of a phone, in base64url: only it can read what is sealed with them."""

    p256dh: PhoneKey
    auth: PhoneSecret


ENDPOINT_EXAMPLE = "https://fcm.googleapis.com/fcm/send/f1b0:APA91bExample"


class PhoneRequest(RequestModel):
    """A phone to be rung, as PushManager.subscribe describes it."""

    model_config = example(
        {
            "endpoint": ENDPOINT_EXAMPLE,
            "keys": {
                "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcx"
                "aOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
                "auth": "BTBZMqHH6r4Tts7J_aSIgg",
            },
        }
    )

    endpoint: Endpoint
    keys: PushKeys


class RemovePhoneRequest(RequestModel):
    """A phone of yours."""

    model_config = example({"endpoint": ENDPOINT_EXAMPLE})

    endpoint: Endpoint


class SignOutRequest(RequestModel):
    """What else ends with a session: this phone's ringing."""

    model_config = example({"endpoint": ENDPOINT_EXAMPLE})

    endpoint: Endpoint | None = None


class SessionRequest(RequestModel):
    """The token of a login link."""

    model_config = example({"token": "A-token-from-the-mailed-link-that-works-only-once"})

    token: Token


class NoteRequest(RequestModel):
    """What is to be noted down."""

    model_config = example({"text": "She asks to be called after six."})

    text: Summary


class FriendStateRequest(RequestModel):
    """How a friend shall stand from now on; the reason is kept among the notes about him."""

    model_config = example({"state": "paused", "reason": "On holiday until August."})

    state: FriendState
    reason: Reason | None = None


def _known_ending(filename: str) -> str:
    if PurePath(filename).suffix.lower() not in ENDINGS:
        raise invalid("is not the name of a CSV or GeoJSON file", "let it end in .csv or .geojson")
    return filename


class ImportRequest(RequestModel):
    """A file of friends; a dry run says what would be, and changes nothing."""

    model_config = example(
        {
            "filename": "friends.csv",
            "content": "ref,name,email,phone,radius_km,languages,lat,lon\n"
            "zh-900,Bea Beispiel,bea@example.org,+41 44 000 17 39,8,de;en,47.37,8.54\n",
            "dry_run": True,
        }
    )

    filename: Annotated[Word, AfterValidator(_known_ending)]
    content: Annotated[str, StringConstraints(min_length=1, max_length=FILE_MAX)]
    dry_run: Flag = False
    skip_bad: Flag = Field(False, description="Take in the good rows and leave out the bad ones.")


FILE_MAX: Final = 5_000_000


class PartnerRequest(RequestModel):
    """Who is to be a partner; `members_only` asks only the friends of his community."""

    model_config = example({"name": "Elektro Muster", "members_only": False})

    name: Name
    members_only: Flag = False


class BaseUpdate(RequestModel):
    """The point a friend starts from, in degrees."""

    lat: Lat
    lon: Lon


class QuietHoursUpdate(RequestModel):
    """Local times between which nobody is to ask him; over midnight when `until` is earlier."""

    from_: LocalTime = Field(alias="from")
    until: LocalTime

    @model_validator(mode="after")
    def _some_hours(self) -> Self:
        if self.from_ == self.until:
            raise invalid("is as late as `from`", "give another time, or set `paused`", "until")
        return self


PROFILE_EXAMPLE: Final = {
    "radius_m": 8000,
    "base": {"lat": 47.3769, "lon": 8.5417},
    "quiet": {"from": "22:00", "until": "07:00"},
    "paused": False,
    "languages": ["de", "en"],
    "capacity": 3,
}


def _as_taken(schema: dict[str, Any]) -> None:
    """Null, which stands for what is left out, is taken for quiet hours alone."""
    for name, field in schema["properties"].items():
        field.pop("default", None)
        if name != "quiet":
            field.update(field.pop("anyOf")[0])
    schema["examples"] = [PROFILE_EXAMPLE]


class ProfileRequest(RequestModel):
    """What is to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_as_taken)

    radius_m: RadiusM | None = None
    base: BaseUpdate | None = None
    quiet: QuietHoursUpdate | None = Field(None, description="Null for no quiet hours.")
    paused: Flag | None = None
    languages: Languages | None = None
    capacity: Capacity | None = None

    @field_validator("radius_m", "base", "paused", "languages", "capacity", mode="before")
    @classmethod
    def _not_null(cls, value: Any) -> Any:
        if value is None:
            raise invalid("is null", "give a value, or leave it out to keep what is")
        return value
