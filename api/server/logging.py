"""How log lines are written: structured, on stderr, with the request's number, about nobody.

Ids may stand in a line. What looks like a mail address, a telephone number or a key is blacked out
wherever it stands; tracebacks carry no values of variables, and nothing of the rows that PostgreSQL
quotes when it refuses one.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from typing import Any, Final

import structlog
from structlog.types import Processor

QUOTED: Final = re.compile(r"^(DETAIL|CONTEXT|HINT):.*$", re.MULTILINE)
EMAIL: Final = re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)+")
PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}\b")
SECRET: Final = re.compile(r"\b(tk_(live|test)_|ts_)[A-Za-z0-9_-]{8,}")
NOISY: Final = ("apscheduler", "httpx2", "httpcore2", "asyncio", "uvicorn")
CAUSES_MAX: Final = 20

Entry = MutableMapping[str, Any]


def configure(log_format: str, *, level: int = logging.INFO) -> None:
    """Send everything logged in this process to stderr, as text for people or as JSON."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_quoted_rows,
                without_personal_data,
                _renderer(log_format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in NOISY:
        noisy = logging.getLogger(name)
        noisy.setLevel(max(logging.WARNING, noisy.level))
    # Each of its lines carries a path, and with it an id or a customer's token.
    logging.getLogger("uvicorn.access").disabled = True
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _renderer(log_format: str) -> Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    # Its own choice of formatter would print the values of variables.
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )


def without_personal_data(logger: object, method: str, entry: Entry) -> Entry:
    """Black out what looks like an address, a number or a key, wherever it stands."""
    return {key: _clean(value) for key, value in entry.items()}


def _clean(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    value = QUOTED.sub(r"\1: …", value)
    value = EMAIL.sub("…@…", value)
    value = PHONE.sub("+…", value)
    return SECRET.sub(r"\1…", value)


def _without_quoted_rows(logger: Any, method: str, entry: Entry) -> Entry:
    details = list(_details(_raised(entry)))
    entry = structlog.processors.format_exc_info(logger, method, entry)
    for detail in details:
        entry["exception"] = entry["exception"].replace(detail, "…")
    return entry


def _raised(entry: Entry) -> BaseException | None:
    given = entry.get("exc_info")
    if isinstance(given, tuple):
        given = given[1]
    if isinstance(given, BaseException):
        return given
    return sys.exc_info()[1] if given else None


def _details(error: BaseException | None) -> Iterator[str]:
    """What PostgreSQL said about rows, in however many lines, along the chain of causes."""
    for _ in range(CAUSES_MAX):
        if error is None:
            return
        detail = getattr(error, "detail", None)
        if isinstance(detail, str) and detail:
            yield detail
        error = error.__cause__ or error.__context__
