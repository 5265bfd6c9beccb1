"""Who may sign in: operators, login links and tokens."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from api.cli.exit_codes import UsedWrongly
from api.cli.output import AsJson, print_json, print_line, say
from api.cli.session import at_desk, run

if TYPE_CHECKING:
    from data.records.ids import FriendId, PersonId
    from dispatch.runtime import Runtime

DAYS = 30


class Kind(StrEnum):
    """Who can sign in."""

    FRIEND = "friend"
    OPERATOR = "operator"


Who = Annotated[Kind, typer.Argument(help="Which kind of person.", show_default=False)]
Person = Annotated[
    str, typer.Argument(metavar="ID", help="A friend's ref, an id or an e-mail address.")
]

operators = typer.Typer(help="The staff at the desk.", no_args_is_help=True)


@operators.callback()
def _operators() -> None:
    """The staff at the desk."""


@operators.command()
def add(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="Where the login links go.")],
    name: Annotated[str, typer.Option("--name", help="As the others call her.")] = "",
    as_json: AsJson = False,
) -> None:
    """Add somebody to the staff; one who is there stays as she is."""
    name = name or email.partition("@")[0]
    person_id = run(_add_operator(ctx, checked_email(email), name))
    if as_json:
        print_json({"id": person_id, "email": email, "name": name})
    else:
        print_line(str(person_id))
        say(f"{email} may sign in; `tekkie login-link operator {email}` makes a link.")


def login_link(ctx: typer.Context, kind: Who, person: Person, as_json: AsJson = False) -> None:
    """Print a link that signs somebody in, once and within fifteen minutes."""
    link = run(_link(ctx, kind, person))
    if as_json:
        print_json({"link": link})
    else:
        print_line(link)


def token(
    ctx: typer.Context,
    kind: Who,
    person: Person,
    days: Annotated[int, typer.Option("--days", min=1, max=400, help="How long it works.")] = DAYS,
    as_json: AsJson = False,
) -> None:
    """Print a bearer token for scripts: Authorization: Bearer …"""
    made = run(_token(ctx, kind, person, days))
    if as_json:
        print_json({"token": made, "days": days})
    else:
        print_line(made)


def checked_email(text: str) -> str:
    """An e-mail address in its usual form. Raises UsedWrongly."""
    from email_validator import EmailNotValidError, validate_email

    try:
        return validate_email(text, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise UsedWrongly(f"{text[:80]!r} is no e-mail address: {error}") from None


async def _add_operator(ctx: typer.Context, email: str, name: str) -> PersonId:
    from dispatch.flows.people import sessions

    if not name.strip() or len(name) > 200:
        raise UsedWrongly("--name must have 1 to 200 characters.")
    async with at_desk(ctx) as rt:
        return await sessions.add_operator(rt, name.strip(), email)


async def _link(ctx: typer.Context, kind: Kind, word: str) -> str:
    from dispatch.flows.people import sessions

    async with at_desk(ctx) as rt:
        secret = await sessions.create_login_link(rt, await person_named(rt, kind, word))
        return f"{rt.settings.base_url}/login#{secret}"


async def _token(ctx: typer.Context, kind: Kind, word: str, days: int) -> str:
    from dispatch.flows.people import sessions

    async with at_desk(ctx) as rt:
        person_id = await person_named(rt, kind, word)
        return await sessions.create_token(rt, person_id, timedelta(days=days))


async def person_named(rt: Runtime, kind: Kind, word: str) -> PersonId:
    """Whom an id, a ref or an e-mail address means. Raises NotFound."""
    from data.records.ids import PersonId
    from data.store.sessions import Login
    from dispatch.flows.people import sessions

    if "@" in word and (known := await sessions.find_login(rt, Login(kind), word)):
        return known.id
    if kind is Kind.FRIEND:
        return PersonId(await friend_named(rt, word))
    try:
        return PersonId(UUID(word))
    except ValueError:
        from dispatch.rules.refusals import NotFound

        raise NotFound(
            f"there is no operator {word[:80]!r}; `tekkie operators add` adds one"
        ) from None


async def friend_named(rt: Runtime, word: str) -> FriendId:
    """The friend an id, a ref or an e-mail address means. Raises NotFound."""
    from data.records.ids import FriendId
    from data.store import friends
    from data.store.sessions import Login
    from dispatch.flows.people import sessions
    from dispatch.flows.read_only import read_connection
    from dispatch.rules.refusals import NotFound

    async with read_connection(rt) as tx:
        found = await friends.find_id(tx, word.lower() if _is_id(word) else word)
    if found is not None:
        return found
    if "@" in word and (known := await sessions.find_login(rt, Login.FRIEND, word)):
        return FriendId(known.id)
    raise NotFound(f"there is no friend {word[:80]!r}; `tekkie friends list` shows them")


def _is_id(word: str) -> bool:
    try:
        UUID(word)
    except ValueError:
        return False
    return True
