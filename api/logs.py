"""Where log lines go: to stderr, as text or as JSON, ids only.

Tracebacks carry no values of variables, and nothing of the rows PostgreSQL quotes in a DETAIL.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any, Final, Literal

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

LEFT_OUT: Final = "(left out: it may name somebody)"
CAUSES_MAX: Final = 20


def configure(log_format: Literal["text", "json"], level: int = logging.INFO) -> None:
    """Send everything that is logged, by structlog or by logging, to stderr in one format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_common(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(log_format),
            ],
        )
    )
    root = logging.getLogger()
    for former in tuple(root.handlers):
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(level)
    _route_others()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_common(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _route_others() -> None:
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"
    # Every line of it would carry a path with an id, and perhaps a customer's token.
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _common() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _plain_traceback,
    ]


def _renderers(log_format: Literal["text", "json"]) -> list[Processor]:
    if log_format == "json":
        return [
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]


def _plain_traceback(logger: WrappedLogger, method: str, entry: EventDict) -> EventDict:
    details = list(_details(_raised(entry)))
    entry = structlog.processors.format_exc_info(logger, method, entry)
    for detail in details:
        entry["exception"] = entry["exception"].replace(detail, LEFT_OUT)
    return entry


def _raised(entry: EventDict) -> BaseException | None:
    given: Any = entry.get("exc_info")
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return given[1] if isinstance(given[1], BaseException) else None
    return sys.exc_info()[1] if given else None


def _details(error: BaseException | None) -> Iterator[str]:
    for _ in range(CAUSES_MAX):
        if error is None:
            return
        detail = getattr(error, "detail", None)
        if isinstance(detail, str) and detail:
            yield detail
        error = error.__cause__ or error.__context__
