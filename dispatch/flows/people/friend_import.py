"""Imports friends from the text of a file, as the desk's page sends it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from data.seed import catalogue
from dispatch.flows.people import friends
from dispatch.flows.people.friends import EmailTaken, ImportCounts
from dispatch.runtime import Runtime
from geo.friend_import.reader import Row, read
from geo.gazetteer.offline import Gazetteer
from geo.row_errors import RowError

ENDINGS: Final = frozenset({".csv", ".tsv", ".txt", ".geojson", ".json"})
NO_CHANGES: Final = ImportCounts(created=0, changed=0, unchanged=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """The result of an import: counts of friends, and the rejected rows."""

    done: ImportCounts
    faults: Sequence[RowError]


async def import_text(
    rt: Runtime, filename: str, text: str, *, dry_run: bool, skip_bad: bool, actor: str
) -> ImportReport:
    """Import a file; nothing when a row is rejected, unless `skip_bad`. A dry run writes nothing.

    `filename` ends in one of ENDINGS.
    """
    rows, faults = await asyncio.to_thread(_check_rows, filename, text, rt.gazetteer)
    if (faults and not skip_bad) or any(fault.line == 0 for fault in faults):
        return ImportReport(done=NO_CHANGES, faults=faults)
    try:
        if dry_run:
            return ImportReport(done=await friends.preview_import(rt, rows), faults=faults)
        return ImportReport(done=await friends.import_friends(rt, rows, actor=actor), faults=faults)
    except EmailTaken as taken:
        cure = "give each friend a different address"
        fault = RowError(line=taken.line, field="email", problem=taken.problem, cure=cure)
        return ImportReport(done=NO_CHANGES, faults=[*faults, fault])


def _check_rows(filename: str, text: str, gazetteer: Gazetteer) -> tuple[list[Row], list[RowError]]:
    """The valid and the rejected rows; the reader needs a file, so one is written temporarily."""
    rows: list[Row] = []
    faults: list[RowError] = []
    with TemporaryDirectory(prefix="tekkie-") as folder:
        path = Path(folder) / f"friends{Path(filename).suffix.lower()}"
        path.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
        for one in read(path, gazetteer, catalogue.load().certificates.keys()):
            if isinstance(one, RowError):
                faults.append(one)
            else:
                rows.append(one)
    return rows, faults
