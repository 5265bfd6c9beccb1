from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from data.enums import AreaKind, Channel, FriendState, OfferState, Outcome, PackageTier, Tier
from data.markets import Language, Market
from data.records.ids import CompanyId, FriendId, PartnerId, customer_key
from data.records.jobs import Job
from data.records.people import Area, HeldCertificate, Plan, QuietHours
from dispatch.rules.jobs import matching
from dispatch.rules.jobs.matching import Nearby
from dispatch.rules.jobs.replay import replay
from dispatch.rules.policy import POLICY
from geo.point import Point, distance_m
from tests.rules.facts import HERE, NOW, VERA, WIFI, Scenario, booking, friend, near, need, package

CLUB = PartnerId(UUID(int=77))
FIRM = CompanyId(UUID(int=78))
PAST = HeldCertificate(code="wifi", valid_from=NOW - timedelta(days=9), valid_until=NOW)
BORN = date(2008, 3, 3)
"""Of age the day after NOW."""
FUTURE = HeldCertificate(code="wifi", valid_from=NOW + timedelta(microseconds=1), valid_until=None)

# Each reason alone: the changes that make it apply to a friend, and those to the need.
ALONE = {
    Outcome.INACTIVE: ({"state": FriendState.PAUSED}, {}),
    Outcome.UNREACHABLE: ({"channels": frozenset()}, {}),
    Outcome.WRONG_MARKET: ({"market": Market.DE}, {}),
    Outcome.TOO_YOUNG: ({"born": BORN}, {}),
    Outcome.WRONG_TIER: ({"tier": Tier.PRO}, {}),
    Outcome.NOT_CERTIFIED: ({"certificates": (PAST,)}, {}),
    Outcome.NO_SHARED_LANGUAGE: ({"languages": frozenset({Language.FR})}, {}),
    Outcome.NOT_A_MEMBER: ({}, {"community": CLUB}),
    Outcome.OUT_OF_RADIUS: ({"radius_m": 99}, {}),
    Outcome.BLOCKED: ({"blocked": frozenset({VERA})}, {}),
    Outcome.EXCLUDED: ({}, {"excluded": frozenset({friend(1).id})}),
    Outcome.COMPANY_ASKED: ({"company": FIRM}, {"companies_asked": frozenset({FIRM})}),
    Outcome.AT_CAPACITY: ({"open_jobs": 3}, {}),
    Outcome.TOO_MANY_OFFERS: ({"live_offers": 5}, {}),
    Outcome.QUIET_HOURS: ({"quiet": QuietHours(from_minute=540, until_minute=601)}, {}),
    Outcome.LEVEL_TOO_LOW: ({"level": 1}, {"least_level": 2}),
    Outcome.OUTSIDE_PLAN: ({"plan": Plan(week=((0, 600), (601, 1440)))}, {}),
}


def test_every_outcome_has_its_case():
    fit = {Outcome.OFFERED, Outcome.RANKED_BELOW_K, Outcome.FAVOURITE_FIRST}
    assert set(Outcome) - set(ALONE) == fit


@pytest.mark.parametrize("outcome", ALONE)
def test_each_reason_alone_keeps_a_friend_from_being_asked(outcome: Outcome):
    of_friend, of_need = ALONE[outcome]
    assert matching.reason(friend(1), 100.0, need()) is None
    hindered = friend(1, **of_friend)
    assert matching.reason(hindered, 100.0, need(**of_need)) is outcome
    ranking = matching.rank(near(hindered), [need(**of_need)], asked=(), want=4)
    assert ranking.chosen == ()
    assert [line.outcome for line in ranking.considered] == [outcome]
    assert ranking.considered[0].rank is None


@pytest.mark.parametrize(
    ("of_friend", "of_need"),
    [
        ({"certificates": (replace(WIFI, valid_until=NOW + timedelta(microseconds=1)),)}, {}),
        ({"certificates": (replace(WIFI, valid_from=NOW),)}, {}),
        ({"certificates": (PAST, WIFI)}, {}),
        ({"radius_m": 100}, {}),
        ({"open_jobs": 2}, {}),
        ({"live_offers": 4}, {}),
        ({"quiet": QuietHours(from_minute=540, until_minute=600)}, {}),
        ({"quiet": QuietHours(from_minute=601, until_minute=540)}, {}),
        ({"communities": frozenset({CLUB})}, {"community": CLUB}),
        ({"languages": frozenset()}, {"language": None}),
        ({"certificates": ()}, {"certificates": frozenset()}),
        ({"quiet": QuietHours(from_minute=540, until_minute=601)}, {"minute": None}),
        ({"born": date(2008, 3, 2)}, {}),
        ({"born": BORN}, {"today": date(2026, 3, 3)}),
        ({"born": BORN, "guarded": True}, {"min_age": 16}),
        ({"born": date(2010, 3, 2), "guarded": True}, {"min_age": 16}),
        ({"plan": Plan(week=((600, 601),))}, {}),
        ({"plan": Plan(week=())}, {"minute": None}),
        ({"level": 2}, {"least_level": 2}),
    ],
)
def test_a_friend_exactly_at_a_limit_may_be_asked(of_friend, of_need):
    assert matching.reason(friend(1, **of_friend), 100.0, need(**of_need)) is None


def test_a_friend_may_be_asked_in_an_area_beyond_the_radius_and_the_facts_say_how_far():
    area = Area(kind=AreaKind.CIRCLE, lat=HERE.lat, lon=HERE.lon, radius_m=500)
    person = friend(1, radius_m=50, areas=(area,))
    assert matching.reason(person, 100.0, need(point=HERE)) is None
    elsewhere = Point(HERE.lat, HERE.lon + 0.02)
    assert matching.reason(person, 100.0, need(point=elsewhere)) is Outcome.OUT_OF_RADIUS
    assert matching.reason(person, 100.0, need()) is Outcome.OUT_OF_RADIUS
    scenario = Scenario(person).book()
    (decision,) = [one for changes in scenario.applied for one in changes.decisions]
    assert [line.outcome for line in decision.friends] == [Outcome.OFFERED]
    assert decision.reach.counts == {Outcome.OFFERED: 1}
    assert scenario.live[0].radius_m == 100
    assert replay(decision, POLICY).equals(decision)


def test_every_certificate_is_needed_not_one_of_them():
    both = need(certificates=frozenset({"wifi", "mac"}))
    mac = replace(WIFI, code="mac")
    assert matching.reason(friend(1), 1.0, both) is Outcome.NOT_CERTIFIED
    assert matching.reason(friend(1, certificates=(WIFI, mac)), 1.0, both) is None


# Removes one reason: changes only the attribute it names, just past the threshold.
def remove_reason(outcome: Outcome, person: matching.Friend, away_m: float, wanted: matching.Need):
    friends = {
        Outcome.INACTIVE: {"state": FriendState.ACTIVE},
        Outcome.UNREACHABLE: {"channels": frozenset({Channel.MAIL})},
        Outcome.WRONG_MARKET: {"market": wanted.market},
        Outcome.WRONG_TIER: {"tier": wanted.tier},
        Outcome.NOT_CERTIFIED: {
            "certificates": tuple(replace(WIFI, code=c) for c in wanted.certificates)
        },
        Outcome.TOO_YOUNG: {"born": None},
        Outcome.NO_SHARED_LANGUAGE: {
            "languages": person.languages | {wanted.language or Language.DE}
        },
        Outcome.NOT_A_MEMBER: {"communities": person.communities | {wanted.community or CLUB}},
        Outcome.OUT_OF_RADIUS: {"radius_m": int(away_m) + 1},
        Outcome.BLOCKED: {"blocked": person.blocked - {wanted.customer_key or VERA}},
        Outcome.COMPANY_ASKED: {"company": None},
        Outcome.AT_CAPACITY: {"open_jobs": person.capacity - 1},
        Outcome.TOO_MANY_OFFERS: {"live_offers": wanted.live_offers_max - 1},
        Outcome.QUIET_HOURS: {"quiet": None},
        Outcome.OUTSIDE_PLAN: {"plan": None},
        Outcome.LEVEL_TOO_LOW: {"level": wanted.least_level},
    }
    if outcome is Outcome.EXCLUDED:
        return person, replace(wanted, excluded=wanted.excluded - {person.id})
    return replace(person, **friends[outcome]), wanted


people = st.builds(
    friend,
    st.integers(1, 40),
    state=st.sampled_from([*FriendState, FriendState.ACTIVE, FriendState.ACTIVE]),
    channels=st.sampled_from([frozenset(), frozenset({Channel.MAIL}), frozenset({Channel.PUSH})]),
    market=st.sampled_from([Market.CH, Market.CH, Market.DE]),
    tier=st.sampled_from(Tier),
    certificates=st.sampled_from([(), (WIFI,), (PAST,), (FUTURE,), (PAST, WIFI)]),
    languages=st.frozensets(st.sampled_from(Language), min_size=1),
    radius_m=st.sampled_from([500, 1_000, 2_000, 20_000]),
    communities=st.sampled_from([frozenset(), frozenset({CLUB})]),
    blocked=st.sampled_from([frozenset(), frozenset({VERA}), frozenset({customer_key("x@y")})]),
    open_jobs=st.integers(0, 3),
    live_offers=st.integers(0, 6),
    born=st.sampled_from([None, None, date(2008, 3, 2), date(2008, 3, 3), date(2010, 3, 2)]),
    guarded=st.booleans(),
    quiet=st.sampled_from(
        [
            None,
            QuietHours(from_minute=1320, until_minute=420),
            QuietHours(from_minute=0, until_minute=1),
        ]
    ),
    plan=st.sampled_from([None, Plan(week=((0, 420),))]),
)
wishes = st.builds(
    need,
    certificates=st.sampled_from([frozenset(), frozenset({"wifi"})]),
    tier=st.sampled_from(Tier),
    market=st.sampled_from([Market.CH, Market.DE]),
    language=st.sampled_from([None, Language.DE, Language.FR]),
    community=st.sampled_from([None, CLUB]),
    excluded=st.frozensets(st.integers(1, 40).map(lambda n: FriendId(UUID(int=n)))),
    live_offers_max=st.integers(1, 5),
    minute=st.sampled_from([None, 0, 419, 420, 1320]),
)


@given(people, st.floats(0, 25_000), wishes)
def test_a_reason_disappears_when_its_cause_is_removed(person, away_m, wanted):
    outcome = matching.reason(person, away_m, wanted)
    assume(outcome is not None)
    changed, need_now = remove_reason(outcome, person, away_m, wanted)
    assert matching.reason(changed, away_m, need_now) is not outcome


@given(people, st.floats(0, 25_000), wishes)
def test_a_friend_without_any_reason_left_may_be_asked(person, away_m, wanted):
    named = []
    while (outcome := matching.reason(person, away_m, wanted)) is not None:
        assert outcome not in named
        named.append(outcome)
        person, wanted = remove_reason(outcome, person, away_m, wanted)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"market": Market.DE}, {}),
        ({"tier": Tier.PRO}, {}),
        ({"languages": frozenset({Language.FR, Language.PL})}, {}),
        ({}, {"language": Language.IT}),
    ],
)
def test_friends_who_lack_a_trait_are_filtered_out(changes, wanted):
    asked = need(**wanted).traits
    assert matching.traits(friend(1, **changes)) & asked != asked


@given(people, st.floats(0, 25_000), wishes)
def test_traits_never_filter_out_a_friend_who_may_be_asked(person, away_m, wanted):
    sorted_out = matching.traits(person) & wanted.traits != wanted.traits
    assert not (sorted_out and matching.reason(person, away_m, wanted) is None)


worlds = st.lists(people, unique_by=lambda person: person.id, max_size=25)


@given(worlds, wishes, st.integers(-1, 4), st.randoms(use_true_random=False))
def test_everybody_in_the_frame_has_one_outcome_and_the_nearest_fit_are_chosen(
    world, wanted, want, chance: Random
):
    frame = list(near(*world))
    chance.shuffle(frame)
    asked = {n.friend.id for n in frame if chance.random() < 0.1}
    ranking = matching.rank(frame, [wanted], asked=asked, want=want)
    lines = Counter(line.friend_id for line in ranking.considered)
    assert lines == Counter(person.id for person in world)
    fit = [n for n in frame if matching.reason(n.friend, n.distance_m, wanted) is None]
    fit.sort(key=lambda n: (n.distance_m, n.friend.id))
    fresh = [n for n in fit if n.friend.id not in asked]
    assert list(ranking.chosen) == fresh[: max(want, 0)]
    result = {line.friend_id: line for line in ranking.considered}
    offered = {i for i, line in result.items() if line.outcome is Outcome.OFFERED}
    assert offered == asked | {n.friend.id for n in ranking.chosen}
    below = {i for i, line in result.items() if line.outcome is Outcome.RANKED_BELOW_K}
    assert below == {n.friend.id for n in fresh[max(want, 0) :]}
    ranks = [line.rank for line in ranking.considered if line.rank is not None]
    assert ranks == list(range(1, len(offered | below) + 1))


def test_equal_distances_go_by_friend_id():
    twins = [friend(1, id=FriendId(UUID(int=n))) for n in (9, 3, 7, 5, 1)]
    ranking = matching.rank(near(*twins), [need()], asked=(), want=4)
    assert [n.friend.id.int for n in ranking.chosen] == [1, 3, 5, 7]


def test_the_next_are_asked_when_the_nearest_nineteen_are_busy():
    busy = [friend(n, open_jobs=3) for n in range(1, 20)]
    free = [friend(n) for n in range(20, 26)]
    ranking = matching.rank(near(*busy, *free), [need()], asked=(), want=4)
    assert [n.friend.ref for n in ranking.chosen] == ["f20", "f21", "f22", "f23"]
    assert [line.outcome for line in ranking.considered].count(Outcome.AT_CAPACITY) == 19


def test_a_friend_with_a_live_offer_is_not_asked_twice():
    world = [friend(n) for n in range(1, 7)]
    asked = [world[0].id, world[2].id]
    ranking = matching.rank(near(*world), [need()], asked=asked, want=2)
    assert [n.friend.ref for n in ranking.chosen] == ["f2", "f4"]
    outcomes = [line.outcome for line in ranking.considered]
    assert outcomes == [Outcome.OFFERED] * 4 + [Outcome.RANKED_BELOW_K] * 2


def test_when_pros_are_asked_friends_keep_the_outcome_of_their_tier():
    world = [
        friend(1, open_jobs=3),
        friend(2, tier=Tier.PRO),
        friend(3, tier=Tier.PRO, radius_m=500),
    ]
    tried = [need(), need(tier=Tier.PRO)]
    ranking = matching.rank(near(*world), tried, asked=(), want=4)
    result = {line.friend_id: line.outcome for line in ranking.considered}
    assert result[world[0].id] is Outcome.AT_CAPACITY
    assert result[world[1].id] is Outcome.OFFERED
    assert [n.friend.ref for n in ranking.chosen] == ["f2", "f3"]


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        (PackageTier.FRIEND, [Tier.FRIEND]),
        (PackageTier.PRO, [Tier.PRO]),
        (PackageTier.FRIEND_THEN_PRO, [Tier.FRIEND, Tier.PRO]),
    ],
)
def test_the_package_says_which_tiers_are_asked_and_in_which_order(tier, expected):
    wanted = package(tier)
    first = booking(tier=matching.first_tier(wanted), round_limit=5)
    job = Job(booking=first, package=wanted)
    assert [n.tier for n in matching.needs(job, NOW, POLICY)] == expected
    anybody = matching.quote_needs(wanted, Market.CH, NOW, POLICY)
    assert [n.tier for n in anybody] == expected
    assert {n.customer_key for n in anybody} == {None}


def test_a_tier_without_rounds_left_is_not_asked_again():
    spent = Job(booking=booking(round=5, round_limit=5), package=package())
    assert [n.tier for n in matching.needs(spent, NOW, POLICY)] == [Tier.PRO]
    only_friends = Job(booking=booking(round=5, round_limit=5), package=package(PackageTier.FRIEND))
    assert matching.needs(only_friends, NOW, POLICY) == ()


@given(st.floats(46, 48), st.floats(7, 9), st.integers(1, 200))
def test_the_rounded_distance_is_measured_to_the_cell_centre_in_whole_steps(lat, lon, number):
    person = friend(number)
    place = booking(cell_lat=lat, cell_lon=lon, lat=0.0, lon=0.0)
    rounded = matching.rounded_distance_m(place, person, POLICY)
    exact = distance_m(Point(lat=person.lat, lon=person.lon), Point(lat=lat, lon=lon))
    assert rounded % POLICY.shown_step_m == 0
    assert 0 <= rounded - exact < POLICY.shown_step_m


def test_friends_who_refused_are_excluded_and_those_who_lost_are_not():
    scenario = Scenario(*(friend(n) for n in range(1, 5))).book()
    for state in OfferState:
        offers = (replace(scenario.job.offers[0], state=state),)
        job = replace(scenario.job, offers=offers)
        excluded = matching.needs(job, NOW, POLICY)[0].excluded
        asked_again = state in (
            OfferState.LIVE,
            OfferState.ACCEPTED,
            OfferState.LOST,
            OfferState.WITHDRAWN,
        )
        assert (offers[0].friend_id not in excluded) is asked_again


def test_a_friend_with_swapped_coordinates_is_out_of_radius():
    swapped = Nearby(
        friend=friend(1, lat=8.541, lon=47.3667),
        distance_m=distance_m(HERE, Point(lat=8.541, lon=47.3667)),
    )
    ranking = matching.rank([swapped], [need()], asked=(), want=4)
    assert ranking.considered[0].outcome is Outcome.OUT_OF_RADIUS
    assert ranking.considered[0].distance_m > 5_000_000
