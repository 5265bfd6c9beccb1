"""A short slice of `python -m tests.proof.hostile`."""

import pytest

from tests.proof.hostile.__main__ import try_attack
from tests.proof.hostile.target import Named, attacks, open_target

pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("hostile")]


@pytest.fixture(scope="module")
async def target():
    async with open_target(is_whole=False) as opened:
        yield opened


@pytest.mark.parametrize("one", attacks(is_whole=False), ids=lambda one: one.name)
async def test_an_attack_stays_within_its_bound(target, one):
    assert await one.attack(target), f"{one.name} measured nothing"


async def test_an_attack_beyond_its_bound_is_a_violation(target):
    async def attack(target):
        raise AssertionError("900 MB, not 100")

    assert await try_attack(Named("big", "Big", attack), target) == ([], "900 MB, not 100")
