"""What a friend says about himself: where he starts from, how far he goes, when he sleeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from api.http.auth import AFriend, Rt
from api.http.problems import InvalidField
from api.http.routing import Direct
from api.openapi.document import problems
from api.schemas import presenters, requests, responses
from data.db import ConstraintBroken
from data.enums import FriendState
from data.markets import Language
from data.records.ids import FriendId
from data.records.people import HeldCertificate, QuietHours
from data.seed import catalogue
from dispatch.flows.people import friends, profile
from dispatch.flows.people.friends import CapacityTooLow, ProfileChange
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust.base_moves import BaseMovedLately
from dispatch.runtime import Runtime
from geo.gazetteer.addresses import AddressRefused
from geo.point import Point

router = APIRouter(prefix="/v1/me", tags=["friends"], route_class=Direct)


@router.get("/profile", summary="What you know of me", responses=problems(NotFound))
async def show_my_profile(rt: Rt, who: AFriend) -> responses.ProfileResponse:
    """All that is kept about me."""
    return await _shown(rt, who.friend_id, await friends.profile(rt, who.friend_id))


@router.patch(
    "/profile", summary="Change it", responses=problems(NotFound, InvalidField, BaseMovedLately)
)
async def change_my_profile(
    rt: Rt, who: AFriend, asked: requests.ProfileRequest
) -> responses.ProfileResponse:
    """What is left out stays; `quiet` is cleared by null. It counts from the next booking on.

    The base can be moved once in 24 hours; the problem says when again.
    """
    try:
        row = await friends.change_profile(rt, who.friend_id, _change(asked))
    except (CapacityTooLow, ConstraintBroken) as error:
        if isinstance(error, ConstraintBroken) and error.constraint != "friend_capacity":
            raise
        raise InvalidField(
            "capacity", "is less than the jobs you hold", "finish or hand back jobs first"
        ) from None
    except AddressRefused as refused:
        raise InvalidField("base", refused.problem, refused.cure) from None
    return await _shown(rt, who.friend_id, row)


def _change(asked: requests.ProfileRequest) -> ProfileChange:
    return ProfileChange(
        radius_m=asked.radius_m,
        base=Point(asked.base.lat, asked.base.lon) if asked.base else None,
        quiet=_hours(asked.quiet) if asked.quiet else None,
        clear_quiet="quiet" in asked.model_fields_set and asked.quiet is None,
        paused=asked.paused,
        languages=tuple(asked.languages) if asked.languages else None,
        capacity=asked.capacity,
    )


def _hours(asked: requests.QuietHoursUpdate) -> QuietHours:
    return QuietHours(from_minute=_minute(asked.from_), until_minute=_minute(asked.until))


def _minute(time: str) -> int:
    hour, minute = time.split(":")
    return int(hour) * 60 + int(minute)


async def _shown(
    rt: Runtime, friend_id: FriendId, row: Mapping[str, Any]
) -> responses.ProfileResponse:
    held = await profile.certificates(rt, friend_id)
    return responses.ProfileResponse(
        ref=row["ref"],
        name=row["name"],
        email=row["email"],
        phone=row["phone"],
        tier=row["tier"],
        market=row["market"],
        languages=row["languages"],
        radius_m=row["radius_m"],
        base=None if row["lat"] is None else responses.Base(lat=row["lat"], lon=row["lon"]),
        capacity=row["capacity"],
        open_jobs=row["open_jobs"],
        quiet=presenters.quiet_hours(row),
        paused=row["state"] == FriendState.PAUSED,
        certificates=[_certificate(one, Language(row["language"])) for one in held],
        rating=responses.RatingSummary(stars=row["stars"], count=row["ratings"]),
    )


def _certificate(held: HeldCertificate, language: Language) -> responses.Certificate:
    kind = catalogue.load().certificates.get(held.code)
    return responses.Certificate(
        code=held.code,
        name=kind.names[language] if kind else held.code,
        valid_until=held.valid_until,
    )
