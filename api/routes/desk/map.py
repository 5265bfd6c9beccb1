"""The desk's map: everybody's place at once, in columns, packed."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Response
from pydantic_core import to_json

from api.http.auth import AnOperator, Rt, actor
from api.http.routing import Direct
from api.schemas import desk as desk_schemas
from data.enums import FriendState, Tier
from data.records.people import Friend
from dispatch.flows import desk
from dispatch.rules.jobs import matching
from dispatch.rules.policy import Policy

PACKED: Final = 1
DIGITS: Final = 5
"""Of a degree: about a metre."""


# Members of an enumeration take longer to write than all the rest.
BUSY: Final = desk_schemas.MapState.BUSY.value
STATES: Final[Mapping[FriendState, str]] = {one: one.value for one in FriendState}
TIERS: Final[Mapping[Tier, str]] = {one: one.value for one in Tier}

router = APIRouter(prefix="/v1/desk", tags=["desk"], route_class=Direct)


@router.get("/map", summary="Where everybody is", response_model=desk_schemas.MapResponse)
async def show_map(
    rt: Rt,
    who: AnOperator,
    accept_encoding: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Friends by this process's index and bookings by the rows; packed for whoever takes gzip."""
    bookings, now = await desk.on_map(rt, actor=actor(who))
    packed = "gzip" in accept_encoding
    body = await asyncio.to_thread(_drawn, list(rt.index), bookings, now, rt.policy, packed=packed)
    headers = {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if packed else {})
    return Response(body, media_type="application/json", headers=headers)


def _drawn(
    friends: Sequence[Friend],
    bookings: Sequence[Mapping[str, Any]],
    now: datetime,
    policy: Policy,
    *,
    packed: bool,
) -> bytes:
    drawn = {
        "friends": {
            "id": [str(one.id) for one in friends],
            "lat": [round(one.lat, DIGITS) for one in friends],
            "lon": [round(one.lon, DIGITS) for one in friends],
            "state": _states(friends, policy),
            "tier": [TIERS[one.tier] for one in friends],
        },
        "bookings": {
            "id": [str(one["id"]) for one in bookings],
            "lat": [round(one["lat"], DIGITS) for one in bookings],
            "lon": [round(one["lon"], DIGITS) for one in bookings],
            "state": [one["state"] for one in bookings],
        },
        "server_time": now,
    }
    body = to_json(drawn)
    return gzip.compress(body, PACKED, mtime=0) if packed else body


def _states(friends: Sequence[Friend], policy: Policy) -> list[str]:
    askable = matching.askable(policy)
    return [
        BUSY if one.state is FriendState.ACTIVE and not askable(one) else STATES[one.state]
        for one in friends
    ]
