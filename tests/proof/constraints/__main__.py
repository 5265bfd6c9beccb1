"""python -m tests.proof.constraints: every forbidden row and step, tried on a real server.

TEKKIE_TEST_DATABASE_URL takes another server than the bundled one, as for all tests. The figures of
both stand side by side.
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
from data.postgres.client import Embedded
from tests.proof import page, report

BATTERY = report.ROOT / "tests" / "data" / "test_constraints.py"
FORBIDDEN = re.compile("refused|rewritten|later_state|may_not|predecessor|no_value")


class Heard:
    """Counts what became of each act."""

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
    """Try all of it, and write how it went into docs/proof.md; exit code 1 when one was let in."""
    heard = Heard()
    code = pytest.main([str(BATTERY), "-q", "-p", "no:randomly"], plugins=[heard])
    name = asyncio.run(_version())
    lines = [
        "Each act differs from one that is accepted in one thing; the accepted ones are tried too.",
        "",
        report.table(
            ("server", "forbidden, as service", "as owner", "all", "refused", "permitted acts"),
            [
                (
                    name,
                    heard.refused["service"],
                    heard.refused["owner"],
                    heard.refused.total() + len(heard.failed),
                    heard.refused.total(),
                    heard.accepted.total(),
                )
            ],
        ),
        "",
        f"**Let in, or failed otherwise: {len(heard.failed)}.**",
        *(f"- `{one}`" for one in heard.failed[:20]),
    ]
    where = "another server" if "TEKKIE_TEST_DATABASE_URL" in os.environ else "the bundled server"
    section = "constraints-other" if where == "another server" else "constraints"
    page.write(
        section, f"Constraints attacked on {where}", "python -m tests.proof.constraints", lines
    )
    sys.exit(code)


async def _version() -> str:
    """What the server calls itself."""
    url = os.environ.get("TEKKIE_TEST_DATABASE_URL")
    if url:
        return await _asked(url)
    with tempfile.TemporaryDirectory() as folder:
        server = Embedded(Path(folder))
        server.start()
        try:
            return await _asked(server.admin_dsn)
        finally:
            server.stop()


async def _asked(dsn: str) -> str:
    connection = await db.connect(dsn, application="proof", path="pg_catalog")
    try:
        return f"PostgreSQL {await connection.fetchval('SHOW server_version')}"
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
