"""Imports friends from a file, or from its text as the desk's page sends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from data.seed import catalogue
from dispatch.flows.people import friends
from dispatch.flows.people.friends import EmailTaken, ImportCounts
from dispatch.runtime import Runtime
from geo.friend_import.reader import TEXT_ENDINGS, Row, read, read_text
from geo.row_errors import RowError

ENDINGS: Final = TEXT_ENDINGS
LISTED_MAX: Final = 1000
NO_CHANGES: Final = ImportCounts(created=0, changed=0, unchanged=0)
CURE: Final = "give each friend a different address"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """The result of an import: counts of friends, the errors, and the rows that have some.

    `imported` is false when nothing was imported, as for a dry run.
    """

    done: ImportCounts
    faults: Sequence[RowError]
    bad: int
    good: int
    imported: bool


@dataclass(slots=True)
class Checked:
    """The rows of a file: the good ones, the errors of the others, and how many others."""

    rows: list[Row]
    faults: list[RowError]
    bad: int = 0
    unreadable: bool = False


def check(
    found: Iterable[Row | RowError],
    *,
    listed_max: int | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Checked:
    """Read everything; at most `listed_max` errors are kept."""
    checked, last = Checked([], []), 0
    for one in found:
        if isinstance(one, Row):
            checked.rows.append(one)
        else:
            # An error of the whole file is always told.
            if listed_max is None or len(checked.faults) < listed_max or one.line == 0:
                checked.faults.append(one)
            checked.unreadable |= one.line == 0
            # The errors of a line follow one another.
            checked.bad, last = checked.bad + (one.line not in {0, last}), one.line
        progress(len(checked.rows) + checked.bad)
    return checked


async def import_text(
    rt: Runtime, filename: str, text: str, *, dry_run: bool, skip_bad: bool, actor: str
) -> ImportReport:
    """Import the text of a file, like `import_checked`; `filename` ends in one of ENDINGS."""
    ending = Path(filename).suffix.lower()
    known = catalogue.load().certificates.keys()
    checked = await asyncio.to_thread(
        lambda: check(read_text(ending, text, rt.gazetteer, known), listed_max=LISTED_MAX)
    )
    return await import_checked(rt, checked, dry_run=dry_run, skip_bad=skip_bad, actor=actor)


def check_file(
    rt: Runtime, path: Path, *, progress: Callable[[int], None] = lambda rows: None
) -> Checked:
    """Read and check a file."""
    known = catalogue.load().certificates.keys()
    return check(read(path, rt.gazetteer, known), progress=progress)


async def import_checked(
    rt: Runtime,
    checked: Checked,
    *,
    actor: str,
    dry_run: bool = False,
    skip_bad: bool = False,
    progress: Callable[[int], None] = lambda rows: None,
) -> ImportReport:
    """Import the good rows; nothing when a row is bad, unless `skip_bad`.

    A dry run writes nothing and counts the good rows.
    """
    done, faults, bad = NO_CHANGES, list(checked.faults), checked.bad
    rows = [] if checked.unreadable else checked.rows
    try:
        done, taken = await friends.import_rows(
            rt,
            rows,
            actor=actor,
            bad=bad + checked.unreadable,
            skip_bad=skip_bad and not checked.unreadable,
            dry_run=dry_run,
            progress=progress,
        )
    except EmailTaken as error:
        faults.append(RowError(line=error.line, field="email", problem=error.problem, cure=CURE))
        return ImportReport(done=done, faults=faults, bad=bad, good=len(rows), imported=False)
    for row, owner in taken:
        problem = f"it belongs to the friend {owner}"
        faults.append(RowError(line=row.line, field="email", problem=problem, cure=CURE))
    bad += len(taken)
    faults.sort(key=lambda fault: fault.line)
    imported = not (dry_run or checked.unreadable) and (skip_bad or not bad)
    return ImportReport(
        done=done, faults=faults, bad=bad, good=len(rows) - len(taken), imported=imported
    )
