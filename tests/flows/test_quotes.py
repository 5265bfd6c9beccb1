"""What a quote says of the helpers: by cells and steps of time."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from data.markets import Market
from data.records.ids import FriendId
from dispatch.flows.jobs import orders
from dispatch.flows.people import friends
from dispatch.flows.people.friends import ProfileChange
from dispatch.flows.places import supply
from dispatch.flows.places.coverage import PublicMaps
from dispatch.flows.places.supply import count_supply
from dispatch.rules.policy import RankBy
from geo import cells
from geo.gazetteer.addresses import AddressRefused
from geo.geocode import Address
from geo.point import Point
from tests.builders import ZURICH, book_job, friend_row, import_friends, north, order

GENEVA = Point(46.2044, 6.1432)


async def helpers(rt, point=ZURICH):
    quote = await orders.quote(
        rt, package="wifi-setup", address=order().address, point=point, partner_id=None
    )
    return quote.helpers


@pytest.mark.parametrize("rank_by", RankBy)
async def test_a_quote_counts_from_the_middles_of_cells_whatever_dispatch_ranks_by(rt, rank_by):
    rt.policy = replace(rt.policy, rank_by=rank_by)
    cell = cells.centre(ZURICH)
    await import_friends(rt, [friend_row("f1", north(800, cell), radius_m=1_100)])
    assert [await helpers(rt, north(away_m, cell)) for away_m in (-450, 0, 450)] == ["1-4"] * 3
    assert await helpers(rt, north(-2_000, cell)) == "0"


async def test_a_quote_changes_in_steps_of_time(rt, clock):
    refs = await import_friends(rt, [friend_row("f1", ZURICH)])
    await clock.set((await clock.now()).replace(minute=2))
    assert await helpers(rt) == "1-4"
    await friends.change_profile(rt, FriendId(refs["f1"]), ProfileChange(paused=True))
    await clock.advance(timedelta(minutes=12))
    assert await helpers(rt) == "1-4"
    assert await helpers(rt, north(2_000)) == "1-4"
    await clock.advance(timedelta(minutes=2))
    assert await helpers(rt) == "0"


async def test_one_count_serves_all_who_wait_and_holds_no_connection(rt, monkeypatch):
    await import_friends(rt, [friend_row("f1", ZURICH)])
    counted = []

    def count(friends, needs, policy):
        counted.append(rt.pool.get_size() - rt.pool.get_idle_size())
        return count_supply(friends, needs, policy)

    monkeypatch.setattr(supply, "count_supply", count)
    assert await asyncio.gather(*(helpers(rt) for _ in range(5))) == ["1-4"] * 5
    assert len(counted) == 1
    monkeypatch.setattr(rt, "supply", None)
    assert await helpers(rt) == "1-4"
    assert counted[1] == 0


async def test_a_request_from_an_earlier_step_does_not_begin_it_anew(rt, clock):
    await import_friends(rt, [friend_row("f1", ZURICH)])
    steps, now, wifi = supply.supply_steps(rt), await clock.now(), rt.packages["wifi-setup"]
    newest = await steps.supply(wifi, Market.CH, now)
    rt.index.load([])
    assert await steps.supply(wifi, Market.CH, now - rt.policy.supply_step) is newest
    assert await steps.supply(wifi, Market.CH, now) is newest


async def test_after_the_clock_was_set_back_quotes_change_again(rt, clock):
    refs = await import_friends(rt, [friend_row("f1", ZURICH)])
    now = await clock.now()
    await clock.set(now + timedelta(days=1))
    assert await helpers(rt) == "1-4"
    await friends.change_profile(rt, FriendId(refs["f1"]), ProfileChange(paused=True))
    await clock.set(now)
    assert await helpers(rt) == "0"


async def test_a_count_that_failed_or_was_ended_is_made_again(rt, clock, monkeypatch):
    await import_friends(rt, [friend_row("f1", ZURICH)])

    def fail(friends, needs, policy):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(supply, "count_supply", fail)
        with pytest.raises(MemoryError):
            await helpers(rt)
    assert await helpers(rt) == "1-4"
    steps, now, wifi = supply.supply_steps(rt), await clock.now(), rt.packages["wifi-setup"]
    steps.counts.clear()
    waiting = asyncio.create_task(steps.supply(wifi, Market.CH, now))
    await asyncio.sleep(0)
    [count] = steps.counts.values()
    count.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await helpers(rt) == "1-4"


async def test_a_move_within_the_cell_of_a_quote_changes_neither_quotes_nor_map(rt, clock):
    """At the edge of a cell of the map too: both count from the middle of the smaller cell."""
    base = Point(lat=47.3667, lon=8.5410)
    refs = await import_friends(rt, [friend_row("alone", base, radius_m=5_000)])
    seen = set()
    middle = cells.centre(base)
    for away_m in (-480, 0, 480):
        moved = north(away_m, middle)
        assert cells.centre(moved) == middle
        change = ProfileChange(base=moved)
        await friends.change_profile(rt, FriendId(refs["alone"]), change)
        await clock.advance(timedelta(days=1, minutes=15))
        areas = await PublicMaps(rt).areas("wifi-setup", Market.CH)
        answers = [await helpers(rt, north(step, base)) for step in range(-8_000, 8_001, 500)]
        seen.add((tuple(area.shape.wkt for area in areas), tuple(answers)))
    assert len(seen) == 1


async def test_an_order_whose_point_lies_far_from_its_postcode_is_refused_with_both_named(rt):
    with pytest.raises(AddressRefused, match=r"Genève .* postcode 8001 \(Zürich, CH\)"):
        await book_job(rt, point=GENEVA)
    with pytest.raises(AddressRefused, match="'8001' is not one of DE"):
        await book_job(rt, address=Address(street="A 1", postcode="8001", city="", country="DE"))
