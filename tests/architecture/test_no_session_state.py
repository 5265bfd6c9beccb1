"""A released connection is not reset, so no statement may leave anything behind on it."""

import re
from pathlib import Path

import pytest

QUERIES = Path(__file__).parents[2] / "data" / "sql" / "queries"
# Migrations run on a connection of their own, and end their settings with the transaction.
LEAVES_SOMETHING = re.compile(
    r"(^|;)\s*(set\s+(?!local)|listen|declare|prepare|discard)\b|set_config\(|pg_(try_)?advisory_lock\(",
    re.IGNORECASE,
)


def leaving(text: str) -> list[str]:
    blocks = re.split(r"^-- name: .*$", text, flags=re.MULTILINE)
    plain = ["\n".join(x for x in b.splitlines() if not x.startswith("--")) for b in blocks]
    return [block.strip() for block in plain if LEAVES_SOMETHING.search(block.strip())]


@pytest.mark.parametrize("file", sorted(QUERIES.glob("*.sql")), ids=lambda file: file.name)
def test_no_statement_leaves_state_on_its_connection(file):
    assert leaving(file.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "planted",
    ["SET ROLE postgres", "LISTEN news", "SELECT set_config('a', 'b', false)",
     "SELECT pg_advisory_lock(1)"],
)  # fmt: skip
def test_a_planted_one_is_found(planted):
    assert leaving(f"-- name: planted\n{planted}\n") == [planted]
