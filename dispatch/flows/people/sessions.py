"""Sign-in: a single-use link, then a session; only hashes of their tokens are stored."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from data.db import transaction
from data.markets import Language
from data.records.ids import PersonId
from data.store import sessions
from data.store.sessions import Account, Login, SessionOwner
from dispatch.flows.batched_lookups import lookups
from dispatch.flows.read_only import read_connection
from dispatch.rules.refusals import NotFound, Refused
from dispatch.runtime import Runtime

LINK_LIFE = timedelta(minutes=15)
LINKS_AN_HOUR = 5
SESSION_LIFE = timedelta(days=30)
TOKEN_LIFE_MAX = timedelta(days=400)
SESSION_PREFIX = "ts_"
SECRET_BYTES = 32
UNKNOWN_PERSON = "there is no friend or operator with this id who may sign in"


class LinkUsedUp(Refused):
    """This link is no longer valid."""

    code = "link-used-up"
    field = "token"

    def __str__(self) -> str:
        return "It works once and for fifteen minutes; ask for a new one."


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A new session; its token is available only here."""

    token: str
    kind: Login
    expires_at: datetime


async def find_login(rt: Runtime, kind: Login, email: str) -> Account | None:
    """The person who may sign in with this address, or None."""
    async with transaction(rt.pool) as tx:
        return await sessions.find_login(tx, kind, email)


async def request_login_link(rt: Runtime, person_id: PersonId) -> str | None:
    """The token of a new login link; None after LINKS_AN_HOUR links within the hour."""
    create_token = _secret()
    async with transaction(rt.pool) as tx:
        kept = await sessions.insert_link_under_limit(
            tx, _hash(create_token), person_id, LINK_LIFE, per_hour=LINKS_AN_HOUR
        )
    return create_token if kept else None


async def create_login_link(rt: Runtime, person_id: PersonId, life: timedelta = LINK_LIFE) -> str:
    """The token of a login link without that limit, for the command line. Raises NotFound."""
    create_token = _secret()
    async with transaction(rt.pool) as tx:
        kept = await sessions.insert_link(tx, _hash(create_token), person_id, life)
    if kept is None:
        raise NotFound(UNKNOWN_PERSON)
    return create_token


async def log_in(rt: Runtime, link_token: str) -> Session:
    """Use a login link and begin a session. Raises LinkUsedUp."""
    create_token = _session_token()
    async with transaction(rt.pool) as tx:
        person_id = await sessions.use_link(tx, _hash(link_token))
        if person_id is None:
            raise LinkUsedUp
        begun = await sessions.insert(tx, _hash(create_token), person_id, SESSION_LIFE)
    if begun is None:
        raise LinkUsedUp
    return Session(token=create_token, expires_at=begun[0], kind=begun[1])


async def create_token(rt: Runtime, person_id: PersonId, life: timedelta = SESSION_LIFE) -> str:
    """A bearer token for scripts, valid for `life` (at most 400 days). Raises NotFound."""
    made = _session_token()
    async with transaction(rt.pool) as tx:
        begun = await sessions.insert(tx, _hash(made), person_id, min(life, TOKEN_LIFE_MAX))
    if begun is None:
        raise NotFound(UNKNOWN_PERSON)
    return made


async def find_session(rt: Runtime, session_token: str) -> SessionOwner | None:
    """The owner of a session that is still valid, or None."""
    return await lookups(rt).session_owners.get(_hash(session_token))


async def session_times(rt: Runtime, session_token: str) -> tuple[datetime, datetime] | None:
    """When a valid session expires, and the time now; None for an invalid one."""
    async with read_connection(rt) as tx:
        return await sessions.session_expiry(tx, _hash(session_token))


async def log_out(rt: Runtime, session_token: str) -> None:
    """End a session."""
    async with transaction(rt.pool) as tx:
        await sessions.revoke(tx, _hash(session_token))


async def add_operator(
    rt: Runtime, name: str, email: str, language: Language = Language.EN
) -> PersonId:
    """Add an operator; returns the id. One with this address is left unchanged."""
    async with transaction(rt.pool) as tx:
        found = await sessions.insert_operator(
            tx, PersonId(rt.new_id()), name=name, email=email, language=language
        )
    if found is None:  # another process added this operator just now
        return await add_operator(rt, name, email, language)
    return found


def _secret() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)


def _session_token() -> str:
    return SESSION_PREFIX + _secret()


def _hash(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
