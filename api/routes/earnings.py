"""What a friend has earned."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.http import pagination
from api.http.auth import CurrentFriend, Rt
from api.http.pagination import Cursor, Limit
from api.http.routing import CompiledRoute
from api.openapi.document import TABLE
from api.schemas import base, earnings_file, presenters, responses
from api.schemas import earnings as schemas
from data.markets import MARKETS
from data.store import earnings, read_models
from dispatch.flows.read_only import read_connection
from dispatch.rules.money.earnings import by_month

router = APIRouter(prefix="/v1/me", tags=["friends"], route_class=CompiledRoute)

Month = Annotated[
    str, Query(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", description="Such as `2026-03`.")
]


@router.get("/earnings", summary="List my earnings")
async def list_my_earnings(
    rt: Rt, caller: CurrentFriend, limit: Limit = pagination.PAGE_DEFAULT, cursor: Cursor = None
) -> base.Page[responses.Earning]:
    """Pay for jobs and shares of fees, newest first; also of jobs that others have by now."""
    async with read_connection(rt) as tx:
        found = await read_models.earnings(
            tx, caller.friend_id, before=pagination.decode_time(cursor), limit=limit + 1
        )
    page = found[:limit]
    last = page[-1] if len(found) > limit else None
    return base.Page(
        items=[presenters.present_earning(view, rt.catalogue) for view in page],
        next_cursor=pagination.encode_time(last.at, last.booking_id) if last else None,
    )


@router.get("/earnings/months", summary="Sum my earnings by month")
async def sum_my_earnings(rt: Rt, caller: CurrentFriend) -> schemas.EarningsResponse:
    """What counts in each month of local time, newest first, with the pay for an hour.

    Nothing of it is paid out here yet: all is open.
    """
    async with read_connection(rt) as tx:
        zone = MARKETS[await earnings.market(tx, caller.friend_id)].timezone
        sums = await earnings.by_month(tx, caller.friend_id, zone)
    months = [schemas.present_month(one) for one in by_month(sums)]
    return schemas.EarningsResponse(timezone=zone, months=months)


@router.get(
    "/earnings.csv",
    summary="Download my earnings of a month",
    response_class=Response,
    responses={200: TABLE},
)
async def download_my_earnings(rt: Rt, caller: CurrentFriend, month: Month) -> Response:
    """One line for each amount of a month of local time, the oldest first; reversed ones too."""
    async with read_connection(rt) as tx:
        zone = MARKETS[await earnings.market(tx, caller.friend_id)].timezone
        lines = await earnings.in_month(tx, caller.friend_id, zone, month)
    headers = {"Content-Disposition": f'attachment; filename="tekkie-{month}.csv"'}
    text = earnings_file.write(lines, zone, rt.catalogue)
    return Response(text, media_type="text/csv", headers=headers)
