"""The invariants of the database after every transaction, as SQL."""

import asyncpg

from data.db import moment, transaction
from data.store import friends as friend_rows
from dispatch.rules.policy import RankBy
from dispatch.runtime import Runtime
from geo.point import Point, distance_m

# Each statement returns the rows that violate it.
VIOLATIONS = {
    "more than one living award": """
        SELECT booking_id FROM awards WHERE state IN ('live', 'done')
        GROUP BY booking_id HAVING count(*) > 1""",
    "two winners of one round": """
        SELECT booking_id FROM offers WHERE state IN ('accepted', 'forfeited', 'handed_back')
        GROUP BY booking_id, round HAVING count(*) > 1""",
    "more than four live offers": """
        SELECT booking_id FROM offers WHERE state = 'live'
        GROUP BY booking_id HAVING count(*) > 4""",
    "a live offer of a booking that is not open, or of an earlier round": """
        SELECT o.id FROM offers o JOIN bookings b ON b.id = o.booking_id
        WHERE o.state = 'live' AND (b.state <> 'open' OR o.round <> b.round)""",
    "an open booking that nobody is asked about": """
        SELECT id FROM bookings b WHERE state = 'open'
        AND NOT EXISTS (SELECT FROM offers o WHERE o.booking_id = b.id AND o.state = 'live')""",
    "a counter that differs from a recount": """
        SELECT f.id FROM friends f WHERE open_jobs <>
        (SELECT count(*) FROM awards a WHERE a.friend_id = f.id AND a.state = 'live')""",
    "events with gaps": """
        SELECT b.id FROM bookings b WHERE event_seq IS DISTINCT FROM
        (SELECT max(seq) FROM events e WHERE e.booking_id = b.id) OR event_seq <>
        (SELECT count(*) FROM events e WHERE e.booking_id = b.id)""",
    "a held booking without its living award": """
        SELECT b.id FROM bookings b LEFT JOIN awards a ON a.id = b.award_id
        WHERE (b.state IN ('awarded', 'contacted', 'scheduled', 'under_way')
               AND a.state IS DISTINCT FROM 'live')
           OR (b.state = 'completed' AND a.state IS DISTINCT FROM 'done')
           OR (b.state IN ('unconfirmed', 'open', 'unfilled', 'incomplete', 'cancelled')
               AND a.id IS NOT NULL)""",
    "a living award that is not the one of its booking": """
        SELECT a.id FROM awards a JOIN bookings b ON b.id = a.booking_id
        WHERE a.state IN ('live', 'done') AND b.award_id IS DISTINCT FROM a.id""",
    "an award that is not of the accepted offer": """
        SELECT a.id FROM awards a JOIN offers o ON o.id = a.offer_id
        WHERE o.friend_id <> a.friend_id OR o.state::text <>
        CASE WHEN a.state IN ('live', 'done') THEN 'accepted' ELSE a.state::text END""",
    "an accepted offer without an award": """
        SELECT id FROM offers o WHERE state = 'accepted'
        AND NOT EXISTS (SELECT FROM awards a WHERE a.offer_id = o.id)""",
    "a friend asked again who refused or lost the job": """
        SELECT o.id FROM offers o JOIN offers earlier USING (booking_id, friend_id)
        WHERE o.round > earlier.round AND earlier.state IN
          ('declined', 'expired', 'forfeited', 'handed_back', 'released')
        UNION ALL
        SELECT o.id FROM offers o JOIN awards a USING (booking_id, friend_id)
        WHERE a.state NOT IN ('live', 'done') AND o.offered_at > a.awarded_at""",
    "an ordinary friend is asked for a job that needs a pro": """
        SELECT o.id FROM offers o JOIN bookings b ON b.id = o.booking_id
        JOIN friends f ON f.id = o.friend_id
        WHERE b.needs_pro AND o.state = 'live' AND f.tier <> 'pro'""",
    "a review that was hidden without a report": """
        SELECT booking_id FROM review_notes WHERE hidden IS NOT NULL AND reported_at IS NULL""",
    "a company asked twice in a round, or again after it refused or lost the job": """
        SELECT o.id FROM offers o JOIN offers earlier USING (booking_id, company_id)
        WHERE o.id <> earlier.id AND (o.round = earlier.round OR o.round > earlier.round
          AND earlier.state IN ('declined', 'expired', 'forfeited', 'handed_back', 'released'))""",
    "an award or a charge of another company than its offer": """
        SELECT a.id FROM awards a JOIN offers o ON o.id = a.offer_id
        WHERE o.company_id IS DISTINCT FROM a.company_id
        UNION ALL
        SELECT c.booking_id FROM charges c JOIN awards a USING (booking_id)
        WHERE a.state = 'done' AND c.company_id IS DISTINCT FROM a.company_id""",
    "an offer outside its friend's radius": """
        SELECT id FROM offers WHERE distance_m > radius_m""",
    "an expiry timer that is not that of the first live offer": """
        SELECT b.id FROM bookings b
        LEFT JOIN timers t ON t.booking_id = b.id AND t.kind = 'offers_expire'
        WHERE t.due_at IS DISTINCT FROM (SELECT min(expires_at) FROM offers o
          WHERE o.booking_id = b.id AND o.state = 'live')""",
    "a contact deadline that is not that of the award": """
        SELECT b.id FROM bookings b LEFT JOIN awards a ON a.id = b.award_id
        LEFT JOIN timers t ON t.booking_id = b.id AND t.kind = 'contact_deadline'
        WHERE t.due_at IS DISTINCT FROM CASE WHEN b.state = 'awarded' THEN a.contact_due_at END""",
    "a reminder of a job that needs none": """
        SELECT t.booking_id FROM timers t JOIN bookings b ON b.id = t.booking_id
        LEFT JOIN awards a ON a.id = b.award_id
        WHERE t.kind = 'contact_reminder'
        AND (b.state <> 'awarded' OR t.due_at >= a.contact_due_at)""",
    "a retry of a booking that is not unfilled": """
        SELECT t.booking_id FROM timers t JOIN bookings b ON b.id = t.booking_id
        WHERE t.kind = 'retry' AND b.state <> 'unfilled'""",
    "a confirmation deadline of another booking than an unconfirmed one": """
        SELECT b.id FROM bookings b
        LEFT JOIN timers t ON t.booking_id = b.id AND t.kind = 'confirmation_due'
        WHERE (b.state = 'unconfirmed') <> (t.kind IS NOT NULL)""",
    "somebody was asked or told about an unconfirmed booking": """
        SELECT b.id FROM bookings b WHERE b.state = 'unconfirmed'
        AND (EXISTS (SELECT FROM offers o WHERE o.booking_id = b.id)
             OR 1 <> (SELECT count(*) FROM messages m WHERE m.booking_id = b.id))""",
    "an unfilled booking that is not tried again": """
        SELECT id FROM bookings b
        WHERE state = 'unfilled' AND state_at > moment() - interval '7 days'
        AND NOT EXISTS (SELECT FROM timers t WHERE t.booking_id = b.id AND t.kind = 'retry')""",
    "a decision with two outcomes for one friend": """
        SELECT booking_id FROM decisions WHERE cardinality(friend_ids) <>
        (SELECT count(DISTINCT f) FROM unnest(friend_ids) f)""",
    "an offer that no decision explains": """
        SELECT o.id FROM offers o WHERE NOT EXISTS (
          SELECT FROM decisions d, unnest(d.friend_ids, d.outcomes) AS line (friend, outcome)
          WHERE d.booking_id = o.booking_id AND d.round = o.round AND d.at = o.offered_at
          AND (line.friend = o.friend_id OR o.company_id IS NOT NULL)
          AND line.outcome = 'OFFERED')""",
    "a completed booking or one cancelled late without its charge, or another with one": """
        SELECT b.id FROM bookings b LEFT JOIN
          (SELECT c.* FROM charges c WHERE NOT EXISTS (
             SELECT FROM reversals r WHERE r.booking_id = c.booking_id AND r.no = c.no)) AS c
          ON c.booking_id = b.id
        WHERE c.price_minor IS DISTINCT FROM
          CASE WHEN b.state = 'completed' THEN b.price_minor ELSE nullif(b.cancel_fee_minor, 0) END
        OR c.pay_minor > c.price_minor""",
    "a fee of a booking that is not cancelled": """
        SELECT id FROM bookings WHERE cancel_fee_minor > 0 AND state <> 'cancelled'""",
    "another time asked for, or set out, where nothing was agreed": """
        SELECT id FROM awards WHERE (move_asked_at IS NOT NULL AND appointment IS NULL)
        OR (on_the_way_at IS NOT NULL AND contacted_at IS NULL)""",
    "a dispute without exactly one event": """
        SELECT a.id FROM awards a WHERE a.disputed_at IS NOT NULL AND 1 <>
          (SELECT count(*) FROM events e WHERE e.booking_id = a.booking_id AND e.at = a.disputed_at
           AND e.kind = 'contact.disputed'
           AND (e.data ->> 'friend' = a.friend_id::text OR a.company_id IS NOT NULL)
           AND e.data -> 'claimed' = to_jsonb(a.contacted_at IS NOT NULL))""",
    "a dispute removed before the friend confirmed contact": """
        SELECT e.booking_id FROM events e WHERE e.kind = 'contact.disputed' AND NOT EXISTS (
          SELECT FROM awards a WHERE a.booking_id = e.booking_id AND a.disputed_at = e.at
          AND (a.friend_id::text = e.data ->> 'friend' OR a.company_id IS NOT NULL))
        AND (e.data -> 'claimed' = 'true' OR NOT EXISTS (
          SELECT FROM events c WHERE c.booking_id = e.booking_id AND c.seq > e.seq
          AND c.kind = 'booking.contacted'
          AND (c.data ->> 'friend' = e.data ->> 'friend' OR c.data ? 'company')))""",
    "a contest without its deadline, or a deadline without its contest": """
        SELECT b.id FROM bookings b LEFT JOIN awards a ON a.id = b.award_id
        LEFT JOIN timers t ON t.booking_id = b.id AND t.kind = 'contact_contested'
        WHERE t.due_at IS DISTINCT FROM CASE WHEN a.marks ->> 'contact_contest' = 'open'
          THEN (a.marks ->> 'answer_by')::timestamptz END""",
    "a paused job in another state than contacted": """
        SELECT b.id FROM bookings b JOIN awards a ON a.id = b.award_id
        WHERE a.marks ->> 'contact_contest' = 'open' AND b.state <> 'contacted'""",
    "a dispute that a later confirmed contact did not remove": """
        SELECT id FROM awards WHERE disputed_at < contacted_at""",
    "a rating of a booking that is not completed": """
        SELECT r.booking_id FROM standing_ratings r JOIN bookings b ON b.id = r.booking_id
        WHERE b.state <> 'completed'""",
    "an award without an event": """
        SELECT a.id FROM awards a WHERE NOT EXISTS (
          SELECT FROM events e WHERE e.booking_id = a.booking_id AND e.kind = 'booking.awarded'
          AND e.data ->> 'award' = a.id::text)""",
    "a message that no event called for": """
        SELECT m.id FROM messages m LEFT JOIN events e USING (booking_id, seq)
        WHERE e.seq IS NULL AND m.template <> 'written'""",
    "a thread that is not what its messages are": """
        SELECT t.award_id FROM threads t
        LEFT JOIN thread_notes n USING (award_id) GROUP BY t.award_id
        HAVING t.by_friend <> coalesce(max(n.seq) FILTER (WHERE n.by = 'friend'), 0)
          OR t.by_customer <> coalesce(max(n.seq) FILTER (WHERE n.by = 'customer'), 0)
          OR t.first_by_friend <> coalesce(min(n.seq) FILTER (WHERE n.by = 'friend'), 0)
          OR count(n.seq) <> greatest(t.by_friend, t.by_customer)""",
    "an idempotency key without a response": "SELECT key FROM answers WHERE body IS NULL",
}


ALL = " UNION ALL ".join(
    f"SELECT {number} AS invariant, row(wrong.*)::text AS what FROM ({question}) AS wrong"
    for number, question in enumerate(VIOLATIONS.values())
)


async def violations(connection: asyncpg.Connection) -> list[str]:
    """The invariants that are violated, each with a row that violates it."""
    invariants = list(VIOLATIONS)
    return [f"{invariants[row['invariant']]}: {row['what']}" for row in await connection.fetch(ALL)]


async def check_invariants(connection: asyncpg.Connection) -> None:
    """Assert that no invariant is violated and that no deadlock has occurred."""
    broken = await violations(connection)
    assert broken == [], broken
    deadlocks = await connection.fetchval(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    assert deadlocks == 0


async def check_index(rt: Runtime) -> None:
    """Assert that the index agrees with the rows; for a process that works alone."""
    async with transaction(rt.pool) as tx:
        rows = [f async for page in friend_rows.all_friends(tx, await moment(tx)) for f in page]
    for row in rows:
        copy = rt.index.get(row.id)
        assert copy is not None
        assert copy.open_jobs == row.open_jobs
        # Too low is harmless, because the rows decide; too high would exclude a friend.
        assert copy.live_offers <= row.live_offers, row.ref


async def check_distances(connection: asyncpg.Connection, rank_by: RankBy = RankBy.DOOR) -> None:
    """Assert that each offer's distance is the geodesic to the policy's reference point."""
    for row in await connection.fetch(
        """SELECT o.distance_m, f.lat AS f_lat, f.lon AS f_lon,
        CASE WHEN $1 = 'cell' THEN b.cell_lat ELSE c.lat END AS lat,
        CASE WHEN $1 = 'cell' THEN b.cell_lon ELSE c.lon END AS lon FROM offers o
        JOIN bookings b ON b.id = o.booking_id JOIN people c ON c.id = b.customer_id
        JOIN people f ON f.id = o.friend_id WHERE o.company_id IS NULL""",
        rank_by,
    ):
        exact = distance_m(
            Point(lat=row["lat"], lon=row["lon"]), Point(lat=row["f_lat"], lon=row["f_lon"])
        )
        assert abs(exact - row["distance_m"]) <= 1
