"""What a friend says about himself: where he starts from, how far he goes, when he sleeps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    field_validator,
    model_validator,
)

from api.auth import AFriend, Rt
from api.direct import Direct
from api.fields import WHOLE, Lat, Lon, unfit
from api.openapi import problems
from api.problems import Unfit
from api.schemas import Asked, Said
from data.db import ConstraintBroken
from data.records import FriendId, FriendState, HeldCertificate, Language, Market, QuietHours, Tier
from data.seed import catalogue
from dispatch.flows import friends, profile
from dispatch.flows.friends import CapacityTooLow, ProfileChange
from dispatch.rules.bases import BaseMovedLately
from dispatch.rules.refused import NotFound
from dispatch.runtime import Runtime
from geo.places import AddressRefused
from geo.point import Point

TIME: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


def _once_each(languages: list[Language]) -> list[Language]:
    if len(set(languages)) < len(languages):
        raise unfit("names a language twice", "name each language once")
    return languages


LocalTime = Annotated[str, StringConstraints(pattern=TIME)]
RadiusM = Annotated[int, Strict(), Field(ge=500, le=100_000), WHOLE]
Capacity = Annotated[int, Strict(), Field(ge=1, le=20), WHOLE]
Languages = Annotated[
    list[Language],
    Field(min_length=1, max_length=len(Language), json_schema_extra={"uniqueItems": True}),
    AfterValidator(_once_each),
]


class BaseAsked(Asked):
    """The point a friend starts from, in degrees."""

    lat: Lat
    lon: Lon


class QuietAsked(Asked):
    """Local times between which nobody is to ask him; over midnight when `until` is earlier."""

    from_: LocalTime = Field(alias="from")
    until: LocalTime

    @model_validator(mode="after")
    def _some_hours(self) -> Self:
        if self.from_ == self.until:
            raise unfit("is as late as `from`", "give another time, or set `paused`", "until")
        return self


EXAMPLE: Final = {
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
    schema["examples"] = [EXAMPLE]


class ProfileAsked(Asked):
    """What is to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_as_taken)

    radius_m: RadiusM | None = None
    base: BaseAsked | None = None
    quiet: QuietAsked | None = Field(None, description="Null for no quiet hours.")
    paused: Annotated[bool, Strict()] | None = None
    languages: Languages | None = None
    capacity: Capacity | None = None

    @field_validator("radius_m", "base", "paused", "languages", "capacity", mode="before")
    @classmethod
    def _not_null(cls, value: Any) -> Any:
        if value is None:
            raise unfit("is null", "give a value, or leave it out to keep what is")
        return value


class Base(Said):
    """The point a friend starts from, in degrees; null when nobody knows it."""

    lat: float
    lon: float


class Quiet(Said):
    """Local times between which nobody asks him."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    from_: str = Field(alias="from")
    until: str


class Certificate(Said):
    """A kind of work he is certified for; without an end `valid_until` is null."""

    code: str
    name: str
    valid_until: datetime | None


class Stars(Said):
    """The mean of his ratings, and of how many; null before the first."""

    stars: float | None
    count: int


class Profile(Said):
    """All that is kept about a friend and that he may see."""

    ref: str
    name: str
    email: str
    phone: str | None
    tier: Tier
    market: Market
    languages: list[Language]
    radius_m: int
    base: Base | None
    capacity: int
    open_jobs: int
    quiet: Quiet | None
    paused: bool
    certificates: list[Certificate]
    rating: Stars


router = APIRouter(prefix="/v1/me", tags=["friends"], route_class=Direct)


@router.get("/profile", summary="What you know of me", responses=problems(NotFound))
async def show_my_profile(rt: Rt, who: AFriend) -> Profile:
    """All that is kept about me."""
    return await _shown(rt, who.friend_id, await friends.profile(rt, who.friend_id))


@router.patch("/profile", summary="Change it", responses=problems(NotFound, Unfit, BaseMovedLately))
async def change_my_profile(rt: Rt, who: AFriend, asked: ProfileAsked) -> Profile:
    """What is left out stays; `quiet` is cleared by null. It counts from the next booking on.

    The base can be moved once in 24 hours; the problem says when again.
    """
    try:
        row = await friends.change_profile(rt, who.friend_id, _change(asked))
    except (CapacityTooLow, ConstraintBroken) as error:
        if isinstance(error, ConstraintBroken) and error.constraint != "friend_capacity":
            raise
        raise Unfit(
            "capacity", "is less than the jobs you hold", "finish or hand back jobs first"
        ) from None
    except AddressRefused as refused:
        raise Unfit("base", refused.problem, refused.cure) from None
    return await _shown(rt, who.friend_id, row)


def _change(asked: ProfileAsked) -> ProfileChange:
    return ProfileChange(
        radius_m=asked.radius_m,
        base=Point(asked.base.lat, asked.base.lon) if asked.base else None,
        quiet=_hours(asked.quiet) if asked.quiet else None,
        clear_quiet="quiet" in asked.model_fields_set and asked.quiet is None,
        paused=asked.paused,
        languages=tuple(asked.languages) if asked.languages else None,
        capacity=asked.capacity,
    )


def _hours(asked: QuietAsked) -> QuietHours:
    return QuietHours(from_minute=_minute(asked.from_), until_minute=_minute(asked.until))


def _minute(time: str) -> int:
    hour, minute = time.split(":")
    return int(hour) * 60 + int(minute)


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def quiet_said(row: Mapping[str, Any]) -> Quiet | None:
    """Quiet hours from the row of a friend."""
    if row["quiet_from"] is None:
        return None
    hours = {"from": _time(row["quiet_from"]), "until": _time(row["quiet_until"])}
    return Quiet.model_validate(hours)


async def _shown(rt: Runtime, friend_id: FriendId, row: Mapping[str, Any]) -> Profile:
    held = await profile.certificates(rt, friend_id)
    return Profile(
        ref=row["ref"],
        name=row["name"],
        email=row["email"],
        phone=row["phone"],
        tier=row["tier"],
        market=row["market"],
        languages=row["languages"],
        radius_m=row["radius_m"],
        base=None if row["lat"] is None else Base(lat=row["lat"], lon=row["lon"]),
        capacity=row["capacity"],
        open_jobs=row["open_jobs"],
        quiet=quiet_said(row),
        paused=row["state"] == FriendState.PAUSED,
        certificates=[_certificate(one, Language(row["language"])) for one in held],
        rating=Stars(stars=row["stars"], count=row["ratings"]),
    )


def _certificate(held: HeldCertificate, language: Language) -> Certificate:
    kind = catalogue.load().certificates.get(held.code)
    return Certificate(
        code=held.code,
        name=kind.names[language] if kind else held.code,
        valid_until=held.valid_until,
    )
