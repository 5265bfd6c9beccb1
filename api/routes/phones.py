"""A friend's phones: their push subscriptions and the test of the alarm."""

from __future__ import annotations

from fastapi import APIRouter

from api.http.auth import CurrentFriend, Rt
from api.http.ports import CurrentPorts
from api.http.routing import CompiledRoute
from api.openapi.document import allows_anonymous, problems
from api.schemas import people as people_schemas
from dispatch.flows.people import push_subscriptions
from dispatch.flows.people.push_subscriptions import TestedJustNow
from dispatch.rules.people.push_endpoints import EndpointRefused
from dispatch.rules.people.reachability import obstacles
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1", tags=["friends"], route_class=CompiledRoute)


@router.get("/push-key", summary="Get the push key", openapi_extra=allows_anonymous())
async def show_push_key(ports: CurrentPorts) -> people_schemas.PushKeyResponse:
    """The key to subscribe with: `applicationServerKey` of the browser's PushManager."""
    return people_schemas.PushKeyResponse(key=ports.push_key)


@router.post(
    "/me/push-subscriptions",
    status_code=201,
    summary="Subscribe this phone to push",
    responses=problems(EndpointRefused, NotFound),
)
async def add_my_phone(
    rt: Rt, caller: CurrentFriend, body: people_schemas.PhoneRequest
) -> people_schemas.PhoneResponse:
    """Register a subscription from PushManager.subscribe.

    A phone belongs to the last friend who registered it; of more than five phones the oldest is
    removed.
    """
    added_at = await push_subscriptions.subscribe(
        rt,
        caller.friend_id,
        endpoint=body.endpoint,
        p256dh=body.keys.p256dh,
        auth=body.keys.auth,
    )
    return people_schemas.PhoneResponse(added_at=added_at)


@router.delete("/me/push-subscriptions", status_code=204, summary="Unsubscribe a phone")
async def remove_my_phone(
    rt: Rt, caller: CurrentFriend, body: people_schemas.RemovePhoneRequest
) -> None:
    """Remove one of your phones. Idempotent."""
    await push_subscriptions.unsubscribe(rt, caller.friend_id, body.endpoint)


@router.post("/me/alarm-test", summary="Test my alarm", responses=problems(TestedJustNow, NotFound))
async def try_my_alarm(
    rt: Rt, caller: CurrentFriend, ports: CurrentPorts
) -> people_schemas.AlarmTestResponse:
    """Send a test push to all your phones, and report what prevents offers from reaching you."""
    test = await push_subscriptions.begin_alarm_test(rt, caller.friend_id)
    results = await ports.send_test_push(test.phones, test.status.language)
    remaining = await push_subscriptions.finish_alarm_test(rt, test, results)
    return people_schemas.AlarmTestResponse(
        rang=results.count(None),
        phones=[
            people_schemas.PhoneTestResult(added_at=phone.added_at, problem=problem)
            for phone, problem in zip(test.phones, results, strict=True)
        ],
        obstacles=list(obstacles(test.status, phones=remaining)),
    )


@router.post("/me/alarm-test/confirm", summary="Confirm that my alarm rang")
async def confirm_my_alarm(rt: Rt, caller: CurrentFriend) -> people_schemas.AlarmResponse:
    """Record that you heard the test. Idempotent; without a phone that rang it changes nothing."""
    return people_schemas.AlarmResponse(
        alarm=await push_subscriptions.confirm_alarm(rt, caller.friend_id)
    )
