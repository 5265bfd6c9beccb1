"""Everybody in reach of a booking, counted by why they are asked or not."""

from __future__ import annotations

from collections import Counter
from math import inf

from data.enums import Outcome
from data.records.decisions import Reach
from dispatch.rules.jobs.matching import Others, Ranking, reach_m, reason


def count_reach(ranking: Ranking, others: Others) -> Reach | None:
    """Everybody in reach by outcome, listed or not; None when nobody was searched for."""
    if not ranking.tried:
        return None
    counts: Counter[Outcome] = Counter()
    far_m = inf if others.within_m is None else others.within_m
    for line, (friend, away_m) in zip(ranking.considered, ranking.nearby, strict=True):
        if away_m <= min(reach_m(friend, away_m, ranking.tried[0].point), far_m):
            counts[line.outcome] += 1
    by_tier = {need.tier: need for need in ranking.tried}
    companies = {near.friend.company for near in ranking.chosen} - {None}
    fits = Outcome.FAVOURITE_FIRST if ranking.alone else Outcome.RANKED_BELOW_K
    for friend, number in others.alike:
        need = by_tier.get(friend.tier, ranking.tried[-1])
        rest = fits if ranking.alone or friend.company not in companies else Outcome.COMPANY_ASKED
        counts[reason(friend, 0.0, need) or rest] += number
    return Reach(counts=counts, within_m=others.within_m)
