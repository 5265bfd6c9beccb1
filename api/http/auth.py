"""Who asks. Everybody is looked up at every request; nothing is remembered, so revoking is at once.

`Authorization: Bearer` carries a partner's key (`tk_live_…`), a session (`ts_…`) or the token of a
customer's link. Pages use the session cookie instead; with it, whatever changes something must be
JSON from our own pages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias, TypeVar, assert_never
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials
from starlette.requests import HTTPConnection

from api.http.problems import CrossSite, Forbidden, Unauthenticated
from data.records.ids import BookingId, FriendId, PartnerId, PersonId
from data.records.jobs import Job
from data.store.read_models import BookingView
from data.store.sessions import Login
from dispatch.flows.partners import accounts
from dispatch.flows.people import sessions
from dispatch.rules.jobs import customer_links
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

FRIEND_COOKIE: Final = "tekkie_session"
DESK_COOKIE: Final = "tekkie_desk"
FACE: Final = "Tekkie-Face"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
BEARER_MAX: Final = 500

C = TypeVar("C")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anonymous:
    """Nobody in particular."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Whoever holds the link of this one booking."""

    booking_id: BookingId


@dataclass(frozen=True, slots=True, kw_only=True)
class FriendCaller:
    """A friend who is signed in."""

    friend_id: FriendId


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Somebody of the desk who is signed in."""

    person_id: PersonId


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A retailer's program."""

    partner_id: PartnerId
    members_only: bool


Caller: TypeAlias = Customer | FriendCaller | Operator | Partner | Anonymous


async def runtime(request: Request) -> Runtime:
    """The runtime of this process."""
    rt = request.app.state.rt
    assert isinstance(rt, Runtime)
    return rt


async def secret(request: Request) -> bytes:
    """The key that signs customers' links."""
    key = request.app.state.secret
    assert isinstance(key, bytes)
    return key


Rt = Annotated[Runtime, Depends(runtime)]
Secret = Annotated[bytes, Depends(secret)]

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="bearer",
    description="A partner's key, a session's token, or the token of a customer's link.",
)


class SessionCookie(APIKeyCookie):
    """The session of a page. Who is a friend and sits at the desk too has two of them at once."""

    async def __call__(self, request: HTTPConnection) -> str | None:
        """The desk's where the page says that it is the desk's, else a friend's; else the other."""
        found = {name: request.cookies.get(name) for name in (FRIEND_COOKIE, DESK_COOKIE)}
        first = DESK_COOKIE if request.headers.get(FACE) == "desk" else FRIEND_COOKIE
        return found.pop(first) or found.popitem()[1]


cookie = SessionCookie(name=FRIEND_COOKIE, auto_error=False, scheme_name="session")


def shown(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    session: Annotated[str | None, Depends(cookie)],
) -> str:
    """The credential a request shows."""
    return credentials.credentials if credentials else session or ""


Shown = Annotated[str, Depends(shown)]


async def caller(
    request: Request,
    rt: Rt,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    session: Annotated[str | None, Depends(cookie)],
) -> Caller:
    """Whoever asks; Unauthenticated when what is shown opens nothing."""
    if "authorization" in request.headers:
        token = credentials.credentials if credentials else ""
        return await _by_bearer(rt, request.app.state.secret, token)
    if not session:
        return Anonymous()
    found = await _by_session(rt, session)
    if found is None:
        return Anonymous()  # an old cookie must not keep a customer from booking
    if request.method not in SAFE_METHODS:
        _must_be_ours(request, rt)
    return found


Anybody = Annotated[Caller, Depends(caller)]


def only(*kinds: type[C]) -> Callable[[Anybody], Awaitable[C]]:
    """A dependency that lets these kinds of callers in: nobody is 401, another kind is 403."""

    async def check(who: Anybody) -> C:
        if isinstance(who, kinds):
            return who
        if isinstance(who, Anonymous):
            raise Unauthenticated
        raise Forbidden

    return check


AFriend = Annotated[FriendCaller, Depends(only(FriendCaller))]
AnOperator = Annotated[Operator, Depends(only(Operator))]
ACustomer = Annotated[Customer, Depends(only(Customer))]
Insider = Annotated[Customer | Partner | Operator, Depends(only(Customer, Partner, Operator))]
Party = Annotated[
    Customer | Partner | Operator | FriendCaller,
    Depends(only(Customer, Partner, Operator, FriendCaller)),
]
Invited = Annotated[Customer | FriendCaller, Depends(only(Customer, FriendCaller))]
Lister = Annotated[Partner | Operator, Depends(only(Partner, Operator))]


def must_own(
    who: Customer | Partner | Operator, booking_id: BookingId, partner_id: PartnerId | None
) -> None:
    """Raise NotFound unless the booking is this caller's."""
    if not _owned(who, booking_id, partner_id):
        raise NotFound


def must_see(who: Caller, view: BookingView) -> None:
    """Raise NotFound unless the caller may see this booking: its owner, its friend, the desk."""
    if isinstance(who, FriendCaller):
        if view.holder is None or view.holder.id != who.friend_id:
            raise NotFound
        return
    if isinstance(who, Anonymous):
        raise Unauthenticated
    must_own(who, view.id, view.partner_id)


def owns(who: Customer | Partner | Operator) -> Callable[[Job], bool]:
    """Whether a job is this caller's, for a decision made under its lock."""

    return lambda job: _owned(who, job.booking.id, job.booking.partner_id)


def _owned(
    who: Customer | Partner | Operator, booking_id: BookingId, partner_id: PartnerId | None
) -> bool:
    match who:
        case Customer():
            return who.booking_id == booking_id
        case Partner():
            return partner_id == who.partner_id
        case Operator():
            return True
        case _ as never:
            assert_never(never)


def actor(who: Caller) -> str:
    """How a caller is named in events: never by name."""
    match who:
        case Partner():
            return f"partner:{who.partner_id}"
        case Operator():
            return f"operator:{who.person_id}"
        case FriendCaller():
            return f"friend:{who.friend_id}"
        case Customer() | Anonymous():
            return "customer"
        case _ as never:
            assert_never(never)


async def _by_bearer(rt: Runtime, secret: bytes, token: str) -> Caller:
    found: Caller | None = None
    if not token or len(token) > BEARER_MAX:
        raise Unauthenticated
    if token.startswith(accounts.KEY_PREFIX):
        partner = await accounts.of_key(rt, token)
        if partner:
            found = Partner(partner_id=partner.id, members_only=partner.members_only)
    elif token.startswith(sessions.SESSION_PREFIX):
        found = await _by_session(rt, token)
    elif booking_id := customer_links.booking_of_token(secret, token):
        found = Customer(booking_id=booking_id)
    if found is None:
        raise Unauthenticated
    return found


async def _by_session(rt: Runtime, token: str) -> FriendCaller | Operator | None:
    visitor = await sessions.who(rt, token)
    if visitor is None:
        return None
    match visitor.kind:
        case Login.FRIEND:
            return FriendCaller(friend_id=FriendId(visitor.id))
        case Login.OPERATOR:
            return Operator(person_id=visitor.id)
        case _ as never:
            assert_never(never)


def _must_be_ours(request: Request, rt: Runtime) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" or not _same_origin(request, rt):
        raise CrossSite


def _same_origin(request: Request, rt: Runtime) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    if origin is None:
        return False
    ours = {urlsplit(rt.settings.base_url)[:2], (request.url.scheme, request.url.netloc)}
    return urlsplit(origin)[:2] in ours
