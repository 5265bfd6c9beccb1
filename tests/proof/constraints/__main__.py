"""python -m tests.proof.constraints: every forbidden row and transition, tried on a real server.

TEKKIE_TEST_DATABASE_URL names a server other than the bundled one, as for all tests; its figures
get a section of their own.
"""

import asyncio
import os
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from data import db
from data.postgres.client import EmbeddedPostgres
from tests.proof import page, report

BATTERY = report.ROOT / "tests" / "data" / "test_constraints.py"
FORBIDDEN = re.compile("refused|cannot_be_changed|later_state|may_not|predecessor")


class ResultCounter:
    """Counts the outcome of each statement tried."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of one test has ended."""
        if report.failed or report.skipped:
            self.failed.append(report.nodeid)
        elif report.when == "call":
            parts = re.split(r"[\[\]-]", report.nodeid)
            role = next((word for word in ("service", "owner") if word in parts), "service")
            if "test_the_service_may_not" in report.nodeid:
                role = "service"
            kind = self.refused if FORBIDDEN.search(report.nodeid) else self.accepted
            kind[role] += 1


def main() -> None:
    """Try all and write the figures into docs/proof.md; exit code 1 when one was accepted."""
    counter = ResultCounter()
    code = pytest.main([str(BATTERY), "-q", "-p", "no:randomly"], plugins=[counter])
    name = asyncio.run(_server_version())
    lines = [
        "Each statement differs in one respect from one that is accepted; those are tried too.",
        "",
        report.table(
            ("server", "forbidden, as service", "as owner", "all", "refused", "permitted"),
            [
                (
                    name,
                    counter.refused["service"],
                    counter.refused["owner"],
                    counter.refused.total() + len(counter.failed),
                    counter.refused.total(),
                    counter.accepted.total(),
                )
            ],
        ),
        "",
        f"**Accepted, or failed otherwise: {len(counter.failed)}.**",
        *(f"- `{one}`" for one in counter.failed[:20]),
    ]
    where = "another server" if "TEKKIE_TEST_DATABASE_URL" in os.environ else "the bundled server"
    section = "constraints-other" if where == "another server" else "constraints"
    page.write(
        section, f"Forbidden statements on {where}", "python -m tests.proof.constraints", lines
    )
    sys.exit(code)


async def _server_version() -> str:
    """The version of the server tested."""
    url = os.environ.get("TEKKIE_TEST_DATABASE_URL")
    if url:
        return await _read_version(url)
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder))
        server.start()
        try:
            return await _read_version(server.admin_dsn)
        finally:
            server.stop()


async def _read_version(dsn: str) -> str:
    connection = await db.connect(dsn, application="proof", path="pg_catalog")
    try:
        return f"PostgreSQL {await connection.fetchval('SHOW server_version')}"
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
