import json

import pytest

from data.db import transaction
from data.store import consistency
from tests.builders import book_job, import_neighbours

PARK = "UPDATE messages SET state = 'parked', problem = 'the mail server refused it: 550'"


@pytest.fixture
def parked(in_service):
    """The number of parked messages."""

    async def make(rt):
        await import_neighbours(rt, 2)
        await book_job(rt)
        async with transaction(rt.pool) as tx:
            await tx.execute(PARK)
            return len(await consistency.parked_messages(tx, 100))

    return in_service(make)


def test_parked_messages_are_listed_with_their_problem(tekkie, parked):
    found = json.loads(tekkie("messages", "parked", "--json").stdout)
    assert len(found) == parked > 1
    assert "550" in tekkie("messages", "parked").stdout


def test_one_or_all_messages_are_retried(tekkie, parked):
    first = json.loads(tekkie("messages", "parked", "--json").stdout)[0]["id"]
    assert "1 message will be retried." in tekkie("messages", "retry", first[-12:]).stderr
    assert tekkie("messages", "retry", first).exit_code == 1
    assert f"{parked - 1} message" in tekkie("messages", "retry", "--all").stderr
    assert "No parked messages." in tekkie("messages", "parked").stderr
