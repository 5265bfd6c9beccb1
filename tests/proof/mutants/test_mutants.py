"""Every planted bug is caught: all in a whole run, three random ones among the tests."""

import random
import time

import pytest

from data.postgres.client import EmbeddedPostgres
from tests.conftest import UNSAFE_SETTINGS
from tests.proof.mutants.bugs import BUGS
from tests.proof.mutants.sandbox import CannotApply, Mutant, Sandbox, mutant
from tests.proof.report import is_whole, table, write

QUICK = [bug for bug in BUGS if all(test.startswith("tests/rules/") for test in bug.tests)]
pytestmark = pytest.mark.timeout(3600)


@pytest.fixture
def sandbox(tmp_path) -> Sandbox:
    """A fresh copy of the tree."""
    return Sandbox.create(tmp_path / "copy", tmp_path / "server")


def test_every_bug_can_still_be_planted(sandbox):
    assert len(BUGS) >= 30
    assert len({bug.name for bug in BUGS}) == len(BUGS)
    for bug in BUGS:
        with sandbox._planted(bug):
            pass


@pytest.mark.skipif(is_whole(), reason="the whole run plants them all")
def test_three_random_bugs_are_caught(sandbox):
    drawn = random.sample(QUICK, 3)
    survivors = [bug.name for bug in drawn if sandbox.find_failure(bug) is None]
    assert survivors == []


def test_a_bug_that_no_longer_applies_fails_the_run(sandbox):
    gone = mutant("gone", "", "geo/cells.py", "no such text", "", "tests/geo/test_cells.py")
    with pytest.raises(CannotApply, match="0 times"):
        sandbox.find_failure(gone)


@pytest.mark.skipif(not is_whole(), reason="takes minutes: python -m tests.proof.mutants")
def test_every_planted_bug_is_caught(sandbox):
    with EmbeddedPostgres(sandbox.server, options=UNSAFE_SETTINGS):
        began = time.monotonic()
        caught = {bug: report(bug, find_test(sandbox, bug)) for bug in BUGS}
        took_s = time.monotonic() - began
    write("mutants", format_page(caught, took_s))
    assert [bug.name for bug, by in caught.items() if by is None] == []


def find_test(sandbox: Sandbox, bug: Mutant) -> str | None:
    """The test that fails with the bug and passes without it."""
    by = sandbox.find_failure(bug)
    if by is not None and "never ends" not in by and not sandbox.passes(by):
        print(f"{by} fails without the bug too", flush=True)  # noqa: T201
        return None
    return by


def report(bug: Mutant, by: str | None) -> str | None:
    print(f"{'caught' if by else 'SURVIVED':9} {bug.name}: {by}", flush=True)  # noqa: T201
    return by


def format_page(caught: dict[Mutant, str | None], took_s: float) -> str:
    found = sum(by is not None for by in caught.values())
    rows = [
        (bug.name, bug.breaks, f"`{by.removeprefix('tests/')}`" if by else "**no test**")
        for bug, by in caught.items()
    ]
    return (
        "## Planted bugs\n\n"
        f"`python -m tests.proof.mutants` plants {len(caught)} bugs in a copy of the tree, one by "
        f"one, and runs the tests that should notice: {found} of {len(caught)} were caught, in "
        f"{took_s / 60:.0f} minutes. Each test that failed passes without the bug.\n\n"
        + table(("the bug", "what it breaks", "caught by"), rows)
    )
