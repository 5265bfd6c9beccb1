import ast
from pathlib import PurePosixPath

import pytest

from tests.architecture.source import files, name, tree

# The relay has a short one of its own, to settle and claim; migrate.py applies files; through a
# pooler every statement by itself is one.
ALLOWED = (
    "data/db.py",
    "data/server_session.py",
    "data/migrate.py",
    "dispatch/flows/*.py",
    "dispatch/flows/*/*.py",
    "scheduler/relay.py",
)


def openings(module: ast.Module) -> list[int]:
    calls = (node for node in ast.walk(module) if isinstance(node, ast.Call))
    return [call.lineno for call in calls if called(call.func) == "transaction"]


def called(function: ast.expr) -> str | None:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def allowed(path: str) -> bool:
    return any(PurePosixPath(path).match(pattern) for pattern in ALLOWED)


def test_transactions_open_only_in_flows():
    found = [
        f"{name(file)}:{line}"
        for file in files()
        if not allowed(name(file))
        for line in openings(tree(file))
    ]
    assert found == [], "a transaction begins and ends in dispatch/flows and nowhere else"


@pytest.mark.parametrize(
    "planted",
    [
        "async with db.transaction(pool) as tx: pass",
        "async with transaction(pool) as tx: pass",
        "async with connection.transaction(): pass",
    ],
)
def test_a_planted_transaction_is_found(planted):
    assert openings(ast.parse(f"async def route():\n    {planted}\n")) == [2]


def test_a_route_is_not_a_flow():
    assert allowed("dispatch/flows/jobs/commands.py")
    assert not allowed("api/routes/bookings.py")
    assert not allowed("scheduler/deadlines.py")
