"""The level rule over the bookings of the simulation: each town is a month of the same friends.

A friend keeps number and behaviour from town to town, while chance deals the jobs. That is the
hardest case for a level: it should come to rest although every month differs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields

from data.enums import AwardState
from data.records.ids import FriendId
from data.records.jobs import Award
from data.records.levels import LEVEL_MAX, LevelRecord
from dispatch.rules.people.levels import assess, next_level
from dispatch.rules.policy import Policy
from tests.simulation.invariants import require

Month = Mapping[FriendId, LevelRecord]
ENDED = {AwardState.DONE, AwardState.HANDED_BACK, AwardState.FORFEITED}
TURNS_MAX = 0.04
"""The share of looks at which a level may move against its last move."""
COUNTS = [one.name for one in fields(LevelRecord)]


def count_month(
    awards: Iterable[Award], stars: Mapping[FriendId, Sequence[int]], policy: Policy
) -> Month:
    """What each friend did in a town, counted independently of the database."""
    found: defaultdict[FriendId, Counter[str]] = defaultdict(Counter)
    for award in awards:
        contested = award.marks.get("contest") == "reopened"
        if award.state not in ENDED and not contested:
            continue
        soon = award.awarded_at + policy.level_prompt_within
        called = award.contacted_at
        found[award.friend_id] += Counter(
            jobs=1,
            contacted=called is not None,
            prompt=called is not None and called <= soon,
            handed_back=award.state is AwardState.HANDED_BACK,
            forfeited=award.state is AwardState.FORFEITED,
            contested=contested,
        )
    for friend, given in stars.items():
        found[friend] += Counter(stars=sum(given), ratings=len(given))
    return {friend: LevelRecord(**counts) for friend, counts in found.items()}


def follow(months: Sequence[Month], policy: Policy) -> Counter[str]:
    """Look at every friend's level at the end of each month; returns what was seen.

    A level turns when it moves against its last move.
    """
    seen: Counter[str] = Counter()
    window = round(policy.level_window / policy.level_every)
    levels: dict[FriendId, int] = {}
    last: dict[FriendId, int] = {}
    for end in range(1, len(months) + 1):
        recent = months[max(0, end - window) : end]
        for friend in sorted({one for month in recent for one in month}):
            before = levels.get(friend, 1)
            working = assess(_add(month.get(friend) for month in recent), policy)
            after = next_level(before, working, policy)
            require(1 <= after <= LEVEL_MAX and abs(after - before) <= 1, "V1 a step a month")
            levels[friend] = after
            seen["looks at a level"] += 1
            seen["looks with jobs enough"] += working.enough
            seen[f"level {after} after a look"] += 1
            if after != before:
                seen["a level moves"] += 1
                seen["a level turns"] += last.get(friend, after - before) != after - before
                last[friend] = after - before
    return seen


def _add(records: Iterable[LevelRecord | None]) -> LevelRecord:
    known = [one for one in records if one is not None]
    return LevelRecord(**{name: sum(getattr(one, name) for one in known) for name in COUNTS})
