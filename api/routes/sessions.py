"""Sessions: signing in by a mailed link or code, and signing out."""

from __future__ import annotations

from typing import Annotated, assert_never
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from api.http.auth import (
    AccountCaller,
    CompanyDispatcher,
    Credential,
    FriendCaller,
    Operator,
    Rt,
    require,
)
from api.http.problems import Unauthenticated
from api.http.rate_limit import TooManyRequests, limit_network
from api.http.routing import CompiledRoute
from api.http.session_cookies import forget_session_cookie, set_session_cookie
from api.openapi.document import problems
from api.schemas import people as people_schemas
from data.store.sessions import Login
from dispatch.flows.people import passkeys, push_subscriptions, sessions
from dispatch.flows.people.passkeys import PasskeyRefused
from dispatch.flows.people.sessions import CodeRefused, LinkUsedUp, Session
from dispatch.rules.people.logins import MAIL_LIFE
from dispatch.runtime import Runtime

router = APIRouter(prefix="/v1", tags=["sessions"], route_class=CompiledRoute)

SignedIn = Annotated[
    FriendCaller | Operator | AccountCaller | CompanyDispatcher,
    Depends(require(FriendCaller, Operator, AccountCaller, CompanyDispatcher)),
]


async def limit_login_links(request: Request, rt: Rt) -> None:
    """Count a request for a login link. Raises TooManyRequests."""
    limit_network(request, "login links", rt.policy.login_links_per_minute)


@router.post(
    "/login-links",
    status_code=202,
    summary="Request a login link",
    responses=problems(TooManyRequests),
)
async def request_login_link(
    rt: Rt,
    limited: Annotated[None, Depends(limit_login_links)],
    body: people_schemas.LoginLinkRequest,
) -> people_schemas.LoginLinkResponse:
    """Mail a login link and a code if the address is known; the response is alike if it is not."""
    request = await sessions.request_login_link(rt, body.kind, body.email)
    life = int(MAIL_LIFE.total_seconds())
    return people_schemas.LoginLinkResponse(request=request, expires_in_s=life)


@router.post("/sessions", status_code=201, summary="Sign in", responses=problems(LinkUsedUp))
async def create_session(
    rt: Rt, body: people_schemas.SessionRequest, response: Response
) -> people_schemas.SessionCreatedResponse:
    """Consume a login link; the session's token is in the body and in a cookie.

    The cookie is `tekkie_session` for friends, `tekkie_desk` for operators, `tekkie_account` for
    customers and `tekkie_company` for dispatchers of a company, by HTTPS with the prefix `__Host-`;
    one browser may hold all. The first session of a customer opens the account of all bookings with
    that mail address.
    """
    return _sign_in(rt, response, await sessions.log_in(rt, body.token))


@router.post(
    "/sessions/code", status_code=201, summary="Sign in by code", responses=problems(CodeRefused)
)
async def create_session_by_code(
    rt: Rt, body: people_schemas.CodeRequest, response: Response
) -> people_schemas.SessionCreatedResponse:
    """Consume the code of a mail, in the browser or app that requested it."""
    return _sign_in(rt, response, await sessions.log_in_by_code(rt, body.request, body.code))


@router.post(
    "/sessions/passkey",
    status_code=201,
    summary="Sign in with a passkey",
    responses=problems(PasskeyRefused),
)
async def create_session_by_passkey(
    rt: Rt, body: people_schemas.PasskeySessionRequest, response: Response
) -> people_schemas.SessionCreatedResponse:
    """Begin a session with what `navigator.credentials.get` returned; friends have no passkeys."""
    return _sign_in(rt, response, await passkeys.log_in(rt, body.credential))


def _sign_in(
    rt: Runtime, response: Response, session: Session
) -> people_schemas.SessionCreatedResponse:
    set_session_cookie(rt, response, session)
    return people_schemas.SessionCreatedResponse.model_validate(session)


@router.get("/sessions/current", summary="Get the current session")
async def show_session(
    rt: Rt, caller: SignedIn, credential: Credential
) -> people_schemas.SessionResponse:
    """The owner and the end of the current session; 401 without one."""
    current = await sessions.current_session(rt, credential)
    if current is None:  # it ended between the two queries
        raise Unauthenticated
    expires_at, now, name = current
    kind, person_id = _kind_and_id(caller)
    return people_schemas.SessionResponse(
        kind=kind,
        id=person_id,
        role=caller.role if isinstance(caller, Operator) else None,
        name=name,
        expires_at=expires_at,
        server_time=now,
    )


@router.delete("/sessions/current", status_code=204, summary="Sign out")
async def delete_session(
    rt: Rt,
    caller: SignedIn,
    credential: Credential,
    response: Response,
    body: people_schemas.SignOutRequest | None = None,
) -> None:
    """End this session at once; a given phone gets no more pushes."""
    if body and body.endpoint and isinstance(caller, FriendCaller):
        await push_subscriptions.unsubscribe(rt, caller.friend_id, body.endpoint)
    await sessions.log_out(rt, credential)
    kind, _ = _kind_and_id(caller)
    forget_session_cookie(rt, response, kind)


def _kind_and_id(
    caller: FriendCaller | Operator | AccountCaller | CompanyDispatcher,
) -> tuple[Login, UUID]:
    match caller:
        case FriendCaller():
            return Login.FRIEND, caller.friend_id
        case Operator():
            return Login.OPERATOR, caller.person_id
        case AccountCaller():
            return Login.ACCOUNT, caller.account_id
        case CompanyDispatcher():
            return Login.DISPATCHER, caller.person_id
        case _ as never:
            assert_never(never)
