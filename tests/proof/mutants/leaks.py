"""Planted bugs that would reveal where a customer lives, to friends or on a locked screen."""

from tests.proof.mutants.sandbox import Mutant, mutant

PRIVACY = "tests/api/test_privacy.py"
PUSH = "tests/scheduler/senders/test_push.py"

LEAKS: tuple[Mutant, ...] = (
    mutant(
        "friends are ranked by the door where the policy says cell",
        "the selection reveals where the customer lives",
        "dispatch/rules/jobs/matching.py",
        "    return cell if policy.rank_by == RankBy.CELL else address\n",
        "    return address\n",
        PRIVACY,
    ),
    mutant(
        "the distance is checked before quiet hours",
        "a friend in quiet hours learns whether the customer lives within their radius",
        "dispatch/rules/jobs/matching.py",
        "        or _busy(friend, need)\n        or _too_far(friend, distance_m, need)\n",
        "        or _too_far(friend, distance_m, need)\n        or _busy(friend, need)\n",
        PRIVACY,
    ),
    mutant(
        "a blocked friend sees that they are blocked",
        "they learn who has booked",
        "data/sql/queries/read_models.sql",
        "d.outcomes[array_position(d.friend_ids, $1)] <> 'BLOCKED'",
        "true",
        PRIVACY,
    ),
    mutant(
        "the time of a base move is not stored",
        "a friend moves their base around the cell until the address is known",
        "dispatch/flows/people/friends.py",
        "        await friend_admin.record_base_move(tx, friend_id, now)\n",
        "",
        "tests/api/test_profile.py",
    ),
    mutant(
        "a push names the area",
        "anybody who sees a locked screen learns where somebody needs help",
        "scheduler/senders/push.py",
        "                navigate=self._page(message, about),\n",
        '                navigate=f"{self._page(message, about)}?near={about.area}",\n',
        PUSH,
    ),
    mutant(
        "a push outlives its offer",
        "a phone switched on late rings for an offer that is over",
        "scheduler/senders/push.py",
        "        return about.offer.expires_at\n",
        "        return about.now + NEWS_LIFE\n",
        PUSH,
    ),
    mutant(
        "a sitting tells by the order of its options which one is right",
        "a friend passes every exam without knowing anything",
        "api/routes/exams.py",
        "        options=[text.options[option] for option in one.options],\n",
        "        options=[text.options[o] for o in sorted(one.options, key=one.key.__ne__)],\n",
        "tests/api/test_exams.py",
    ),
    mutant(
        "a review is shown before the other side has written one",
        "the second to write answers the first instead of saying what happened",
        "dispatch/rules/jobs/reviews.py",
        "    return review.shown_at <= now and review.hidden is None\n",
        "    return review.hidden is None\n",
        "tests/api/test_reviews.py",
    ),
    mutant(
        "a message that nobody has read is evidence of contact",
        "a friend keeps a job by writing into the void",
        "dispatch/rules/jobs/contact.py",
        "    fits = reached if called_at is None else ",
        "    fits = called_at is None or ",
        "tests/rules/test_contact.py",
    ),
    mutant(
        "the texts of an erased customer stay in the thread",
        "what somebody wrote outlives the right to be forgotten",
        "data/sql/queries/rights.sql",
        "             AND award_id IN (SELECT award_id FROM threads WHERE booking_id IN "
        "(SELECT id FROM b))),\n",
        "             AND false),\n",
        "tests/api/test_rights.py",
    ),
)
