"""Who is asked, compared with brute force: no index and no rule of the product."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import repeat
from math import inf
from random import Random
from zoneinfo import ZoneInfo

import pytest
from pyproj import Geod

from data.db import transaction
from data.enums import BookingState, Outcome, Tier
from data.markets import Language, Market
from data.store import policies, read_models
from dispatch.flows.bootstrap import load_index
from dispatch.flows.jobs import commands
from dispatch.rules.jobs.replay import replay
from dispatch.rules.policy import RankBy, restore
from geo import cells
from tests.builders import (
    METRES_PER_DEGREE,
    ZURICH,
    asked_refs,
    book_job,
    friend_row,
    import_friends,
    import_neighbours,
    live_offers_of,
    north,
    order,
)
from tests.flows.invariants import check_distances, check_index, check_invariants

WGS84 = Geod(ellps="WGS84")
# Various values for each attribute; most friends could be asked.
CHOICES = {
    "radius_m": [500, 1_500, 4_000, 20_000, 20_000],
    "certificates": [("wifi", "mac"), ("wifi",), ("mac",), (), ("wifi", "tv")],
    "languages": [(Language.DE,), (Language.DE, Language.FR), (Language.FR,), (Language.EN,)],
    "tier": [Tier.FRIEND, Tier.FRIEND, Tier.FRIEND, Tier.PRO],
    "capacity": [1, 2, 3],
    "market": [Market.CH, Market.CH, Market.CH, Market.CH, Market.DE],
}
DAYS = [date(2026, 3, 2), date(2026, 3, 3)]
ALL_FRIENDS = """
    SELECT f.*, p.lat, p.lon, ARRAY(SELECT customer_key FROM blocks WHERE friend_id = f.id) keys,
      ARRAY(SELECT certificate FROM friend_certificates c WHERE c.friend_id = f.id
            AND c.valid @> $1::timestamptz) held,
      ARRAY(SELECT partner_id FROM partner_members m WHERE m.friend_id = f.id) clubs,
      (SELECT count(*) FROM offers o WHERE o.friend_id = f.id AND o.state = 'live'
       AND o.expires_at > $1) live
    FROM friends f JOIN people p ON p.id = f.id"""


def away_m(friend, booking) -> float:
    return WGS84.inv(friend["lon"], friend["lat"], booking.lon, booking.lat)[2]


def is_quiet(friend, now: datetime) -> bool:
    if friend["quiet_from"] is None:
        return False
    local = now.astimezone(ZoneInfo("Europe/Zurich"))
    minute = local.hour * 60 + local.minute
    span = (friend["quiet_until"] - friend["quiet_from"]) % 1440
    return (minute - friend["quiet_from"]) % 1440 < span


def is_off(friend, now: datetime) -> bool:
    local = now.astimezone(ZoneInfo("Europe/Zurich"))
    if local.date() in (friend["holidays"] or ()):
        return True
    if friend["week"] is None:
        return False
    minute = (local.weekday() * 24 + local.hour) * 60 + local.minute
    first, last = friend["week"]
    return not first <= minute < last


def reasons_against(friend, booking, certificates, tier, now: datetime) -> set[Outcome]:
    """Every reason not to ask a friend, written from DESIGN independently of the rules."""
    return {
        outcome
        for outcome, holds in {
            Outcome.INACTIVE: friend["state"] != "active",
            Outcome.WRONG_MARKET: friend["market"] != booking.market,
            Outcome.WRONG_TIER: friend["tier"] != tier,
            Outcome.NOT_CERTIFIED: not set(certificates) <= set(friend["held"]),
            Outcome.NO_SHARED_LANGUAGE: booking.language not in friend["languages"],
            Outcome.NOT_A_MEMBER: booking.members_only
            and booking.partner_id not in friend["clubs"],
            Outcome.OUT_OF_RADIUS: away_m(friend, booking) > friend["radius_m"],
            Outcome.BLOCKED: booking.customer_key in friend["keys"],
            Outcome.AT_CAPACITY: friend["open_jobs"] >= friend["capacity"],
            Outcome.TOO_MANY_OFFERS: friend["live"] >= 5,
            Outcome.QUIET_HOURS: is_quiet(friend, now),
            Outcome.OUTSIDE_PLAN: is_off(friend, now),
        }.items()
        if holds
    }


def nearest_four(everybody, booking, package, now):
    """The friends to ask by brute force: tier by tier, with every distance measured."""
    tiers = package.tier.split("_then_")
    for tier in tiers:
        fit = sorted(
            (away_m(f, booking), f["id"])
            for f in everybody
            if not reasons_against(f, booking, package.certificates, tier, now)
        )
        if fit:
            return tier, [friend_id for _, friend_id in fit[:4]]
    return tiers[-1], []


def check_reach(decision, everybody, booking, package, now) -> None:
    """Everybody whose own radius covers the place is counted, all when fewer than four fit."""
    counted = dict(zip(decision["reach_outcomes"], decision["reach_counts"], strict=True))
    away = {f["id"]: away_m(f, booking) for f in everybody}
    lines = zip(decision["friend_ids"], decision["outcomes"], strict=True)
    asked = [away[friend_id] for friend_id, outcome in lines if outcome == "OFFERED"]
    limit_m = inf if decision["reach_m"] is None else decision["reach_m"]
    assert (limit_m == inf) is (len(asked) < 4)
    inside = [f for f in everybody if away[f["id"]] <= min(f["radius_m"], limit_m)]
    assert sum(counted.values()) == len(inside)
    assert counted.get("OFFERED", 0) == sum(metres <= limit_m for metres in asked)
    for outcome in counted.keys() - {"OFFERED", "RANKED_BELOW_K"}:
        with_reason = [
            f
            for f in inside
            if any(
                outcome in reasons_against(f, booking, package.certificates, tier, now)
                for tier in package.tier.split("_then_")
            )
        ]
        assert 0 < counted[outcome] <= len(with_reason)


async def check_replays(rt, owner) -> None:
    """Every stored decision is made again, by the policy that is stored with it."""
    async with transaction(rt.pool) as tx:
        for row in await owner.fetch("SELECT id FROM bookings"):
            for decision in await read_models.decided(tx, row["id"]):
                policy = restore(await policies.numbers(tx, decision.policy_id))
                assert policy.fingerprint == rt.policy.fingerprint
                assert replay(decision, policy).equals(decision)


async def populate(rt, owner, chance: Random, count: int, partner) -> None:
    """Import friends at random places, some at the same one, with all reasons against them."""
    rows = []
    for number in range(count):
        spread_m = chance.choice([300, 2_000, 8_000])
        point = (
            rows[-1].point
            if rows and chance.random() < 0.15
            else replace(
                ZURICH,
                lat=ZURICH.lat + chance.gauss(0, spread_m) / METRES_PER_DEGREE,
                lon=ZURICH.lon + chance.gauss(0, spread_m) / METRES_PER_DEGREE * 1.47,
            )
        )
        chosen = {name: chance.choice(values) for name, values in CHOICES.items()}
        rows.append(friend_row(f"f{number}", point, **chosen))
    refs = await import_friends(rt, rows)
    for friend_id in refs.values():
        if chance.random() < 0.15:
            await owner.execute("UPDATE friends SET state = 'paused' WHERE id = $1", friend_id)
        if chance.random() < 0.2:
            await owner.execute(
                "UPDATE friends SET quiet_from = $2, quiet_until = $3 WHERE id = $1",
                friend_id,
                *chance.sample(range(0, 1440, 30), 2),
            )
        await owner.execute(
            "UPDATE friends SET week = $2, holidays = $3 WHERE id = $1",
            friend_id,
            chance.choice([*[None] * 8, sorted(chance.sample(range(0, 7000, 30), 2))]),
            chance.choice([*[None] * 8, [chance.choice(DAYS)] * 2]),
        )
        if chance.random() < 0.1:
            await owner.execute("UPDATE friends SET open_jobs = capacity WHERE id = $1", friend_id)
        if chance.random() < 0.4:
            await owner.execute("INSERT INTO partner_members VALUES ($1, $2)", partner, friend_id)
        if chance.random() < 0.2:
            await owner.execute(
                "INSERT INTO blocks SELECT $1, encode(sha256($2), 'hex'), true, moment()",
                friend_id,
                b"vera@example.com",
            )


def at_reference_point(booking, rank_by: RankBy):
    """The booking with the policy's reference point in place of its address."""
    if rank_by is RankBy.DOOR:
        return booking
    return replace(booking, lat=booking.cell_lat, lon=booking.cell_lon)


@pytest.mark.parametrize(
    ("seed", "rank_by"),
    [*zip(range(4), repeat(RankBy.DOOR)), *zip(range(4, 7), repeat(RankBy.CELL))],
)
async def test_the_offers_go_to_the_nearest_four_of_all_friends(
    rt, owner, clock, seed: int, rank_by: RankBy
):
    rt.policy = replace(rt.policy, rank_by=rank_by)
    chance = Random(seed)
    partner = rt.new_id()
    await owner.execute(
        "INSERT INTO partners (id, name, created_at) VALUES ($1, 'Partner', moment())", partner
    )
    await populate(rt, owner, chance, 120, partner)
    await load_index(rt)
    for _ in range(12):
        now = await clock.advance(timedelta(minutes=chance.randrange(40)))
        await commands.fire_due_timers(rt, 100)
        everybody = await owner.fetch(ALL_FRIENDS, now)
        place = replace(ZURICH, lat=ZURICH.lat + chance.gauss(0, 0.02), lon=ZURICH.lon)
        done = await book_job(
            rt,
            point=place,
            package=chance.choice(["wifi-setup", "new-mac", "internet-trouble", "quick-help"]),
            language=chance.choice([Language.DE, Language.FR]),
            email=chance.choice(["vera@example.com", "otto@example.com"]),
            partner_id=partner,
            members_only=chance.random() < 0.3,
        )
        package, booking = done.job.package, at_reference_point(done.job.booking, rank_by)
        tier, expected = nearest_four(everybody, booking, package, now)
        assert {offer.friend_id for offer in live_offers_of(done)} == set(expected)
        assert [o.distance_m for o in live_offers_of(done)] == sorted(
            o.distance_m for o in live_offers_of(done)
        )
        assert (booking.state is BookingState.UNFILLED) is (expected == [])
        decision = await owner.fetchrow("SELECT * FROM decisions WHERE booking_id = $1", booking.id)
        people = {f["id"]: f for f in everybody}
        for friend_id, outcome in zip(decision["friend_ids"], decision["outcomes"], strict=True):
            friend = people[friend_id]
            as_tier = friend["tier"] if tier == "pro" else tier
            reasons = reasons_against(friend, booking, package.certificates, as_tier, now)
            if outcome in ("OFFERED", "RANKED_BELOW_K"):
                assert not reasons
                assert (outcome == "OFFERED") is (friend_id in expected)
            else:
                assert outcome in reasons
        assert decision["policy"].endswith(f" by {rank_by}")
        check_reach(decision, everybody, booking, package, now)
    await check_replays(rt, owner)
    await check_distances(owner, rank_by)


async def test_by_cell_a_friend_is_asked_by_the_cell_alone(rt):
    """The address is beyond the friend's radius, the centre of the cell within it."""
    cell = cells.centre(ZURICH)
    address_point, beyond = north(-450, cell), north(1_000, cell)
    await import_friends(rt, [friend_row("f1", beyond, radius_m=1_100)])
    assert live_offers_of(await book_job(rt, point=address_point)) == []
    rt.policy = replace(rt.policy, rank_by=RankBy.CELL)
    [offer] = live_offers_of(await book_job(rt, point=address_point))
    assert abs(offer.distance_m - 1_000) < 5


CHANGES = {
    "paused": "UPDATE friends SET state = 'paused' WHERE ref = $1",
    "full": "UPDATE friends SET open_jobs = capacity WHERE ref = $1",
    "moved": "UPDATE people SET lat = lat + 1 WHERE id = (SELECT id FROM friends WHERE ref = $1)",
    "near": "UPDATE friends SET radius_m = 500 WHERE ref = $1",
    "ended": """UPDATE friend_certificates SET valid = tstzrange(lower(valid), moment(), '(]')
        WHERE friend_id = (SELECT id FROM friends WHERE ref = $1)""",
    "french": "UPDATE friends SET languages = '{fr}' WHERE ref = $1",
    "quiet": "UPDATE friends SET quiet_from = 0, quiet_until = 1439 WHERE ref = $1",
    "planned": "UPDATE friends SET week = '{0,1}' WHERE ref = $1",
    "away": "UPDATE friends SET holidays = ARRAY[moment(), moment()]::date[] WHERE ref = $1",
    "apart": """INSERT INTO blocks SELECT id, encode(sha256('vera@example.com'), 'hex'), true,
        moment() FROM friends WHERE ref = $1""",
}


async def test_a_change_unknown_to_the_index_is_seen_in_the_transaction(rt, owner, clock):
    refs = await import_friends(
        rt, [friend_row(ref, north(600 + n)) for n, ref in enumerate(CHANGES)]
    )
    refs |= await import_neighbours(rt, 5)
    await clock.advance(timedelta(seconds=1))
    for ref, statement in CHANGES.items():
        await owner.execute(statement, ref)
    await clock.advance(timedelta(seconds=1))
    await owner.execute("UPDATE people SET lat = lat + 0.03 WHERE id = $1", refs["f5"])
    done = await book_job(rt)
    assert asked_refs(done, refs) == ["f1", "f2", "f3", "f4"]
    row = await owner.fetchrow("SELECT * FROM decisions")
    names = {friend_id: ref for ref, friend_id in refs.items()}
    decision = {names[i]: o for i, o in zip(row["friend_ids"], row["outcomes"], strict=True)}
    for friend_id in [refs[ref] for ref in CHANGES]:
        assert all(o.friend_id != friend_id for o in done.job.offers)
    assert decision["f4"] == "OFFERED"
    for offer in live_offers_of(done):
        await commands.decline(rt, offer.id, offer.friend_id)
    loaded = await owner.fetch("SELECT DISTINCT friend_id FROM offers")
    assert {names[row["friend_id"]] for row in loaded} == {"f1", "f2", "f3", "f4", "f5"}


async def test_the_search_continues_past_friends_with_too_many_offers(rt, other, owner):
    rt.policy = other.policy = replace(rt.policy, live_offers_max=1)
    refs = await import_neighbours(rt, 30)
    await load_index(other)
    for _ in range(7):
        await book_job(other)
    done = await book_job(rt)
    assert asked_refs(done, refs) == ["f29", "f30"]
    await check_invariants(owner)


async def test_a_stale_copy_alone_never_leaves_a_booking_unfilled(rt, other, owner):
    """Offers made here were closed by another process: our copies still count them."""
    refs = await import_neighbours(rt, 4, capacity=1)
    await load_index(other)
    for _ in range(rt.policy.live_offers_max):
        done = await book_job(rt)
        assert len(live_offers_of(done)) == 4
        await commands.cancel(
            other, done.job.booking.id, actor="customer", reason="other", may_act=lambda job: True
        )
    assert asked_refs(await book_job(rt), refs) == ["f1", "f2", "f3", "f4"]
    await check_invariants(owner)


async def test_a_stale_copy_alone_never_reduces_the_number_of_offers(rt, owner):
    """One of our copies still counts offers that another process has closed."""
    refs = await import_neighbours(rt, 4)
    rt.adjust_counters(refs["f1"], live_offers=rt.policy.live_offers_max)
    assert asked_refs(await book_job(rt), refs) == ["f1", "f2", "f3", "f4"]
    await check_invariants(owner)


async def test_a_stale_copy_alone_never_prevents_an_accept(rt, owner):
    """A change may reach a copy twice: from its own process and by the feed."""
    refs = await import_neighbours(rt, 4)
    done = await book_job(rt)
    rt.adjust_counters(refs["f1"], open_jobs=20)
    [offer] = [one for one in live_offers_of(done) if one.friend_id == refs["f1"]]
    won = await commands.accept(rt, offer.id, offer.friend_id)
    assert won.job.award.friend_id == refs["f1"]
    await check_invariants(owner)


async def test_one_batch_respects_the_limit_of_offers_and_leaves_no_slot_empty(rt, owner):
    rt.policy = replace(rt.policy, live_offers_max=2)
    await import_neighbours(rt, 40)
    done = await asyncio.gather(*(book_job(rt) for _ in range(20)))
    counts = Counter(offer.friend_id for one in done for offer in live_offers_of(one))
    assert set(counts.values()) == {2}
    assert all(len(live_offers_of(one)) == 4 for one in done)
    await check_invariants(owner)
    await check_index(rt)


async def test_a_friend_asked_in_this_batch_is_not_asked_from_a_stale_copy(rt, owner):
    """A friend whose row was not read in the transaction is not asked."""
    rt.policy = replace(rt.policy, live_offers_max=1)
    refs = await import_neighbours(rt, 60)
    await owner.execute("UPDATE friends SET state = 'paused' WHERE ref ~ '^f(1[3-9]|[23].)$'")
    done = await asyncio.gather(*(book_job(rt) for _ in range(10)))
    names = {friend_id: ref for ref, friend_id in refs.items()}
    paused = {f"f{n}" for n in range(13, 40)}
    asked_refs = [names[offer.friend_id] for one in done for offer in live_offers_of(one)]
    assert not paused & set(asked_refs)
    assert len(asked_refs) == len(set(asked_refs)) == 60 - len(paused)


async def test_pros_are_asked_when_a_batch_has_used_up_the_friends(rt, owner):
    rt.policy = replace(rt.policy, live_offers_max=1)
    rows = [friend_row(f"f{n}", north(100 * n)) for n in range(1, 5)]
    rows += [friend_row(f"p{n}", north(100 * n), tier=Tier.PRO) for n in range(1, 5)]
    refs = await import_friends(rt, rows)
    one, two = await asyncio.gather(book_job(rt), book_job(rt))
    assert asked_refs(one, refs) == ["f1", "f2", "f3", "f4"]
    assert asked_refs(two, refs) == ["p1", "p2", "p3", "p4"]
    assert two.job.booking.tier is Tier.PRO
    await check_invariants(owner)


async def test_an_order_with_swapped_coordinates_is_refused(rt):
    await import_neighbours(rt, 4)
    swapped = replace(ZURICH, lat=ZURICH.lon, lon=ZURICH.lat)
    with pytest.raises(Exception, match="swapped"):
        await commands.book(
            rt, order(point=swapped), actor="customer", claim=None, build_response=lambda done: {}
        )


EVENING = datetime(2026, 3, 2, 21, 0, tzinfo=UTC)


async def test_friends_outside_their_week_are_asked_from_its_first_minute(rt, owner, clock):
    await clock.set(EVENING)
    refs = await import_neighbours(rt, 2)
    await owner.execute("UPDATE friends SET week = '{1800,1860}'")  # Tuesday, 6 to 7
    await load_index(rt)
    done = await book_job(rt)
    assert done.job.booking.state is BookingState.UNFILLED
    await clock.set(EVENING + timedelta(hours=8) - timedelta(microseconds=1))
    assert await commands.fire_due_timers(rt, 10) == 1
    assert await owner.fetchval("SELECT count(*) FROM offers") == 0
    await clock.advance(rt.policy.retry_every)
    await commands.fire_due_timers(rt, 10)
    rows = await owner.fetch("SELECT friend_id FROM offers WHERE state = 'live'")
    assert {row["friend_id"] for row in rows} == set(refs.values())
    refused = await owner.fetchval("SELECT outcomes::text[] FROM decisions ORDER BY seq LIMIT 1")
    assert refused == ["OUTSIDE_PLAN", "OUTSIDE_PLAN"]


async def test_friends_in_quiet_hours_are_asked_after_them(rt, owner, clock):
    await clock.set(EVENING)
    refs = await import_neighbours(rt, 2)
    await owner.execute("UPDATE friends SET quiet_from = 1320, quiet_until = 420")
    await load_index(rt)
    done = await book_job(rt)
    assert done.job.booking.state is BookingState.UNFILLED
    await clock.set(EVENING + timedelta(hours=9) - timedelta(microseconds=1))
    assert await commands.fire_due_timers(rt, 10) == 1
    assert await owner.fetchval("SELECT count(*) FROM offers") == 0
    await clock.advance(timedelta(minutes=15))
    await commands.fire_due_timers(rt, 10)
    rows = await owner.fetch("SELECT friend_id FROM offers WHERE state = 'live'")
    assert {row["friend_id"] for row in rows} == set(refs.values())
