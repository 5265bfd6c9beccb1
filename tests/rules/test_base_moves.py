from datetime import timedelta

import pytest

from data.enums import AreaKind
from data.records.people import Area
from dispatch.rules.policy import POLICY, Policy
from dispatch.rules.trust.base_moves import BaseMovedLately, adds_area, check_move_allowed, is_move
from geo.point import Point
from tests.rules.facts import NOW

DAY = timedelta(hours=24)
MOMENT = timedelta(microseconds=1)
HERE, THERE = Point(47.0, 8.0), Point(47.0, 8.001)


def test_a_base_is_moved_when_it_was_somewhere_else():
    assert is_move(HERE, THERE)
    assert not is_move(HERE, HERE)
    assert not is_move(None, THERE)


def test_an_area_that_was_not_there_is_a_move_and_one_less_is_none():
    one, other = (
        Area(kind=AreaKind.CIRCLE, lat=47.0, lon=8.0, radius_m=radius_m)
        for radius_m in (5000, 4999)
    )
    assert adds_area([], [one])
    assert adds_area([one], [other]), "a smaller area measures as well as another one"
    assert not adds_area([one, other], [one])
    assert not adds_area([one], [])
    with pytest.raises(BaseMovedLately) as refused:
        check_move_allowed(NOW, NOW, POLICY, field="areas")
    assert refused.value.field == "areas"


@pytest.mark.parametrize("ago", [DAY, DAY + MOMENT, None])
def test_a_day_after_the_last_move_the_base_may_be_moved(ago):
    check_move_allowed(None if ago is None else NOW - ago, NOW, POLICY)


@pytest.mark.parametrize("ago", [timedelta(0), DAY - MOMENT, -DAY])
def test_an_earlier_move_is_refused(ago):
    with pytest.raises(BaseMovedLately):
        check_move_allowed(NOW - ago, NOW, POLICY)


def test_a_move_at_the_time_named_in_the_refusal_is_allowed():
    moved_at = NOW - DAY + timedelta(seconds=90, microseconds=1)
    with pytest.raises(BaseMovedLately, match="again at 2026-03-02T09:01:31Z"):
        check_move_allowed(moved_at, NOW, POLICY)
    check_move_allowed(moved_at, NOW + timedelta(seconds=91), POLICY)


def test_the_interval_is_set_by_the_policy():
    check_move_allowed(NOW, NOW, Policy(base_moves_every=timedelta(0)))
