-- name: bookings
-- Every booking made has its four offers, one decision, one timer, a message for each reader, and events without a gap.
SELECT count(*) AS bookings,
       count(*) FILTER (WHERE o.n = 4) AS with_four_offers,
       coalesce(sum(o.n), 0)::int AS offers,
       count(*) FILTER (WHERE e.n = b.event_seq AND e.first = 1 AND e.last = b.event_seq) AS without_gaps,
       count(*) FILTER (WHERE d.n >= 1) AS with_decision,
       count(*) FILTER (WHERE t.n >= 1) AS with_timer,
       count(*) FILTER (WHERE m.n >= o.n + 1) AS with_messages
FROM bookings b
CROSS JOIN LATERAL (SELECT count(*) AS n FROM offers o WHERE o.booking_id = b.id) AS o
CROSS JOIN LATERAL (SELECT count(*) AS n, min(seq) AS first, max(seq) AS last FROM events e
                    WHERE e.booking_id = b.id) AS e
CROSS JOIN LATERAL (SELECT count(*) AS n FROM decisions d WHERE d.booking_id = b.id) AS d
CROSS JOIN LATERAL (SELECT count(*) AS n FROM timers t WHERE t.booking_id = b.id) AS t
CROSS JOIN LATERAL (SELECT count(*) AS n FROM messages m WHERE m.booking_id = b.id) AS m
WHERE b.state = 'open'

-- name: races
-- Every race has one award, one accepted offer and three lost ones.
SELECT count(*) AS jobs,
       count(*) FILTER (WHERE a.n = 1 AND o.won = 1 AND o.lost = 3 AND o.live = 0) AS with_one_winner,
       count(*) FILTER (WHERE e.n = b.event_seq AND e.last = b.event_seq) AS without_gaps
FROM bookings b
CROSS JOIN LATERAL (SELECT count(*) AS n FROM awards a WHERE a.booking_id = b.id AND a.state = 'live') AS a
CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE state = 'accepted') AS won,
                           count(*) FILTER (WHERE state = 'lost') AS lost,
                           count(*) FILTER (WHERE state = 'live') AS live
                    FROM offers o WHERE o.booking_id = b.id) AS o
CROSS JOIN LATERAL (SELECT count(*) AS n, max(seq) AS last FROM events e WHERE e.booking_id = b.id) AS e
WHERE b.state = 'awarded'

-- name: open_bookings
SELECT id FROM bookings WHERE state IN ('open', 'awarded', 'unfilled') ORDER BY id

-- name: live_offers
SELECT o.booking_id, o.id, o.friend_id FROM offers o WHERE o.state = 'live' ORDER BY o.booking_id, o.slot

-- name: end_bookings
-- For the straightforward service, which has no index in memory: end the bookings of the last window.
WITH ended AS (UPDATE bookings SET state = 'cancelled', award_id = NULL WHERE state IN ('open', 'awarded') RETURNING id),
     dropped AS (DELETE FROM timers),
     released AS (UPDATE awards SET state = 'released', ended_at = clock_timestamp()
                  WHERE state = 'live' RETURNING friend_id),
     lighter AS (UPDATE friends f SET open_jobs = f.open_jobs - r.n
                 FROM (SELECT friend_id, count(*) AS n FROM released GROUP BY 1) AS r WHERE f.id = r.friend_id),
     over AS (UPDATE offers SET state = CASE state WHEN 'live' THEN 'withdrawn'::offer_state ELSE 'released' END
              WHERE state IN ('live', 'accepted') RETURNING id)
SELECT count(*) FROM over

-- name: grant_sessions
INSERT INTO sessions (token_sha256, person_id, created_at, expires_at)
SELECT h, p, moment(), moment() + interval '1 day' FROM unnest($1::bytea[], $2::uuid[]) AS t (h, p)
