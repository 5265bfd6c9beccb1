"""What is asked: the JSON of every request."""

from __future__ import annotations

from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import Field, model_validator

from api.fields import (
    POINTS_MAX,
    City,
    Code,
    Comment,
    Email,
    Endpoint,
    FeeMax,
    Lat,
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
    unfit,
)
from api.schemas import Asked, example
from data.records import Language, Market
from data.store.sessions import Login

BAHNHOFSTRASSE = {
    "street": "Bahnhofstrasse 1",
    "postcode": "8001",
    "city": "Zürich",
    "country": "CH",
}
ANNA = {
    "name": "Anna Muster",
    "email": "anna.muster@example.com",
    "phone": "+41 44 000 17 39",
    "language": "de",
}


class _Place(Asked):
    lat: Lat | None = None
    lon: Lon | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.lat is None) != (self.lon is None):
            missing = "lat" if self.lat is None else "lon"
            raise unfit("is missing beside the other coordinate", "give both or neither", missing)
        return self


class QuoteAddress(_Place):
    """Where help is wanted; a point given with it is taken as it is."""

    street: OptionalLine = ""
    postcode: Postcode
    city: City
    country: Market


class Address(_Place):
    """Where the friend is to come; a point given with it is taken as it is."""

    street: Name
    postcode: Postcode
    city: City
    country: Market


class CustomerAsked(Asked):
    """Who books."""

    name: Name
    email: Email
    phone: Phone
    language: Language


class QuoteAsked(Asked):
    """For which package and place a price is wanted."""

    model_config = example({"package": "wifi-setup", "address": BAHNHOFSTRASSE})

    package: Code
    address: QuoteAddress


class BookingAsked(Asked):
    """A booking: one package, one person, one place."""

    model_config = example(
        {
            "package": "wifi-setup",
            "customer": ANNA,
            "address": BAHNHOFSTRASSE,
            "notes": "Ring twice, second floor.",
            "wishes": ["soon", "evening"],
        }
    )

    package: Code
    customer: CustomerAsked
    address: Address
    notes: Notes | None = None
    wishes: Wishes = Field(default_factory=list)
    partner_reference: Name | None = None
    quote_id: UUID | None = None

    @model_validator(mode="after")
    def _telephone(self) -> Self:
        self.customer.phone = e164(self.customer.phone, self.address.country)
        return self


class CancelAsked(Asked):
    """Why a booking ends."""

    model_config = example({"reason": "changed_mind"})

    reason: Reason = Field(
        "other",
        description="`changed_mind`, `solved`, `too_long`, `mistake` or `other`; any other words "
        "count as `other` and are not kept, so that no event tells who somebody is.",
    )
    fee_minor_max: FeeMax | None = Field(
        None, description="The fee the customer was shown, in minor units; more is refused."
    )


class MoveAsked(Asked):
    """Which other time would suit the customer; the note is for her friend."""

    model_config = example({"wishes": ["evening"], "note": "After six, please."})

    wishes: Wishes
    note: ShortNote | None = None


CANCEL_REASONS = frozenset({"changed_mind", "solved", "too_long", "mistake"})
INCOMPLETE_REASONS = frozenset({"not_solvable", "parts_missing", "nobody_there", "needs_pro"})


class AppointmentAsked(Asked):
    """When the friend comes; without an end it lasts as long as the package says."""

    model_config = example({"starts_at": "2026-03-03T14:00:00Z", "ends_at": "2026-03-03T15:00:00Z"})

    starts_at: Moment
    ends_at: Moment | None = None


class SignatureAsked(Asked):
    """A signature as it was drawn: strokes of x, y, x, y, … within a box of this size."""

    width: Side
    height: Side
    strokes: Strokes

    @model_validator(mode="after")
    def _within(self) -> Self:
        if sum(map(len, self.strokes)) > 2 * POINTS_MAX:
            raise unfit(f"has more than {POINTS_MAX} points", "leave points out", "strokes")
        for number, stroke in enumerate(self.strokes):
            outside = max(stroke[::2]) > self.width or max(stroke[1::2]) > self.height
            if len(stroke) % 2 or outside:
                raise unfit(
                    "is not pairs of x and y within the box",
                    "give x up to the width and y up to the height",
                    f"strokes.{number}",
                )
        return self


class ProtocolAsked(Asked):
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
    signature: SignatureAsked | None = None


class IncompleteAsked(Asked):
    """Why the problem is not solved."""

    model_config = example({"reason": "parts_missing", "summary": "The cable is broken."})

    reason: Reason = Field(
        description="`not_solvable`, `parts_missing`, `nobody_there`, `needs_pro` or `other`; any "
        "other words are kept with the summary and count as `other`.",
    )
    summary: Summary | None = None


class HandBackReason(StrEnum):
    """Why a friend gives a job back."""

    CANNOT_HELP = "cannot_help"
    CUSTOMER_UNREACHABLE = "customer_unreachable"
    NO_TIME = "no_time"
    OTHER = "other"


class HandBackAsked(Asked):
    """Why the job goes back; the note is for the desk."""

    model_config = example({"reason": "no_time", "note": "I am ill."})

    reason: HandBackReason
    note: Summary | None = None


class RatingAsked(Asked):
    """One to five stars."""

    model_config = example({"stars": 5, "comment": "Quick and kind."})

    stars: Stars
    comment: Comment | None = None


class AwardAsked(Asked):
    """Who gets the job: the friend's id or his `ref`."""

    model_config = example({"friend": "zh-001"})

    friend: Word


class LoginLinkAsked(Asked):
    """Whose login link is to be mailed."""

    model_config = example({"email": "friend@example.com", "kind": "friend"})

    email: Email
    kind: Login


class PhoneKeys(Asked):
    """The keys of a phone, in base64url: only it can read what is sealed with them."""

    p256dh: PhoneKey
    auth: PhoneSecret


PHONE = "https://fcm.googleapis.com/fcm/send/f1b0:APA91bExample"


class PhoneAsked(Asked):
    """A phone to be rung, as PushManager.subscribe describes it."""

    model_config = example(
        {
            "endpoint": PHONE,
            "keys": {
                "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcx"
                "aOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
                "auth": "BTBZMqHH6r4Tts7J_aSIgg",
            },
        }
    )

    endpoint: Endpoint
    keys: PhoneKeys


class PhoneNamed(Asked):
    """A phone of yours."""

    model_config = example({"endpoint": PHONE})

    endpoint: Endpoint


class SignOutAsked(Asked):
    """What else ends with a session: this phone's ringing."""

    model_config = example({"endpoint": PHONE})

    endpoint: Endpoint | None = None


class SessionAsked(Asked):
    """The token of a login link."""

    model_config = example({"token": "A-token-from-the-mailed-link-that-works-only-once"})

    token: Token
