"""What an attack is given, what it returns, and how the attacks are found.

Every module of this folder that defines `attack` is an attack; its docstring is its heading. An
attack is a coroutine function (target: Target) -> list[Figure]: it behaves as somebody outside,
asserts its bound (an AssertionError is a violation) and returns what it measured. One that defines
ONLY_WHOLE is no part of the short slice.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from tests.proof.deployment import Deployment, deploy, friend_groups

NO_ATTACKS = {"__main__", "target"}
GROUPS = 3
# Deadlines of connections in the short slice, by the names of their settings.
SHORT = {"headers_s": "2", "body_s": "2", "write_s": "1"}


class Figure(NamedTuple):
    """One row of the table: what was measured, its value with the unit, and the bound."""

    what: str
    value: str
    bound: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One API process, one worker and PostgreSQL; `is_whole` asks for the full length.

    An attack that needs other friends or settings opens a deployment of its own.
    """

    deployment: Deployment
    is_whole: bool

    @property
    def port(self) -> int:
        """The port of the API."""
        return self.deployment.apis[0].port


Attack = Callable[[Target], Awaitable[list[Figure]]]


class Named(NamedTuple):
    """An attack under the name of its module."""

    name: str
    title: str
    attack: Attack


def attacks(*, is_whole: bool = True) -> list[Named]:
    """Every attack of this folder, or those of the short slice, by name."""
    found = []
    for file in sorted(Path(__file__).parent.glob("*.py")):
        if file.stem in NO_ATTACKS or file.stem.startswith("test_"):
            continue
        module = import_module(f"tests.proof.hostile.{file.stem}")
        if hasattr(module, "attack") and (is_whole or not hasattr(module, "ONLY_WHOLE")):
            title = str(module.__doc__).splitlines()[0].rstrip(".")
            found.append(Named(file.stem, title, module.attack))
    return found


@asynccontextmanager
async def open_target(*, is_whole: bool) -> AsyncIterator[Target]:
    """A running deployment to attack, stopped and deleted afterwards."""
    settings = {"TEKKIE_ANONYMOUS_BOOKINGS": "confirm"}
    if not is_whole:
        settings |= {f"TEKKIE_{name.upper()}": value for name, value in SHORT.items()}
    async with deploy(
        friend_groups(GROUPS), apis=1, workers=1, is_limited=True, **settings
    ) as deployment:
        yield Target(deployment=deployment, is_whole=is_whole)
