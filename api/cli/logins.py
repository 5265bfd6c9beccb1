"""Sign-in: operators, login links and tokens."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.exit_codes import UsageError
from api.cli.ids import ids_like
from api.cli.output import AsJson, print_json, print_line, print_message, print_table
from api.cli.session import command_runtime, run
from data.enums import OperatorRole

if TYPE_CHECKING:
    from data.records.ids import FriendId, PersonId
    from data.store.sessions import OperatorAccount
    from dispatch.runtime import Runtime

DAYS = 30
ACTOR = "desk"
ROLES = (
    "viewer reads, dispatcher acts on bookings and friends, community decides about people, "
    "finance about money, admin does everything."
)


class Kind(StrEnum):
    """The kinds of accounts."""

    FRIEND = "friend"
    OPERATOR = "operator"


KindArgument = Annotated[Kind, typer.Argument(help="The kind of account.", show_default=False)]
PersonArgument = Annotated[
    str, typer.Argument(metavar="ID", help="A friend's ref, an id or an e-mail address.")
]

OperatorArgument = Annotated[
    str, typer.Argument(metavar="ID", help="An id or an e-mail address.", show_default=False)
]

sessions_app = typer.Typer(help="The sessions of friends and operators.", no_args_is_help=True)
operators = typer.Typer(help="The operators of the desk.", no_args_is_help=True)


@sessions_app.callback()
def _sessions() -> None:
    """The sessions of friends and operators."""


@operators.callback()
def _operators() -> None:
    """The operators of the desk."""


@operators.command()
def add(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="The address for login links.")],
    name: Annotated[
        str, typer.Option("--name", help="The name shown to the other operators.")
    ] = "",
    role: Annotated[OperatorRole, typer.Option("--role", help=ROLES)] = OperatorRole.ADMIN,
    as_json: AsJson = False,
) -> None:
    """Add an operator; an existing one stays unchanged."""
    name = name or email.partition("@")[0]
    kept = run(_add_operator(ctx, parse_email(email), name, role))
    if as_json:
        print_json(kept)
        return
    print_line(str(kept.id))
    print_message(
        f"{kept.email} may sign in; `tekkie login-link operator {kept.email}` prints a link."
    )


@operators.command("list")
def list_operators(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the operators with their roles."""
    found = run(_list_operators(ctx))
    if as_json:
        print_json(found)
        return
    print_table(
        ("email", "name", "role", "added"),
        [(one.email, one.name, one.role, one.created_at) for one in found],
        none="There is no operator yet; `tekkie operators add` adds one.",
    )


@operators.command("role")
def set_role(
    ctx: typer.Context,
    person: OperatorArgument,
    role: Annotated[OperatorRole, typer.Argument(help=ROLES, show_default=False)],
) -> None:
    """Give an operator a role, with immediate effect."""
    run(_set_role(ctx, person, role))
    print_message(f"{person} is now {role}.")


@operators.command("remove")
def remove(ctx: typer.Context, person: OperatorArgument) -> None:
    """Close an operator's account and end its sessions; the name stays in notes and the audit."""
    run(_remove_operator(ctx, person))
    print_message(f"{person} was removed and can no longer sign in.")


@sessions_app.command("revoke")
def revoke_sessions(
    ctx: typer.Context, kind: KindArgument, person: PersonArgument, as_json: AsJson = False
) -> None:
    """End all sessions, tokens and login links of a friend or an operator for good."""
    ended = run(_revoke_sessions(ctx, kind, person))
    if as_json:
        print_json({"sessions": ended})
    else:
        print_message(f"{ended} sessions of {person} were ended.")


def login_link(
    ctx: typer.Context, kind: KindArgument, person: PersonArgument, as_json: AsJson = False
) -> None:
    """Print a login link, valid once and for a limited time."""
    link = run(_link(ctx, kind, person))
    if as_json:
        print_json({"link": link})
    else:
        print_line(link)


def token(
    ctx: typer.Context,
    kind: KindArgument,
    person: PersonArgument,
    days: Annotated[int, typer.Option("--days", min=1, max=400, help="Validity in days.")] = DAYS,
    as_json: AsJson = False,
) -> None:
    """Print a bearer token for scripts: Authorization: Bearer …"""
    made = run(_token(ctx, kind, person, days))
    if as_json:
        print_json({"token": made, "days": days})
    else:
        print_line(made)


def parse_email(text: str) -> str:
    """A normalized e-mail address. Raises UsageError."""
    from email_validator import EmailNotValidError, validate_email

    try:
        return validate_email(text, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise UsageError(f"{text[:80]!r} is not an e-mail address: {error}") from None


async def _add_operator(
    ctx: typer.Context, email: str, name: str, role: OperatorRole
) -> OperatorAccount:
    from dispatch.flows.people import sessions

    if not name.strip() or len(name) > 200:
        raise UsageError("--name must have 1 to 200 characters.")
    async with command_runtime(ctx) as rt:
        person_id = await sessions.add_operator(rt, name.strip(), email, role=role, actor=ACTOR)
        [kept] = [one for one in await sessions.list_operators(rt) if one.id == person_id]
        return kept


async def _list_operators(ctx: typer.Context) -> list[OperatorAccount]:
    from dispatch.flows.people import sessions

    async with command_runtime(ctx) as rt:
        return await sessions.list_operators(rt)


async def _set_role(ctx: typer.Context, word: str, role: OperatorRole) -> None:
    from dispatch.flows.people import sessions

    async with command_runtime(ctx) as rt:
        person_id = await find_person(rt, Kind.OPERATOR, word)
        await sessions.set_role(rt, person_id, role, actor=ACTOR)


async def _remove_operator(ctx: typer.Context, word: str) -> None:
    from dispatch.flows.people import sessions

    async with command_runtime(ctx) as rt:
        await sessions.remove_operator(rt, await find_person(rt, Kind.OPERATOR, word), actor=ACTOR)


async def _revoke_sessions(ctx: typer.Context, kind: Kind, word: str) -> int:
    from dispatch.flows.people import sessions

    async with command_runtime(ctx) as rt:
        person_id = await find_person(rt, kind, word)
        return await sessions.revoke_sessions(rt, person_id, actor=ACTOR)


async def _link(ctx: typer.Context, kind: Kind, word: str) -> str:
    from dispatch.flows.people import sessions

    async with command_runtime(ctx) as rt:
        person_id = await find_person(rt, kind, word)
        secret = await sessions.create_login_link(rt, person_id, actor=ACTOR)
        return f"{rt.settings.base_url}/login#{secret}"


async def _token(ctx: typer.Context, kind: Kind, word: str, days: int) -> str:
    from dispatch.flows.people import sessions

    async with command_runtime(ctx) as rt:
        person_id = await find_person(rt, kind, word)
        return await sessions.create_token(rt, person_id, timedelta(days=days), actor=ACTOR)


async def find_friend(rt: Runtime, word: str) -> FriendId:
    """The friend for an id, a ref or an e-mail address. Raises NotFound."""
    from data.records.ids import FriendId

    return FriendId(await find_person(rt, Kind.FRIEND, word))


async def find_person(rt: Runtime, kind: Kind, word: str) -> PersonId:
    """The account for a friend's ref, an e-mail address, an id or a part of it. Raises NotFound."""
    from data.records.ids import PersonId
    from data.store import friends
    from data.store.sessions import Login
    from dispatch.flows.people import sessions
    from dispatch.flows.read_only import read_connection
    from dispatch.rules.refusals import NotFound

    if kind is Kind.FRIEND:
        async with read_connection(rt) as tx:
            if (found := await friends.find_id(tx, word)) is not None:
                return PersonId(found)
    if "@" in word and (known := await sessions.find_login(rt, Login(kind), word)):
        return known.id
    if len(alike := await ids_like(rt, kind.value, word.lower())) == 1:
        return PersonId(alike[0])
    raise NotFound(f"there is no {kind} {word[:80]!r}; `tekkie {kind}s list` shows them")
