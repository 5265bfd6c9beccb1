"""Ids as they are typed: whole, or the few digits that are shown elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from uuid import UUID

from api.cli.exit_codes import UsageError

if TYPE_CHECKING:
    from data.store.consistency import IdKind
    from dispatch.runtime import Runtime

DIGITS: Final = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")
# What is done to people is not done to somebody whose id a mistyped ref happens to resemble.
FEWEST: Final = {"booking": 4, "message": 4, "friend": 8, "operator": 8}


async def find_id(rt: Runtime, kind: IdKind, word: str, *, listed_by: str) -> UUID:
    """The one id of this kind that `word` is, ends or begins. Raises NotFound, UsageError."""
    from dispatch.rules.refusals import NotFound

    text = word.strip().lower()
    try:
        return UUID(text)
    except ValueError:
        if not DIGITS.fullmatch(text):
            raise UsageError(
                f"{word[:80]!r} is no id: give one, or at least the last four digits of one; "
                f"`{listed_by}` shows them."
            ) from None
    found = await ids_like(rt, kind, text)
    if not found:
        raise NotFound(f"there is no {kind} {word[:80]!r}; `{listed_by}` shows them")
    if len(found) > 1:
        raise UsageError(
            f"{word[:80]!r} may be any of {', '.join(map(str, found))}: give more digits."
        )
    return found[0]


async def ids_like(rt: Runtime, kind: IdKind, text: str) -> list[UUID]:
    """A few ids of this kind that end or begin with these digits."""
    from data.store import consistency
    from dispatch.flows.read_only import read_connection

    if not DIGITS.fullmatch(text) or len(text) < FEWEST[kind]:
        return []
    async with read_connection(rt) as tx:
        return await consistency.ids_like(tx, kind, text)
