"""The JSON about one's own account: sessions, phones and the profile of a friend."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, field_validator, model_validator

from api.schemas.base import RequestModel, ResponseModel, example
from api.schemas.fields import (
    AREAS_MAX,
    HOLIDAYS_MAX,
    SPANS_MAX,
    Capacity,
    Corner,
    Day,
    Email,
    Endpoint,
    Flag,
    Languages,
    Lat,
    LocalEnd,
    LocalTime,
    LoginCode,
    Lon,
    PasskeyName,
    Phone,
    PhoneKey,
    PhoneSecret,
    RadiusM,
    Token,
    TravelMinutes,
    invalid,
)
from data.enums import AreaKind, FriendState, OperatorRole, Tier
from data.markets import Language, Market
from data.store.phone_codes import CodeDelivery
from data.store.push_subscriptions import PhoneProblem
from data.store.sessions import Login
from dispatch.rules.people.reachability import AlarmState, Obstacle


class LoginLinkRequest(RequestModel):
    """The account to mail a login link to."""

    model_config = example({"email": "friend@example.com", "kind": "friend"})

    email: Email
    kind: Login


class PushKeys(RequestModel):
    """The public keys of a phone in base64url; only the phone can decrypt its pushes."""

    p256dh: PhoneKey
    auth: PhoneSecret


ENDPOINT_EXAMPLE = "https://fcm.googleapis.com/fcm/send/f1b0:APA91bExample"


class PhoneRequest(RequestModel):
    """A push subscription as returned by PushManager.subscribe."""

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
    """The endpoint of one of your phones."""

    model_config = example({"endpoint": ENDPOINT_EXAMPLE})

    endpoint: Endpoint


class SignOutRequest(RequestModel):
    """The endpoint of this phone, to unsubscribe it too."""

    model_config = example({"endpoint": ENDPOINT_EXAMPLE})

    endpoint: Endpoint | None = None


class SessionRequest(RequestModel):
    """The token of a login link."""

    model_config = example({"token": "A-token-from-the-mailed-link-that-works-only-once"})

    token: Token


class CodeRequest(RequestModel):
    """The secret of your request for a login link, and the code from its mail."""

    model_config = example(
        {"request": "The-request-of-the-response-to-your-request", "code": "123456"}
    )

    request: Token
    code: LoginCode


class PasskeyRequest(RequestModel):
    """What `navigator.credentials.create` returned, as JSON, and a name for it."""

    model_config = example({"name": "My laptop", "credential": {"id": "A-credential"}})

    name: PasskeyName
    credential: dict[str, Any]


class PasskeySessionRequest(RequestModel):
    """What `navigator.credentials.get` returned, as JSON."""

    model_config = example({"credential": {"id": "A-credential"}})

    credential: dict[str, Any]


class BaseUpdate(RequestModel):
    """The location of a friend's base in degrees."""

    lat: Lat
    lon: Lon


class QuietHoursUpdate(RequestModel):
    """Local times without offers; over midnight when `until` is earlier."""

    from_: LocalTime = Field(alias="from")
    until: LocalTime

    @model_validator(mode="after")
    def _check_hours(self) -> Self:
        if self.from_ == self.until:
            raise invalid("is as late as `from`", "give another time, or set `paused`", "until")
        return self


class Weekday(StrEnum):
    """A day of the week, in the order of the week."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


class DaySpanUpdate(RequestModel):
    """Local times of a day between which to be asked; over midnight when `until` is earlier."""

    day: Weekday
    from_: LocalTime = Field(alias="from")
    until: LocalEnd = Field(description="Up to 24:00.")


class HolidayUpdate(RequestModel):
    """The first and the last day of a holiday."""

    from_: Day = Field(alias="from")
    until: Day


class Outline(RequestModel):
    """A polygon in GeoJSON without holes: rings of [longitude, latitude]."""

    type: Literal["Polygon"]
    coordinates: Annotated[
        list[Annotated[list[Corner], Field(max_length=500)]], Field(min_length=1)
    ]

    @field_validator("coordinates")
    @classmethod
    def _refuse_holes(cls, rings: list[Any]) -> list[Any]:
        if len(rings) > 1:
            raise invalid("has holes", "give one ring alone")
        return rings


OF_KIND: Final = {
    AreaKind.CIRCLE: {"lat", "lon", "radius_m"},
    AreaKind.POLYGON: {"outline"},
    AreaKind.MINUTES: {"lat", "lon", "minutes"},
}


class AreaUpdate(RequestModel):
    """An area beside the base: a circle, a polygon, or minutes of travel from a place."""

    kind: AreaKind
    lat: Lat | None = None
    lon: Lon | None = None
    radius_m: RadiusM | None = None
    minutes: TravelMinutes | None = None
    outline: Outline | None = None

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        given = {name for name in AREA_PARTS if getattr(self, name) is not None}
        needed = OF_KIND[self.kind]
        for name in sorted(needed - given):
            raise invalid("is missing", f"a {self.kind} needs it", name)
        for name in sorted(given - needed):
            raise invalid(f"is no part of a {self.kind}", "leave it out", name)
        return self


AREA_PARTS: Final = ("lat", "lon", "radius_m", "minutes", "outline")
PROFILE_EXAMPLE: Final = {
    "radius_m": 8000,
    "base": {"lat": 47.3769, "lon": 8.5417},
    "quiet": {"from": "22:00", "until": "07:00"},
    "week": [{"day": "monday", "from": "08:00", "until": "12:00"}],
    "holidays": [{"from": "2026-12-24", "until": "2027-01-02"}],
    "areas": [{"kind": "circle", "lat": 47.05, "lon": 8.31, "radius_m": 5000}],
    "paused": False,
    "languages": ["de", "en"],
    "capacity": 3,
}


def _only_hours_nullable(schema: dict[str, Any]) -> None:
    """Remove null, the default of omitted fields, from all types except quiet hours and week."""
    for name, field in schema["properties"].items():
        field.pop("default", None)
        if name not in ("quiet", "week"):
            field.update(field.pop("anyOf")[0])
    schema["examples"] = [PROFILE_EXAMPLE]


class ProfileRequest(RequestModel):
    """The fields to change; omitted ones stay."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_only_hours_nullable)

    radius_m: RadiusM | None = None
    base: BaseUpdate | None = None
    quiet: QuietHoursUpdate | None = Field(None, description="Null for no quiet hours.")
    week: Annotated[list[DaySpanUpdate], Field(max_length=SPANS_MAX)] | None = Field(
        None, description="The only hours to be asked in; null for any time."
    )
    holidays: Annotated[list[HolidayUpdate], Field(max_length=HOLIDAYS_MAX)] | None = None
    areas: Annotated[list[AreaUpdate], Field(max_length=AREAS_MAX)] | None = None
    paused: Flag | None = None
    languages: Languages | None = None
    capacity: Capacity | None = None

    @field_validator(
        "radius_m", "base", "holidays", "areas", "paused", "languages", "capacity", mode="before"
    )
    @classmethod
    def _refuse_null(cls, value: Any) -> Any:
        if value is None:
            raise invalid("is null", "give a value, or omit it to keep the present one")
        return value


class LoginLinkResponse(ResponseModel):
    """The response whether or not the address is known."""

    message: str = "If this address is known, a mail with a link and a code is on its way."
    request: str = Field(description="Needed to sign in by the code.")
    expires_in_s: int = Field(description="For how many seconds such a request is of use.")


class PasskeyOptionsResponse(ResponseModel):
    """Options of WebAuthn for the browser."""

    options: dict[str, Any]


class PasskeyResponse(ResponseModel):
    """A passkey of an operator; `used_at` is null before its first use."""

    id: UUID
    name: str
    created_at: datetime
    used_at: datetime | None


class PasskeysResponse(ResponseModel):
    """The passkeys of an operator, the oldest first."""

    items: list[PasskeyResponse]


class NumberRequest(RequestModel):
    """A mobile number, with its country code or as people of your market write it."""

    model_config = example({"number": "079 000 17 39"})

    number: Phone


class NumberCodeRequest(RequestModel):
    """The code of an SMS."""

    model_config = example({"code": "271828"})

    code: LoginCode


class PendingNumber(ResponseModel):
    """A number to be confirmed by the code that was sent to it."""

    number: str
    expires_at: datetime
    tries_left: int
    delivery: CodeDelivery


class NumberResponse(ResponseModel):
    """A person's number; `confirmed_at` is null for one that is not confirmed."""

    number: str | None
    confirmed_at: datetime | None
    pending: PendingNumber | None


class PushKeyResponse(ResponseModel):
    """The public VAPID key of the server, an uncompressed point in base64url."""

    key: str


class PhoneResponse(ResponseModel):
    """A subscribed phone."""

    added_at: datetime


class PhoneTestResult(ResponseModel):
    """The result of the test for one phone; a phone with problem `gone` is removed."""

    added_at: datetime
    problem: PhoneProblem | None


class AlarmResponse(ResponseModel):
    """Whether a phone of the friend rings for new offers, as far as the friend confirmed it."""

    alarm: AlarmState


class AlarmTestResponse(ResponseModel):
    """How many phones got the push, and what prevents offers from reaching the friend."""

    rang: int
    phones: list[PhoneTestResult]
    obstacles: list[Obstacle]


class SessionCreatedResponse(ResponseModel):
    """A new session; the token is in a cookie too."""

    token: str
    kind: Login
    expires_at: datetime


class SessionResponse(ResponseModel):
    """The current session; compare `expires_at` with the server's time. `role` is an operator's."""

    kind: Login
    id: UUID
    name: str
    role: OperatorRole | None
    expires_at: datetime
    server_time: datetime


class Base(ResponseModel):
    """The location of a friend's base in degrees; null when unknown."""

    lat: float
    lon: float


class QuietHours(ResponseModel):
    """Local times between which the friend gets no offers."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    from_: str = Field(alias="from")
    until: str


class DaySpan(QuietHours):
    """Local times of a day between which the friend may be asked; 24:00 is its end."""

    day: Weekday


class Holiday(ResponseModel):
    """The first and the last day of a holiday."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    from_: date = Field(alias="from")
    until: date


class AreaOutline(ResponseModel):
    """A polygon in GeoJSON."""

    type: Literal["Polygon"] = "Polygon"
    coordinates: list[list[list[float]]]


class AreaResponse(ResponseModel):
    """An area beside the base; `outline` is what a polygon or minutes of travel cover."""

    kind: AreaKind
    lat: float | None
    lon: float | None
    radius_m: int | None
    minutes: int | None
    outline: AreaOutline | None


class Certificate(ResponseModel):
    """A certificate of a friend; `valid_until` is null without an end."""

    code: str
    name: str
    valid_until: datetime | None


class RatingSummary(ResponseModel):
    """The mean and the number of the ratings that stand; null without one."""

    stars: float | None
    count: int


class FriendExportResponse(ResponseModel):
    """Everything kept about a friend."""

    items: list[dict[str, Any]]


class ProfileResponse(ResponseModel):
    """All data about a friend that they may see; `timezone` is the IANA zone of their market."""

    ref: str
    name: str
    email: str
    phone: str | None
    tier: Tier
    market: Market
    timezone: str
    languages: list[Language]
    radius_m: int
    base: Base | None
    capacity: int
    open_jobs: int
    quiet: QuietHours | None
    week: list[DaySpan] | None
    holidays: list[Holiday]
    areas: list[AreaResponse]
    state: FriendState
    paused: bool
    certificates: list[Certificate]
    rating: RatingSummary
    alarm: AlarmState
