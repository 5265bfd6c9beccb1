"""The cookie of a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import Response

from api.http.auth import ACCOUNT_COOKIE, COMPANY_COOKIE, DESK_COOKIE, FRIEND_COOKIE, cookie_name
from data.store.sessions import Login
from dispatch.flows.people.sessions import Session
from dispatch.rules.people.logins import SESSION_LIFE
from dispatch.runtime import Runtime

COOKIES: Final[Mapping[Login, str]] = {
    Login.FRIEND: FRIEND_COOKIE,
    Login.OPERATOR: DESK_COOKIE,
    Login.ACCOUNT: ACCOUNT_COOKIE,
    Login.DISPATCHER: COMPANY_COOKIE,
}


def set_session_cookie(rt: Runtime, response: Response, session: Session) -> None:
    """Let the browser keep a new session."""
    https = rt.settings.is_https
    response.set_cookie(
        cookie_name(COOKIES[session.kind], https=https),
        session.token,
        max_age=int(SESSION_LIFE.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=https,
    )


def forget_session_cookie(rt: Runtime, response: Response, kind: Login) -> None:
    """Let the browser forget a session that has ended."""
    https = rt.settings.is_https
    name = cookie_name(COOKIES[kind], https=https)
    response.delete_cookie(name, httponly=True, samesite="lax", secure=https)
