"""Authentication and authorization of callers.

Credentials are looked up at every request and never cached, so that revoking one has immediate
effect. `Authorization: Bearer` carries a partner's key (`tk_live_…`), a session (`ts_…`) or the
token of a customer's link. Pages use the session cookie instead; a request that changes something
with the cookie must be JSON and same-origin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias, TypeVar, assert_never
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials
from starlette.requests import HTTPConnection

from api.http.problems import CrossSite, Forbidden, RoleMissing, Unauthenticated
from data.enums import OperatorRole
from data.records.ids import BookingId, CompanyId, CustomerKey, FriendId, PartnerId, PersonId
from data.records.jobs import Job
from data.store.read_models import BookingView
from data.store.sessions import Login
from dispatch.flows.batched_lookups import lookups
from dispatch.flows.partners import accounts
from dispatch.flows.people import sessions
from dispatch.rules.jobs import customer_links
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

FRIEND_COOKIE: Final = "tekkie_session"
DESK_COOKIE: Final = "tekkie_desk"
ACCOUNT_COOKIE: Final = "tekkie_account"
COMPANY_COOKIE: Final = "tekkie_company"
NO_BOOKING: Final = BookingId(UUID(int=0))
FACE: Final = "Tekkie-Face"
FACES: Final = {
    "friend": FRIEND_COOKIE,
    "desk": DESK_COOKIE,
    "company": COMPANY_COOKIE,
} | dict.fromkeys(("account", "book", "job"), ACCOUNT_COOKIE)
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
BEARER_MAX: Final = 500

C = TypeVar("C")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anonymous:
    """A caller without credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """The holder of the link of one booking, which is of this generation.

    A customer who is signed in is one for each booking of the account; of others for NO_BOOKING.
    """

    booking_id: BookingId
    generation: int
    signed_in: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCaller:
    """A signed-in customer, where no booking is named."""

    account_id: PersonId
    customer_key: CustomerKey


@dataclass(frozen=True, slots=True, kw_only=True)
class FriendCaller:
    """A signed-in friend."""

    friend_id: FriendId


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A signed-in operator of the desk."""

    person_id: PersonId
    role: OperatorRole


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyDispatcher:
    """A signed-in dispatcher of a company of pros."""

    person_id: PersonId
    company: CompanyId


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A retailer's program, authenticated by its key."""

    partner_id: PartnerId
    members_only: bool


Caller: TypeAlias = (
    Customer | AccountCaller | FriendCaller | CompanyDispatcher | Operator | Partner | Anonymous
)


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


def cookie_name(name: str, *, https: bool) -> str:
    """A session cookie as browsers see it; behind this prefix no other host can set one for us."""
    return f"__Host-{name}" if https else name


class SessionCookie(APIKeyCookie):
    """The session cookie of a page; one browser may hold one of each kind at once."""

    async def __call__(self, request: HTTPConnection) -> str | None:
        """The cookie of the face that the page names, else the first of those that are there."""
        https = request.app.state.rt.settings.is_https
        found = {
            name: request.cookies.get(cookie_name(name, https=https)) for name in FACES.values()
        }
        first = FACES.get(request.headers.get(FACE, ""), FRIEND_COOKIE)
        return found.pop(first) or next(filter(None, found.values()), None)


cookie = SessionCookie(name=FRIEND_COOKIE, auto_error=False, scheme_name="session")


def credential(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    session: Annotated[str | None, Depends(cookie)],
) -> str:
    """The credential of a request: the bearer token, else the cookie, else empty."""
    return credentials.credentials if credentials else session or ""


Credential = Annotated[str, Depends(credential)]


async def current_caller(
    request: Request,
    rt: Rt,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    session: Annotated[str | None, Depends(cookie)],
) -> Caller:
    """The caller of a request. Raises Unauthenticated for an invalid bearer token."""
    if "authorization" in request.headers:
        token = credentials.credentials if credentials else ""
        caller = await _caller_by_bearer(rt, request.app.state.secret, token)
        return await _named_customer(rt, request, caller)
    if not session:
        return Anonymous()
    found = await _caller_by_session(rt, session)
    if found is None:
        return Anonymous()  # an expired cookie must not keep a customer from booking
    if request.method not in SAFE_METHODS:
        _require_own_page(request, rt)
    return await _named_customer(rt, request, found)


CurrentCaller = Annotated[Caller, Depends(current_caller)]


def partner_of(caller: Caller) -> PartnerId | None:
    """The partner of a caller; None for everybody else."""
    return caller.partner_id if isinstance(caller, Partner) else None


def person_of(caller: FriendCaller | AccountCaller) -> PersonId:
    """The person who is signed in."""
    return PersonId(caller.friend_id) if isinstance(caller, FriendCaller) else caller.account_id


def require(
    *kinds: type[C], role: OperatorRole = OperatorRole.VIEWER
) -> Callable[[CurrentCaller], Awaitable[C]]:
    """A dependency that admits these kinds of callers: anonymous is 401, another kind is 403.

    An operator needs a role that includes `role`. No route decides about roles elsewhere.
    """

    async def check(caller: CurrentCaller) -> C:
        if isinstance(caller, kinds):
            if isinstance(caller, Operator) and not caller.role.includes(role):
                raise RoleMissing(role)
            return caller
        if isinstance(caller, Anonymous):
            raise Unauthenticated
        raise Forbidden

    return check


CurrentFriend = Annotated[FriendCaller, Depends(require(FriendCaller))]
CurrentOperator = Annotated[Operator, Depends(require(Operator))]
CurrentDispatcher = Annotated[Operator, Depends(require(Operator, role=OperatorRole.DISPATCHER))]
CurrentCommunity = Annotated[Operator, Depends(require(Operator, role=OperatorRole.COMMUNITY))]
CurrentAdmin = Annotated[Operator, Depends(require(Operator, role=OperatorRole.ADMIN))]
CurrentPerson = Annotated[
    FriendCaller | AccountCaller, Depends(require(FriendCaller, AccountCaller))
]
CurrentCompany = Annotated[CompanyDispatcher, Depends(require(CompanyDispatcher))]
CurrentAccount = Annotated[AccountCaller, Depends(require(AccountCaller))]
CurrentCustomer = Annotated[Customer, Depends(require(Customer))]
BookingOwner = Annotated[
    Customer | Partner | Operator, Depends(require(Customer, Partner, Operator))
]
BookingCanceller = Annotated[
    Customer | Partner | Operator,
    Depends(require(Customer, Partner, Operator, role=OperatorRole.DISPATCHER)),
]
BookingViewer = Annotated[
    Customer | Partner | Operator | FriendCaller,
    Depends(require(Customer, Partner, Operator, FriendCaller)),
]
StreamReader = Annotated[
    Customer | Partner | Operator | FriendCaller | CompanyDispatcher,
    Depends(require(Customer, Partner, Operator, FriendCaller, CompanyDispatcher)),
]
CustomerOrFriend = Annotated[Customer | FriendCaller, Depends(require(Customer, FriendCaller))]
CustomerFriendOrOperator = Annotated[
    Customer | FriendCaller | Operator, Depends(require(Customer, FriendCaller, Operator))
]
CustomerOrDispatcher = Annotated[
    Customer | Operator, Depends(require(Customer, Operator, role=OperatorRole.DISPATCHER))
]
PartnerOrOperator = Annotated[Partner | Operator, Depends(require(Partner, Operator))]


def require_ownership(
    caller: Customer | Partner | Operator, booking_id: BookingId, partner_id: PartnerId | None
) -> None:
    """Raise NotFound unless the booking is this caller's own."""
    if not _is_owner(caller, booking_id, partner_id):
        raise NotFound


def require_visibility(caller: Caller, view: BookingView) -> None:
    """Raise NotFound unless the caller is the booking's owner, its friend or the desk."""
    if isinstance(caller, FriendCaller):
        if view.holder is None or view.holder.id != caller.friend_id:
            raise NotFound
        return
    if isinstance(caller, Anonymous | AccountCaller | CompanyDispatcher):
        raise Unauthenticated
    require_ownership(caller, view.id, view.partner_id)


def ownership_test(caller: Customer | Partner | Operator) -> Callable[[Job], bool]:
    """A test whether a job is this caller's own, for a decision made under its lock."""
    return lambda job: _is_owner(caller, job.booking.id, job.booking.partner_id)


def _is_owner(
    caller: Customer | Partner | Operator, booking_id: BookingId, partner_id: PartnerId | None
) -> bool:
    match caller:
        case Customer():
            return caller.booking_id == booking_id
        case Partner():
            return partner_id == caller.partner_id
        case Operator():
            return True
        case _ as never:
            assert_never(never)


def actor(caller: Caller) -> str:
    """The caller's identifier in events; never a name."""
    match caller:
        case Partner():
            return f"partner:{caller.partner_id}"
        case Operator():
            return f"operator:{caller.person_id}"
        case FriendCaller():
            return f"friend:{caller.friend_id}"
        case CompanyDispatcher():
            return f"dispatcher:{caller.person_id}"
        case Customer() | AccountCaller() | Anonymous():
            return "customer"
        case _ as never:
            assert_never(never)


async def _caller_by_bearer(rt: Runtime, secret: bytes, token: str) -> Caller:
    found: Caller | None = None
    if not token or len(token) > BEARER_MAX:
        raise Unauthenticated
    if token.startswith(accounts.KEY_PREFIX):
        partner = await accounts.find_by_key(rt, token)
        if partner:
            found = Partner(partner_id=partner.id, members_only=partner.members_only)
    elif token.startswith(sessions.SESSION_PREFIX):
        found = await _caller_by_session(rt, token)
    else:
        found = await _caller_by_link(rt, secret, token)
    if found is None:
        raise Unauthenticated
    return found


async def _caller_by_link(rt: Runtime, secret: bytes, token: str) -> Customer | None:
    booking_id = customer_links.named_booking(token)
    if booking_id is None:
        return None
    generation, _ = await lookups(rt).customer_links.get(booking_id) or (0, None)
    if not customer_links.is_customer_token_valid(secret, booking_id, token, generation):
        return None
    return Customer(booking_id=booking_id, generation=generation)


async def as_customer(rt: Runtime, account: AccountCaller, booking_id: BookingId) -> Customer:
    """The account's owner as the customer of a booking, or of none if it is another one's."""
    found = await lookups(rt).customer_links.get(booking_id)
    if found is None or found[1] != account.customer_key:
        return Customer(booking_id=NO_BOOKING, generation=0, signed_in=True)
    return Customer(booking_id=booking_id, generation=found[0], signed_in=True)


async def _named_customer(rt: Runtime, request: Request, caller: Caller) -> Caller:
    """The caller; an account as the customer of the booking that the path names."""
    named = request.path_params.get("booking_id")
    if not isinstance(caller, AccountCaller) or named is None:
        return caller
    try:
        booking_id = BookingId(UUID(str(named)))
    except ValueError:  # the route refuses the id
        booking_id = NO_BOOKING
    return await as_customer(rt, caller, booking_id)


async def _caller_by_session(
    rt: Runtime, token: str
) -> FriendCaller | Operator | AccountCaller | CompanyDispatcher | None:
    visitor = await sessions.find_session(rt, token)
    if visitor is None:
        return None
    match visitor.kind:
        case Login.FRIEND:
            return FriendCaller(friend_id=FriendId(visitor.id))
        case Login.OPERATOR:
            assert visitor.role is not None
            return Operator(person_id=visitor.id, role=visitor.role)
        case Login.DISPATCHER:
            assert visitor.company is not None
            return CompanyDispatcher(person_id=visitor.id, company=visitor.company)
        case Login.ACCOUNT:
            assert visitor.customer_key is not None
            return AccountCaller(account_id=visitor.id, customer_key=visitor.customer_key)
        case _ as never:
            assert_never(never)


def _require_own_page(request: Request, rt: Runtime) -> None:
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
    own_origins = {urlsplit(rt.settings.base_url)[:2], (request.url.scheme, request.url.netloc)}
    return urlsplit(origin)[:2] in own_origins
