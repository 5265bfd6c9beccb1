"""Friends taken in from the text of a file, as the desk's page sends it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from data.seed import catalogue
from dispatch.flows.people import friends
from dispatch.flows.people.friends import EmailTaken, TakenIn
from dispatch.runtime import Runtime
from geo.friend_import.reader import Row, read
from geo.gazetteer.offline import Gazetteer
from geo.row_errors import Fault

ENDINGS: Final = frozenset({".csv", ".tsv", ".txt", ".geojson", ".json"})
NOTHING: Final = TakenIn(created=0, changed=0, unchanged=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of a file: how many friends it made or changed, and its bad rows."""

    done: TakenIn
    faults: Sequence[Fault]


async def take_in_text(
    rt: Runtime, filename: str, text: str, *, dry_run: bool, skip_bad: bool, actor: str
) -> Report:
    """Take in a file; nothing when a row is bad, unless `skip_bad`. A dry run only says what would.

    `filename` ends in one of ENDINGS.
    """
    rows, faults = await asyncio.to_thread(_checked, filename, text, rt.gazetteer)
    if (faults and not skip_bad) or any(fault.line == 0 for fault in faults):
        return Report(done=NOTHING, faults=faults)
    try:
        if dry_run:
            return Report(done=await friends.try_in(rt, rows), faults=faults)
        return Report(done=await friends.take_in(rt, rows, actor=actor), faults=faults)
    except EmailTaken as taken:
        cure = "give each friend an address of his own"
        fault = Fault(line=taken.line, field="email", problem=taken.problem, cure=cure)
        return Report(done=NOTHING, faults=[*faults, fault])


def _checked(filename: str, text: str, gazetteer: Gazetteer) -> tuple[list[Row], list[Fault]]:
    """The good and the bad rows; what checks files reads them from a folder that is soon gone."""
    rows: list[Row] = []
    faults: list[Fault] = []
    with TemporaryDirectory(prefix="tekkie-") as folder:
        path = Path(folder) / f"friends{Path(filename).suffix.lower()}"
        path.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
        for one in read(path, gazetteer, catalogue.load().certificates.keys()):
            if isinstance(one, Fault):
                faults.append(one)
            else:
                rows.append(one)
    return rows, faults
