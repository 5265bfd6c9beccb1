"""Every failure as one clear sentence with its cure, and the exit code that goes with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

REFUSED: Final = 1
USED_WRONGLY: Final = 2
INTERRUPTED: Final = 130


class Failed(Exception):
    """A command cannot do what was asked; the text says why and what helps."""


class UsedWrongly(Failed):
    """What was typed makes no sense; the text says what would."""


@contextmanager
def said(*, debug: bool) -> Iterator[None]:
    """Turn exceptions into a sentence on stderr and an exit code, unless `debug`."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        raise
    except Exception as error:
        if debug or _is_typers_own(error):
            raise
        sentence, code = explain(error)
        from api.cli.output import words

        words().print(f"[bold red]error[/] {_escaped(sentence)}", highlight=False)
        raise typer.Exit(code) from None


def explain(error: BaseException) -> tuple[str, int]:
    """The sentence for an error, and the exit code."""
    from data.db import DatabaseError
    from data.seed.town import TownUnknown
    from data.settings import SettingsInvalid
    from dispatch.rules.refusals import Refused
    from geo.gazetteer.offline import AddressRefused, GazetteerMissing

    if isinstance(error, UsedWrongly | SettingsInvalid):
        return str(error), USED_WRONGLY
    if isinstance(error, Refused):
        return _refusal(error), REFUSED
    if isinstance(error, Failed | DatabaseError | AddressRefused | GazetteerMissing | TownUnknown):
        return str(error), REFUSED
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the system'}: {error.strerror}.", REFUSED
    kind = type(error).__name__
    return f"A fault of tekkie itself ({kind}: {error}); --debug shows where.", REFUSED


def _refusal(refused: Exception) -> str:
    from dispatch.rules.refusals import NotFound

    title = (type(refused).__doc__ or "").partition("\n")[0]
    detail = str(refused)
    if isinstance(refused, NotFound) or not detail:
        return _sentence(detail or title)
    return f"{title} {_sentence(detail)}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _is_typers_own(error: Exception) -> bool:
    return isinstance(error, typer.Exit | typer.Abort | typer.TyperException)
