"""Events of providers: verified, stored once, and dealt with later."""

from __future__ import annotations

from fastapi import APIRouter, Request

from api.http.auth import Rt
from api.http.ports import CurrentPorts
from api.http.routing import CompiledRoute
from api.openapi.document import allows_anonymous, problems
from api.schemas.base import ResponseModel
from dispatch.flows import answers
from dispatch.rules.errands import NoticeRefused
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1/notices", tags=["providers"], route_class=CompiledRoute)


class NoticeResponse(ResponseModel):
    """The event is stored."""

    stored: bool = True


@router.post(
    "/{provider}",
    summary="Take an event of a provider",
    openapi_extra=allows_anonymous(),
    responses=problems(NotFound, NoticeRefused),
)
async def take_notice(
    rt: Rt, ports: CurrentPorts, request: Request, provider: str
) -> NoticeResponse:
    """Store a signed event, once; what it is about is then read from the provider."""
    notice = ports.verify_notice(provider, request.headers, await request.body())
    if notice is None:
        raise NoticeRefused
    await answers.store_notice(
        rt, provider=provider, event_id=notice.event_id, reference=notice.reference
    )
    return NoticeResponse()
