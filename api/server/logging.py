"""Logging: structured lines on stderr with the request id and without personal data.

Ids may appear. Anything like a mail address, a telephone number or a key is redacted; tracebacks
contain no values of variables and nothing of the rows that PostgreSQL quotes in its errors.
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


def configure_logging(log_format: str, *, level: int = logging.INFO) -> None:
    """Log everything in this process to stderr, as text or (`log_format` "json") as JSON."""
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
    # Its lines contain paths, and with them ids and customers' tokens.
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
    # The default formatter would print the values of variables.
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )


def without_personal_data(logger: object, method: str, entry: Entry) -> Entry:
    """Redact mail addresses, telephone numbers and keys in every value."""
    return {key: _redact(value) for key, value in entry.items()}


def _redact(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    value = QUOTED.sub(r"\1: …", value)
    value = EMAIL.sub("…@…", value)
    value = PHONE.sub("+…", value)
    return SECRET.sub(r"\1…", value)


def _without_quoted_rows(logger: Any, method: str, entry: Entry) -> Entry:
    details = list(_error_details(_exception(entry)))
    entry = structlog.processors.format_exc_info(logger, method, entry)
    for detail in details:
        entry["exception"] = entry["exception"].replace(detail, "…")
    return entry


def _exception(entry: Entry) -> BaseException | None:
    info = entry.get("exc_info")
    if isinstance(info, tuple):
        info = info[1]
    if isinstance(info, BaseException):
        return info
    return sys.exc_info()[1] if info else None


def _error_details(error: BaseException | None) -> Iterator[str]:
    """The details of PostgreSQL's errors along the chain of causes; they quote rows."""
    for _ in range(CAUSES_MAX):
        if error is None:
            return
        detail = getattr(error, "detail", None)
        if isinstance(detail, str) and detail:
            yield detail
        error = error.__cause__ or error.__context__
