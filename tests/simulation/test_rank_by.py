"""The simulation with friends ranked by the coarse cell instead of the address."""

import pytest

from dispatch.rules.jobs import matching
from dispatch.rules.policy import RankBy
from tests.simulation.invariants import InvariantViolated
from tests.simulation.town import Town


def test_the_invariants_hold_when_friends_are_ranked_by_the_cell():
    by_cell = [Town(seed, RankBy.CELL).run() for seed in range(3)]
    assert len({town.digest for town in by_cell} | {Town(0).run().digest}) == 4


def test_ranking_by_the_address_against_the_policy_is_detected(monkeypatch):
    monkeypatch.setattr(matching, "reference_point", lambda address, cell, policy: address)
    with pytest.raises(InvariantViolated, match="the nearest who are fit"):
        Town(0, RankBy.CELL).run()
