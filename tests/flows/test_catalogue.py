"""Versions of packages in the database: bookings keep theirs, and all processes agree."""

import asyncio
import dataclasses
from datetime import timedelta

import pytest

from data.db import transaction
from data.enums import PackageTier
from data.markets import Currency, Language, Market
from data.records.catalogue import Catalogue
from data.records.ids import PersonId
from data.records.money import Money
from data.replace import replace
from data.seed.catalogue import load
from data.store import catalogue as rows
from data.store import jobs as store
from dispatch.flows import catalogue
from dispatch.flows.catalogue import BEGINS_AFTER
from dispatch.flows.jobs import commands
from dispatch.flows.people import sessions
from dispatch.rules.jobs.catalogue import PackageChanged
from dispatch.rules.refusals import NotFound
from tests.builders import asked_refs, book_job, import_neighbours, live_offers_of

CODE = "wifi-setup"
FRANCS = {Market.CH: Money(amount=9900, currency=Currency.CHF)}


@pytest.fixture
async def change(rt):
    """Writes the next version of a package, by an operator."""
    olga = await sessions.add_operator(rt, "Olga Pult", "olga@example.com", Language.EN)

    async def write(code=CODE, *, version=2, **changes):
        known = rt.catalogue.latest(code)
        wanted = replace(known, version=version, **changes)
        [latest, *_] = await catalogue.change(rt, wanted, by=PersonId(olga), actor="desk")
        return latest

    return write


async def test_a_booking_keeps_the_terms_it_was_sold_under(rt, clock, change):
    await import_neighbours(rt, 4)
    before = await book_job(rt)
    await change(minutes=120, prices=FRANCS)
    await clock.advance(BEGINS_AFTER)
    after = await book_job(rt)
    assert (after.job.booking.price.amount, after.job.booking.package_version) == (9900, 2)
    offer = live_offers_of(before)[0]
    job = (await commands.accept(rt, offer.id, offer.friend_id)).job
    assert (job.package.version, job.package.minutes) == (1, load().packages[CODE].minutes)
    assert job.booking.price == load().packages[CODE].prices[Market.CH]


async def test_a_version_is_sold_from_its_moment_even_where_it_is_not_shown_yet(rt, clock, change):
    await import_neighbours(rt, 4)
    begins = await clock.now() + timedelta(days=1)
    await change(prices=FRANCS, valid_from=begins)
    await clock.set(begins - timedelta(microseconds=1))
    assert (await book_job(rt)).job.booking.package_version == 1
    await clock.set(begins)
    assert rt.packages[CODE].version == 1
    assert (await book_job(rt)).job.booking.package_version == 2


async def test_other_processes_learn_of_a_version_and_show_it_when_it_begins(rt, clock, change):
    other = another_process(rt)
    await change(minutes=120)
    await catalogue.refresh(other)
    assert other.packages[CODE].minutes == load().packages[CODE].minutes
    await clock.advance(BEGINS_AFTER)
    await catalogue.refresh(other)
    assert other.packages[CODE].minutes == 120


async def test_a_process_that_is_behind_decides_by_the_terms_of_the_booking(rt, clock, change):
    await import_neighbours(rt, 4)
    behind = Catalogue(load().packages.values())
    await change(minutes=120)
    await clock.advance(BEGINS_AFTER)
    done = await book_job(rt)
    async with transaction(rt.pool) as tx:
        job = await store.read(tx, done.job.booking.id, behind)
    assert job.package.minutes == 120


async def test_a_market_with_a_tier_of_its_own_asks_the_friends_of_that_tier(rt, clock, change):
    refs = await import_neighbours(rt, 4)
    await change(tiers={Market.CH: PackageTier.PRO})
    await clock.advance(BEGINS_AFTER)
    assert asked_refs(await book_job(rt), refs) == []


async def test_of_two_who_change_a_package_at_once_one_is_told(rt, change):
    outcomes = await asyncio.gather(change(minutes=90), change(minutes=95), return_exceptions=True)
    assert [isinstance(one, PackageChanged) for one in outcomes].count(True) == 1
    assert [one.package.version for one in await catalogue.history(rt, CODE)] == [2, 1]


async def test_of_two_who_add_the_same_package_at_once_one_is_told(rt, change):
    new = replace(rt.catalogue.latest(CODE), code="tea-making")
    rt.catalogue.add([new])
    both = (change("tea-making", version=1, minutes=one) for one in (20, 25))
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert [isinstance(one, PackageChanged) for one in outcomes].count(True) == 1


async def test_the_catalogue_of_a_release_leaves_what_the_desk_has_changed(rt, change):
    await change(minutes=120)
    shipped = load()
    edited = {code: replace(one, minutes=one.minutes + 5) for code, one in shipped.packages.items()}
    del edited["quick-help"]
    release = replace(shipped, packages=edited)
    async with transaction(rt.pool) as tx:
        for _ in range(2):
            await rows.put(tx, release)
        found = await rows.read(tx)
    assert found.latest(CODE).minutes == 120
    other = next(code for code in edited if code != CODE)
    assert (found.latest(other).version, found.latest(other).minutes) == (2, edited[other].minutes)
    assert "quick-help" not in found.on_sale
    assert found.at("quick-help", 1) == shipped.packages["quick-help"]


async def test_packages_stand_in_the_order_of_the_release(rt, change):
    assert list(rt.packages) == list(load().packages)
    async with transaction(rt.pool) as tx:
        assert (await rows.read(tx)).codes() == list(load().packages)


async def test_a_package_of_an_unknown_partner_is_refused(rt, change):
    new = replace(rt.catalogue.latest(CODE), code="tea-making")
    rt.catalogue.add([new])
    with pytest.raises(NotFound, match="no such partner"):
        await change("tea-making", version=1, owner=rt.new_id())


def another_process(rt):
    """Another process on the same database, with a catalogue of its own."""
    return dataclasses.replace(rt, catalogue=Catalogue())
