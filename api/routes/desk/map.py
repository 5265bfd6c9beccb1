"""The desk's map: the location of every friend and booking, in columns, compressed."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Response
from pydantic_core import to_json

from api.http.auth import CurrentOperator, Rt, actor
from api.http.routing import CompiledRoute
from api.schemas import desk as desk_schemas
from data.enums import FriendState, Tier
from data.records.people import Friend
from dispatch.flows import desk
from dispatch.rules.jobs import matching
from dispatch.rules.policy import Policy

GZIP_LEVEL: Final = 1
DIGITS: Final = 5
"""Decimals of a degree: about a metre."""


# Serializing members of an enumeration would take longer than all the rest.
BUSY: Final = desk_schemas.MapState.BUSY.value
STATES: Final[Mapping[FriendState, str]] = {one: one.value for one in FriendState}
TIERS: Final[Mapping[Tier, str]] = {one: one.value for one in Tier}

router = APIRouter(prefix="/v1/desk", tags=["desk"], route_class=CompiledRoute)


@router.get("/map", summary="Get the map", response_model=desk_schemas.MapResponse)
async def show_map(
    rt: Rt,
    caller: CurrentOperator,
    accept_encoding: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Friends from the index of this process and bookings from the database; gzip if accepted."""
    bookings, now = await desk.map_bookings(rt, actor=actor(caller))
    compress = "gzip" in accept_encoding
    body = await asyncio.to_thread(
        _encode, list(rt.index), bookings, now, rt.policy, compress=compress
    )
    headers = {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if compress else {})
    return Response(body, media_type="application/json", headers=headers)


def _encode(
    friends: Sequence[Friend],
    bookings: Sequence[Mapping[str, Any]],
    now: datetime,
    policy: Policy,
    *,
    compress: bool,
) -> bytes:
    content = {
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
    body = to_json(content)
    return gzip.compress(body, GZIP_LEVEL, mtime=0) if compress else body


def _states(friends: Sequence[Friend], policy: Policy) -> list[str]:
    askable = matching.askable_filter(policy)
    return [
        BUSY if one.state is FriendState.ACTIVE and not askable(one) else STATES[one.state]
        for one in friends
    ]
