"""Failures of commands: one clear sentence with the cure, and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

REFUSED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130


class CommandFailed(Exception):
    """A command failed; the text says why and what helps."""


class UsageError(CommandFailed):
    """Invalid usage; the text says what is valid."""


@contextmanager
def report_errors(*, debug: bool) -> Iterator[None]:
    """Turn exceptions into a sentence on stderr and an exit code, unless `debug`."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        raise
    except Exception as error:
        if debug or _is_typer_error(error):
            raise
        sentence, code = describe_error(error)
        from api.cli.output import stderr_console

        stderr_console().print(f"[bold red]error[/] {_escaped(sentence)}", highlight=False)
        raise typer.Exit(code) from None


def describe_error(error: BaseException) -> tuple[str, int]:
    """The sentence and the exit code for an error."""
    from data.db import DatabaseError
    from data.seed.town import TownUnknown
    from data.setting_errors import SettingsInvalid
    from dispatch.rules.refusals import Refused
    from geo.gazetteer.offline import AddressRefused, GazetteerMissing

    if isinstance(error, UsageError | SettingsInvalid):
        return str(error), USAGE
    if isinstance(error, Refused):
        return _refusal(error), REFUSED
    if isinstance(
        error, CommandFailed | DatabaseError | AddressRefused | GazetteerMissing | TownUnknown
    ):
        return str(error), REFUSED
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the system'}: {error.strerror}.", REFUSED
    kind = type(error).__name__
    return f"Internal error ({kind}: {error}); --debug shows the traceback.", REFUSED


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


def _is_typer_error(error: Exception) -> bool:
    return isinstance(error, typer.Exit | typer.Abort | typer.TyperException)
