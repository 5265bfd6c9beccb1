"""The same town where friends are ranked by the customer's cell instead of her door."""

import pytest

from dispatch.rules.jobs import matching
from dispatch.rules.policy import RankBy
from tests.simulation.promises import Broken
from tests.simulation.town import Town


def test_no_promise_breaks_where_friends_are_ranked_by_the_cell():
    by_cell = [Town(seed, RankBy.CELL).live() for seed in range(3)]
    assert len({town.digest for town in by_cell} | {Town(0).live().digest}) == 4


def test_ranking_by_the_address_against_the_policy_is_detected(monkeypatch):
    monkeypatch.setattr(matching, "reference_point", lambda door, cell, policy: door)
    with pytest.raises(Broken, match="the nearest who are fit"):
        Town(0, RankBy.CELL).live()
