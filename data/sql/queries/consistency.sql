-- name: parked_messages
SELECT id, booking_id, subject_kind, coalesce(subject_id, booking_id) AS subject_id, channel, audience, template, attempts,
       next_at, problem
FROM messages
WHERE state = 'parked' ORDER BY next_at, id LIMIT $1

-- name: clocks
-- Both in one row, so that they are read at the same instant.
SELECT clock_timestamp() AS wall, moment() AS trade

-- name: timers
-- How late the due timers are, and how many timers failed and were postponed.
SELECT count(*) FILTER (WHERE not_before <= clock.now) AS overdue,
       coalesce(extract(epoch FROM clock.now - min(not_before) FILTER (WHERE not_before <= clock.now)), 0)::float8 AS overdue_s,
       count(*) FILTER (WHERE attempts > 0) AS failed
FROM (SELECT moment() AS now) AS clock LEFT JOIN timers ON true
GROUP BY clock.now

-- name: bookings_without_timer
-- Bookings whose timer is missing: awarded without a contact deadline, open with offers that would never expire, or
-- unconfirmed for ever.
SELECT b.id FROM bookings b
WHERE b.state = 'awarded' AND NOT EXISTS (SELECT FROM timers t WHERE t.booking_id = b.id AND t.kind = 'contact_deadline')
   OR b.state = 'open' AND NOT EXISTS (SELECT FROM timers t WHERE t.booking_id = b.id AND t.kind = 'offers_expire')
   OR b.state = 'contacted' AND NOT EXISTS (SELECT FROM timers t WHERE t.booking_id = b.id AND t.kind = 'contact_contested')
     AND EXISTS (SELECT FROM awards a WHERE a.id = b.award_id AND a.marks ->> 'contact_contest' = 'open')
   OR b.state = 'unconfirmed' AND NOT EXISTS (SELECT FROM timers t WHERE t.booking_id = b.id AND t.kind = 'confirmation_due')
LIMIT 20

-- name: journals_broken
-- Subjects whose last number is not the number of their entries.
SELECT s.kind, s.id FROM subjects s
LEFT JOIN (SELECT subject_kind, subject_id, count(*) AS entries FROM journal GROUP BY 1, 2) AS j
  ON j.subject_kind = s.kind AND j.subject_id = s.id
WHERE s.seq <> coalesce(j.entries, 0) ORDER BY s.kind, s.id LIMIT 20

-- name: friends_miscounted
-- Friends whose counter of open jobs is not the number of jobs they hold.
SELECT f.ref FROM friends f
LEFT JOIN (SELECT friend_id, count(*) AS jobs FROM awards WHERE state = 'live' GROUP BY friend_id) AS held
  ON held.friend_id = f.id
WHERE f.open_jobs <> coalesce(held.jobs, 0) ORDER BY f.ref LIMIT 20

-- name: friends_without_point
-- Friends without a point are never asked.
SELECT f.ref FROM friends f JOIN people p ON p.id = f.id
WHERE p.lat IS NULL AND p.erased_at IS NULL AND f.state <> 'applicant'
ORDER BY f.ref LIMIT 20

-- name: counts
SELECT (SELECT count(*) FROM friends) AS friends,
       (SELECT count(*) FROM bookings) AS bookings,
       (SELECT count(*) FROM operators) AS operators,
       (SELECT count(*) FROM package_versions) AS packages,
       pg_database_size(current_database()) AS bytes

-- name: story
-- Events with their actor: for the desk only.
SELECT seq, kind, at, actor, data FROM events WHERE booking_id = $1 ORDER BY seq

-- name: timers_of
SELECT kind, due_at, not_before, attempts FROM timers WHERE booking_id = $1 ORDER BY due_at

-- name: offers_of
SELECT o.round, o.slot, o.state, f.ref, o.distance_m, o.offered_at, o.expires_at, o.answered_at
FROM offers o JOIN friends f ON f.id = o.friend_id WHERE o.booking_id = $1 ORDER BY o.round, o.offered_at, o.slot

-- name: messages_of
SELECT seq, channel, audience, template, state, attempts, sent_at, problem FROM messages
WHERE booking_id = $1 ORDER BY seq, id

-- name: refs
SELECT id, ref FROM friends WHERE id = ANY($1::uuid[])

-- name: ids_like
-- The ids of a kind that end or begin with these digits: two or more say that they are too few.
SELECT id FROM (
  SELECT id FROM bookings WHERE $1 = 'booking'
  UNION ALL SELECT id FROM messages WHERE $1 = 'message'
  UNION ALL SELECT id FROM friends WHERE $1 = 'friend'
  UNION ALL SELECT o.id FROM operators o JOIN people p ON p.id = o.id
  WHERE $1 = 'operator' AND p.erased_at IS NULL) AS every
WHERE id::text LIKE '%' || $2 OR id::text LIKE $2 || '%'
ORDER BY id LIMIT 5
