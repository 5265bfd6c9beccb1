"""Phones that ring: taken in, tried, and forgotten."""

from __future__ import annotations

from fastapi import APIRouter

from api.http.auth import AFriend, Rt
from api.http.ports import ToOutside
from api.http.routing import Direct
from api.openapi.document import may_be_anonymous, problems
from api.schemas import requests, responses
from dispatch.flows.people import push_subscriptions
from dispatch.flows.people.push_subscriptions import RungJustNow
from dispatch.rules.people.push_endpoints import EndpointRefused
from dispatch.rules.people.reachability import obstacles
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1", tags=["friends"], route_class=Direct)


@router.get("/push-key", summary="Who rings", openapi_extra=may_be_anonymous())
async def show_push_key(outside: ToOutside) -> responses.PushKeyResponse:
    """The key to subscribe with: `applicationServerKey` of the browser's PushManager."""
    return responses.PushKeyResponse(key=outside.push_key)


@router.post(
    "/me/push-subscriptions",
    status_code=201,
    summary="Ring this phone",
    responses=problems(EndpointRefused, NotFound),
)
async def add_my_phone(
    rt: Rt, who: AFriend, asked: requests.PhoneRequest
) -> responses.PhoneResponse:
    """Take what PushManager.subscribe gave. A phone rings for the last who asked for it; of more
    than five of yours the oldest is forgotten."""
    added_at = await push_subscriptions.subscribe(
        rt,
        who.friend_id,
        endpoint=asked.endpoint,
        p256dh=asked.keys.p256dh,
        auth=asked.keys.auth,
    )
    return responses.PhoneResponse(added_at=added_at)


@router.delete("/me/push-subscriptions", status_code=204, summary="Ring it no more")
async def remove_my_phone(rt: Rt, who: AFriend, asked: requests.RemovePhoneRequest) -> None:
    """Forget this phone of yours; repeating it changes nothing."""
    await push_subscriptions.unsubscribe(rt, who.friend_id, asked.endpoint)


@router.post("/me/alarm-test", summary="Try my alarm", responses=problems(RungJustNow, NotFound))
async def try_my_alarm(rt: Rt, who: AFriend, outside: ToOutside) -> responses.AlarmTestResponse:
    """Ring all your phones now, and say what would keep a new job from reaching you."""
    trial = await push_subscriptions.begin_trial(rt, who.friend_id)
    said = await outside.ring(trial.phones, trial.standing.language)
    left = await push_subscriptions.end_trial(rt, trial, said)
    return responses.AlarmTestResponse(
        rang=said.count(None),
        phones=[
            responses.PhoneTestResult(added_at=phone.added_at, problem=problem)
            for phone, problem in zip(trial.phones, said, strict=True)
        ],
        obstacles=list(obstacles(trial.standing, phones=left)),
    )
