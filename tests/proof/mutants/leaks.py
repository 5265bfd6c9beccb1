"""Bugs by which friends, or whoever sees their phones, would find out where a customer lives."""

from tests.proof.mutants.sandbox import Mutant, mutant

PRIVACY = "tests/api/test_privacy.py"
PUSH = "tests/scheduler/senders/test_push.py"

LEAKS: tuple[Mutant, ...] = (
    mutant(
        "friends are ranked by the door where the policy says cell",
        "who was asked tells where she lives",
        "dispatch/rules/jobs/matching.py",
        "    return cell if policy.rank_by == RankBy.CELL else door\n",
        "    return door\n",
        PRIVACY,
    ),
    mutant(
        "how far a friend lives is judged before his quiet hours",
        "he sleeps, and learns whether she lives within his radius",
        "dispatch/rules/jobs/matching.py",
        "        or _busy(friend, need)\n        or _too_far(friend, distance_m)\n",
        "        or _too_far(friend, distance_m)\n        or _busy(friend, need)\n",
        PRIVACY,
    ),
    mutant(
        "a friend is told that he is kept apart",
        "he knows who has booked",
        "data/sql/queries/views.sql",
        "d.outcomes[array_position(d.friend_ids, $1)] <> 'BLOCKED'",
        "true",
        PRIVACY,
    ),
    mutant(
        "nobody keeps when a base was moved",
        "a friend walks his base around the cell until he knows the door",
        "dispatch/flows/people/friends.py",
        "        await friend_admin.record_base_move(tx, friend_id, now)\n",
        "",
        "tests/api/test_profile.py",
    ),
    mutant(
        "a push tells the part of town",
        "whoever sees a locked screen learns where somebody needs help",
        "scheduler/senders/push.py",
        "                navigate=self._page(message, about),\n",
        '                navigate=f"{self._page(message, about)}?near={about.area}",\n',
        PUSH,
    ),
    mutant(
        "a push outlives its offer",
        "a phone that is switched on late rings for what is long gone",
        "scheduler/senders/push.py",
        "        return about.offer.expires_at\n",
        "        return about.now + NEWS_LIFE\n",
        PUSH,
    ),
)
