"""Signing in and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, Response

from api.http.auth import DESK_COOKIE, FRIEND_COOKIE, FriendCaller, Operator, Rt, Shown, only
from api.http.ports import Outside, ToOutside
from api.http.problems import Unauthenticated
from api.http.routing import Direct
from api.openapi.document import problems
from api.schemas import requests, responses
from data.store.sessions import Known, Login
from dispatch.flows.people import push_subscriptions, sessions
from dispatch.flows.people.sessions import SESSION_LIFE, LinkUsedUp
from dispatch.runtime import Runtime

router = APIRouter(prefix="/v1", tags=["sessions"], route_class=Direct)

COOKIES = {Login.FRIEND: FRIEND_COOKIE, Login.OPERATOR: DESK_COOKIE}

SignedIn = Annotated[FriendCaller | Operator, Depends(only(FriendCaller, Operator))]


@router.post("/login-links", status_code=202, summary="Mail me a link")
async def request_login_link(
    rt: Rt, outside: ToOutside, asked: requests.LoginLinkRequest, background: BackgroundTasks
) -> responses.LoginLinkResponse:
    """A link goes to this address if it is known; the answer is the same if it is not."""
    known = await sessions.known(rt, asked.kind, asked.email)
    if known is not None:
        background.add_task(_send, rt, outside, asked.kind, known)
    return responses.LoginLinkResponse()


@router.post("/sessions", status_code=201, summary="Sign in", responses=problems(LinkUsedUp))
async def create_session(
    rt: Rt, asked: requests.SessionRequest, response: Response
) -> responses.SessionCreatedResponse:
    """Use a link up: the session's token comes in the body and as a cookie.

    A friend's is called `tekkie_session`, an operator's `tekkie_desk`: one browser holds both.
    """
    begun = await sessions.log_in(rt, asked.token)
    response.set_cookie(
        COOKIES[begun.kind],
        begun.token,
        max_age=int(SESSION_LIFE.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=rt.settings.base_url.startswith("https://"),
    )
    return responses.SessionCreatedResponse(
        token=begun.token, kind=begun.kind, expires_at=begun.expires_at
    )


@router.get("/sessions/current", summary="Who I am")
async def show_session(rt: Rt, who: SignedIn, shown: Shown) -> responses.SessionResponse:
    """Whose session this is and until when: a friend's or an operator's; 401 without one."""
    found = await sessions.current(rt, shown)
    if found is None:  # it has ended between the two questions
        raise Unauthenticated
    return responses.SessionResponse(
        kind=_kind(who),
        id=who.friend_id if isinstance(who, FriendCaller) else who.person_id,
        expires_at=found[0],
        server_time=found[1],
    )


@router.delete("/sessions/current", status_code=204, summary="Sign out")
async def delete_session(
    rt: Rt,
    who: SignedIn,
    shown: Shown,
    response: Response,
    asked: requests.SignOutRequest | None = None,
) -> None:
    """End this session at once, everywhere; a phone that is named rings no more."""
    if asked and asked.endpoint and isinstance(who, FriendCaller):
        await push_subscriptions.unsubscribe(rt, who.friend_id, asked.endpoint)
    await sessions.log_out(rt, shown)
    response.delete_cookie(COOKIES[_kind(who)], httponly=True, samesite="lax")


def _kind(who: FriendCaller | Operator) -> Login:
    return Login.FRIEND if isinstance(who, FriendCaller) else Login.OPERATOR


async def _send(rt: Runtime, outside: Outside, kind: Login, known: Known) -> None:
    token = await sessions.asked_link(rt, known.id)
    if token is None:
        return
    await outside.send_login_link(
        kind=kind,
        email=known.email,
        language=known.language,
        market=known.market,
        link=f"{rt.settings.base_url}/login#{token}",
    )
