"""Sign-in: a single-use link, then a session; only hashes of their tokens are stored."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from data.db import Connection, transaction
from data.enums import OperatorRole
from data.markets import Language
from data.records import subjects
from data.records.ids import PersonId
from data.store import account_mails, audit, sessions
from data.store.sessions import Account, Login, OperatorAccount, SessionOwner
from dispatch.flows import journal
from dispatch.flows.batched_lookups import lookups
from dispatch.flows.read_only import read_connection
from dispatch.rules.journal import Happening
from dispatch.rules.people.logins import (
    CODE_TRIES,
    CODE_TRIES_A_DAY,
    LINK_LIFE,
    LINKS_ALIVE,
    MAIL_LIFE,
    SESSION_LIFE,
    TOKEN_LIFE_MAX,
)
from dispatch.rules.people.names import checked_name
from dispatch.rules.refusals import NotFound, Refused
from dispatch.rules.trust import mailed_secrets
from dispatch.rules.trust.mailed_secrets import Proof
from dispatch.runtime import Runtime

SESSION_PREFIX = "ts_"
SECRET_BYTES = 32
UNKNOWN_PERSON = "there is no friend or operator with this id who may sign in"


class LinkUsedUp(Refused):
    """This link is no longer valid."""

    code = "link-used-up"
    field = "token"
    detail = f"It works once and for {LINK_LIFE.seconds // 60} minutes; ask for a new one."


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A new session; its token is available only here."""

    token: str
    kind: Login
    expires_at: datetime


class CodeRefused(Refused):
    """This code is not valid."""

    code = "code-refused"
    field = "code"
    detail = "It is in the newest mail, works once, and for a few tries; else ask for a new one."


async def find_login(rt: Runtime, kind: Login, email: str) -> Account | None:
    """The person who may sign in with this address, or None."""
    async with transaction(rt.pool) as tx:
        return await sessions.find_login(tx, kind, email)


async def request_login_link(rt: Runtime, kind: Login, email: str) -> str:
    """Queue a mail with a login link and a code; returns the secret of this request.

    Nobody looks up the address here: a known one and an unknown one run the same statements, and
    nothing follows the response. At most LINKS_ALIVE mails per address within the life of a link.
    """
    request = new_secret()
    async with transaction(rt.pool) as tx:
        await account_mails.insert_login_link(
            tx,
            rt.new_id(),
            kind=kind,
            email=email,
            request_sha256=token_hash(request),
            lifetime=MAIL_LIFE,
            window=LINK_LIFE,
            most=LINKS_ALIVE,
        )
    return request


async def log_in_by_code(rt: Runtime, request: str, code: str) -> Session:
    """Begin a session by the code of a mail that this request asked for. Raises CodeRefused.

    The code and the link of one mail are used up together.
    """
    request_sha256 = token_hash(request)
    made = mailed_secrets.of_login(rt.settings.key(), request_sha256)
    async with transaction(rt.pool) as tx:  # of its own: a wrong code must count
        counted = await account_mails.count_try(
            tx, request_sha256, most=CODE_TRIES, most_a_day=CODE_TRIES_A_DAY
        )
    if made.proof(code) is not Proof.CODE or not counted:
        raise CodeRefused
    try:
        return await log_in(rt, made.link)
    except LinkUsedUp:
        raise CodeRefused from None


async def create_login_link(
    rt: Runtime, person_id: PersonId, life: timedelta = LINK_LIFE, *, actor: str | None = None
) -> str:
    """The token of a login link without that limit, for the command line. Raises NotFound.

    With `actor` it is recorded in the audit.
    """
    create_token = new_secret()
    async with transaction(rt.pool) as tx:
        kept = await sessions.insert_link(tx, token_hash(create_token), person_id, life)
        if kept is None:
            raise NotFound(UNKNOWN_PERSON)
        await _record_created(tx, "login_link.created", person_id, actor)
    return create_token


async def log_in(rt: Runtime, link_token: str) -> Session:
    """Use a login link and begin a session; a customer's first opens the account.

    Raises LinkUsedUp.
    """
    async with transaction(rt.pool) as tx:
        person_id = await sessions.use_link(tx, token_hash(link_token), PersonId(rt.new_id()))
        session = await begin_session(tx, person_id) if person_id is not None else None
    if session is None:
        raise LinkUsedUp
    return session


async def begin_session(tx: Connection, person_id: PersonId) -> Session | None:
    """Begin a session in a caller's transaction; None if this person may not sign in."""
    made = _session_token()
    await sessions.lock_people(tx, [person_id])
    begun = await sessions.insert(tx, token_hash(made), person_id, SESSION_LIFE)
    return Session(token=made, expires_at=begun[0], kind=begun[1]) if begun else None


async def create_token(
    rt: Runtime, person_id: PersonId, life: timedelta = SESSION_LIFE, *, actor: str | None = None
) -> str:
    """A bearer token for scripts, valid for `life` (at most 400 days). Raises NotFound.

    With `actor` it is recorded in the audit.
    """
    made = _session_token()
    async with transaction(rt.pool) as tx:
        await sessions.lock_people(tx, [person_id])
        begun = await sessions.insert(tx, token_hash(made), person_id, min(life, TOKEN_LIFE_MAX))
        if begun is None:
            raise NotFound(UNKNOWN_PERSON)
        await _record_created(tx, "session.created", person_id, actor)
    return made


async def _record_created(tx: Connection, act: str, person_id: PersonId, actor: str | None) -> None:
    if actor is not None:
        await audit.record(tx, actor=actor, act=act, subject=subjects.person(person_id))


async def find_session(rt: Runtime, session_token: str) -> SessionOwner | None:
    """The owner of a session that is still valid, or None."""
    return await lookups(rt).session_owners.get(token_hash(session_token))


async def current_session(rt: Runtime, session_token: str) -> tuple[datetime, datetime, str] | None:
    """When a valid session expires, the time now and the owner's name; None for an invalid one."""
    async with read_connection(rt) as tx:
        return await sessions.session_expiry(tx, token_hash(session_token))


async def log_out(rt: Runtime, session_token: str) -> None:
    """End a session."""
    async with transaction(rt.pool) as tx:
        await sessions.revoke(tx, token_hash(session_token))


async def revoke_sessions(rt: Runtime, person_id: PersonId, *, actor: str) -> int:
    """End all sessions, tokens and login links of a person; returns how many sessions."""
    async with transaction(rt.pool) as tx:
        return await end_access(tx, [person_id], actor=actor)


async def end_access(tx: Connection, people: Collection[PersonId], *, actor: str) -> int:
    """End every session, token and login link of people for good, in a caller's transaction.

    Returns how many sessions.
    """
    await sessions.lock_people(tx, people)
    ended = await sessions.revoke_all(tx, people)
    lines = [(subjects.person(one), {"sessions": ended[one]}) for one in people]
    await audit.record_many(tx, actor=actor, act="sessions.revoked", lines=lines)
    return ended.total()


async def add_operator(
    rt: Runtime,
    name: str,
    email: str,
    language: Language = Language.EN,
    *,
    role: OperatorRole = OperatorRole.ADMIN,
    actor: str = "system",
) -> PersonId:
    """Add an operator; returns the id. One with this address is left unchanged.

    Raises NameRefused.
    """
    name, made = checked_name(name), PersonId(rt.new_id())
    async with transaction(rt.pool) as tx:
        found = await sessions.insert_operator(
            tx, made, name=name, email=email, language=language, role=role
        )
        if found == made:
            added = Happening(subjects.person(made), "operator.added", {"role": role})
            await journal.record(tx, added, actor=actor)
    if found is None:  # another process added this operator just now
        return await add_operator(rt, name, email, language, role=role, actor=actor)
    return found


async def list_operators(rt: Runtime) -> list[OperatorAccount]:
    """All operators by address."""
    async with read_connection(rt) as tx:
        return await sessions.operators(tx)


async def set_role(rt: Runtime, person_id: PersonId, role: OperatorRole, *, actor: str) -> None:
    """Give an operator a role with immediate effect; repeating it changes nothing."""
    async with transaction(rt.pool) as tx:
        if await sessions.set_role(tx, person_id, role):
            now = Happening(subjects.person(person_id), "operator.role_set", {"role": role})
            await journal.record(tx, now, actor=actor)


async def remove_operator(rt: Runtime, person_id: PersonId, *, actor: str) -> None:
    """Close an operator's account and end its sessions. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        if not await sessions.close_operator(tx, person_id):
            raise NotFound("there is no such operator; `tekkie operators list` shows them")
        removed = Happening(subjects.person(person_id), "operator.removed")
        await journal.record(tx, removed, actor=actor)
        await end_access(tx, [person_id], actor=actor)


def new_secret() -> str:
    """A secret that nobody guesses, for a link or a request."""
    return secrets.token_urlsafe(SECRET_BYTES)


def _session_token() -> str:
    return SESSION_PREFIX + new_secret()


def token_hash(secret: str) -> bytes:
    """What is stored of a token."""
    return sha256(secret.encode()).digest()
