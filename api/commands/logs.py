"""How log lines are written: structured, on stderr, without personal data."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

# What the database says about a refused row quotes the row.
DETAIL: Final = re.compile(r"^(DETAIL|CONTEXT|HINT):.*$", re.MULTILINE)
EMAIL: Final = re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)+")
PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}\b")
SECRET: Final = re.compile(r"\b(tk_(live|test)_|ts_)[A-Za-z0-9_-]{8,}")
NOISY: Final = ("apscheduler", "httpx2", "httpcore2", "asyncio", "uvicorn")

Entry = MutableMapping[str, Any]


def configure(log_format: str, *, level: int = logging.INFO) -> None:
    """Send everything logged in this process to stderr, as text for people or as JSON."""
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    as_json = log_format == "json"
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                without_personal_data,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def without_personal_data(logger: object, method: str, entry: Entry) -> Entry:
    """Black out what looks like an address, a number or a key, wherever it stands."""
    return {key: _clean(value) for key, value in entry.items()}


def _clean(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    value = DETAIL.sub(r"\1: …", value)
    value = EMAIL.sub("…@…", value)
    value = PHONE.sub("+…", value)
    return SECRET.sub(r"\1…", value)
