"""A friend's own profile: base, radius, quiet hours, plan, languages, capacity."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from fastapi import APIRouter

from api.http.auth import CurrentFriend, Rt
from api.http.languages import AcceptLanguage, preferred_language
from api.http.problems import InvalidField
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import people as people_schemas
from api.schemas import presenters
from data.db import ConstraintViolation
from data.enums import FriendState
from data.markets import MARKETS, Language, Market
from data.records.ids import FriendId
from data.records.people import Area, HeldCertificate, QuietHours
from data.seed import catalogue
from dispatch.flows.people import friends, profile
from dispatch.flows.people.areas import AreaInvalid
from dispatch.flows.people.friends import CapacityTooLow, ProfileChange
from dispatch.rules.people.applications import ApplicationUndecided
from dispatch.rules.people.weekly_plan import DaySpan, Holiday, PlanInvalid
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust.base_moves import BaseMovedLately
from dispatch.rules.trust.limits import BeyondLimit, PausedByAlarm
from dispatch.runtime import Runtime
from geo.gazetteer.addresses import AddressRefused
from geo.point import Point

router = APIRouter(prefix="/v1/me", tags=["friends"], route_class=CompiledRoute)


@router.get("/profile", summary="Get my profile", responses=problems(NotFound))
async def show_my_profile(
    rt: Rt, caller: CurrentFriend, accept_language: AcceptLanguage = None
) -> people_schemas.ProfileResponse:
    """All data stored about this friend; certificates are named in the requested language."""
    row = await friends.profile(rt, caller.friend_id)
    return await _present_profile(rt, caller.friend_id, row, accept_language)


@router.patch(
    "/profile",
    summary="Change my profile",
    responses=problems(
        NotFound, InvalidField, BaseMovedLately, PausedByAlarm, ApplicationUndecided
    ),
)
async def change_my_profile(
    rt: Rt,
    caller: CurrentFriend,
    body: people_schemas.ProfileRequest,
    accept_language: AcceptLanguage = None,
) -> people_schemas.ProfileResponse:
    """Change the given fields; null clears `quiet` and `week`. Effective from the next booking on.

    The base can be moved, or areas be added, once in 24 hours; the problem says when
    the next move is possible.
    Capacity and radius go up to what the desk allows.
    """
    try:
        row = await friends.change_profile(rt, caller.friend_id, _change(body))
    except (CapacityTooLow, ConstraintViolation) as error:
        if isinstance(error, ConstraintViolation) and error.constraint != "friend_capacity":
            raise
        raise InvalidField(
            "capacity", "is less than the jobs you hold", "finish or hand back jobs first"
        ) from None
    except BeyondLimit as beyond:
        raise InvalidField(
            beyond.name,
            "is more than the desk allows you",
            f"send {beyond.most} at most, or ask the desk for more",
        ) from None
    except (PlanInvalid, AreaInvalid) as wrong:
        raise InvalidField(wrong.name, wrong.problem, wrong.cure) from None
    except AddressRefused as refused:
        raise InvalidField("base", refused.problem, refused.cure) from None
    return await _present_profile(rt, caller.friend_id, row, accept_language)


def _change(body: people_schemas.ProfileRequest) -> ProfileChange:
    return ProfileChange(
        radius_m=body.radius_m,
        base=Point(body.base.lat, body.base.lon) if body.base else None,
        quiet=_quiet_hours(body.quiet) if body.quiet else None,
        clear_quiet="quiet" in body.model_fields_set and body.quiet is None,
        week=None if body.week is None else [_day_span(one) for one in body.week],
        clear_week="week" in body.model_fields_set and body.week is None,
        holidays=None if body.holidays is None else [_holiday(one) for one in body.holidays],
        areas=None if body.areas is None else [_area(one) for one in body.areas],
        paused=body.paused,
        languages=tuple(body.languages) if body.languages else None,
        capacity=body.capacity,
    )


def _quiet_hours(body: people_schemas.QuietHoursUpdate) -> QuietHours:
    return QuietHours(from_minute=_minute(body.from_), until_minute=_minute(body.until))


def _day_span(body: people_schemas.DaySpanUpdate) -> DaySpan:
    day = list(people_schemas.Weekday).index(body.day)
    return DaySpan(day, _minute(body.from_), _minute(body.until))


def _holiday(body: people_schemas.HolidayUpdate) -> Holiday:
    return Holiday(date.fromisoformat(body.from_), date.fromisoformat(body.until))


def _area(body: people_schemas.AreaUpdate) -> Area:
    outline = body.outline.coordinates[0] if body.outline else []
    return Area(
        kind=body.kind,
        lat=body.lat or 0.0,
        lon=body.lon or 0.0,
        radius_m=body.radius_m or 0,
        minutes=body.minutes or 0,
        ring=tuple((lon, lat) for lon, lat in outline),
    )


def _minute(time: str) -> int:
    hour, minute = time.split(":")
    return int(hour) * 60 + int(minute)


async def _present_profile(
    rt: Runtime, friend_id: FriendId, row: Mapping[str, Any], accept_language: str | None
) -> people_schemas.ProfileResponse:
    held, alarm = await profile.parts(rt, friend_id)
    language = preferred_language(accept_language) or Language(row["language"])
    return people_schemas.ProfileResponse(
        ref=row["ref"],
        name=row["name"],
        email=row["email"],
        phone=row["phone"],
        tier=row["tier"],
        market=row["market"],
        timezone=MARKETS[Market(row["market"])].timezone,
        languages=row["languages"],
        radius_m=row["radius_m"],
        base=None if row["lat"] is None else people_schemas.Base(lat=row["lat"], lon=row["lon"]),
        capacity=row["capacity"],
        open_jobs=row["open_jobs"],
        quiet=presenters.present_quiet_hours(row),
        **presenters.present_plan(row),
        state=row["state"],
        paused=row["state"] == FriendState.PAUSED,
        certificates=[_certificate(one, language) for one in held],
        rating=people_schemas.RatingSummary(stars=row["stars"], count=row["ratings"]),
        alarm=alarm,
    )


def _certificate(held: HeldCertificate, language: Language) -> people_schemas.Certificate:
    kind = catalogue.load().certificates.get(held.code)
    return people_schemas.Certificate(
        code=held.code,
        name=kind.names[language] if kind else held.code,
        valid_until=held.valid_until,
    )
