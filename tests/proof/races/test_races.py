"""A short slice of `python -m tests.proof.races`."""

from random import Random

import pytest

from tests.flows.invariants import violations
from tests.proof.deployment import deploy, friend_groups
from tests.proof.races import conflicts, rounds


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("proof")
async def test_of_eight_accepts_at_once_one_wins_and_every_conflict_has_one_outcome():
    chance = Random(1)
    async with deploy(friend_groups(4), apis=2, workers=1) as deployment:
        results = await rounds.run(deployment, 100, chance, within_s=6)
        assert len(results) >= 4
        assert [text for one in results for text in one.violations] == []
        tallies = await conflicts.run(deployment, 4, chance, timed=("together",))
        assert [text for tally in tallies.values() for text in tally.violations] == []
        async with deployment.owner() as owner:
            assert await violations(owner) == []
        assert await rounds.count_deadlocks(deployment) == 0
