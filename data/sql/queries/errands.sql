-- name: insert
WITH s AS (INSERT INTO subjects (kind, id)
           SELECT DISTINCT k, i FROM unnest($3::subject_kind[], $5::uuid[]) AS t (k, i) WHERE i IS NOT NULL
           ORDER BY k, i ON CONFLICT DO NOTHING)
INSERT INTO errands (id, kind, subject_kind, booking_id, subject_id, request, expires_at, created_at, next_at)
SELECT i, k, sk, b, s, r, e, clock.now, clock.now
FROM unnest($1::uuid[], $2::text[], $3::subject_kind[], $4::uuid[], $5::uuid[], $6::jsonb[], $7::timestamptz[])
  AS t (i, k, sk, b, s, r, e), (SELECT moment() AS now) AS clock

-- name: claim
-- Under a lease, as `messages.claim`.
WITH due AS MATERIALIZED (
  SELECT id FROM errands WHERE state = 'pending' AND next_at <= (SELECT moment())
  ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED)
UPDATE errands e
SET attempts = e.attempts + 1,
    next_at = moment() + make_interval(secs => $2) * (SELECT coalesce(max(greatest(speed, 1)), 1) FROM clock)
FROM due WHERE e.id = due.id
RETURNING e.*, coalesce(e.expires_at <= moment(), false) AS late

-- name: lock
-- One whose answer is still wanted.
SELECT * FROM errands WHERE id = $1 AND state IN ('pending', 'parked') FOR UPDATE

-- name: end
UPDATE errands SET state = $2, answer = $3, problem = $4,
  ended_at = CASE WHEN $2 IN ('done'::errand_state, 'refused') THEN moment() END
WHERE id = $1

-- name: postpone
-- Not by an attempt whose lease ran out: another one may be under way.
UPDATE errands e SET problem = t.p,
  next_at = least(moment() + make_interval(secs => t.w) * (SELECT coalesce(max(greatest(speed, 1)), 1) FROM clock),
                  e.expires_at)
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::float8[]) AS t (i, a, p, w)
WHERE e.id = t.i AND e.state = 'pending' AND e.attempts = t.a

-- name: by_reference
SELECT * FROM errands WHERE answer ->> 'reference' = $1 AND answer ? 'reference' AND kind = ANY($2::text[]) FOR UPDATE

-- name: parked
SELECT id, kind, coalesce(booking_id, subject_id) AS subject_id, subject_kind, attempts, problem, next_at AS since
FROM errands WHERE state = 'parked' AND (next_at, id) > ($1, $2::uuid) ORDER BY next_at, id LIMIT $3

-- name: unpark
UPDATE errands SET state = 'pending', attempts = 0, next_at = moment(), problem = NULL
WHERE id = $1 AND state = 'parked' RETURNING booking_id, subject_kind, subject_id

-- name: of_people
SELECT id FROM errands WHERE subject_id = ANY($1::uuid[])

-- name: delete_old
-- At most a thousand. What a phone code still refers to stays for as long as it does.
DELETE FROM errands WHERE id IN
  (SELECT e.id FROM errands e WHERE e.ended_at < moment() - $1::interval
     AND NOT EXISTS (SELECT FROM phone_codes c WHERE c.errand_id = e.id) ORDER BY e.ended_at LIMIT 1000)

-- name: insert_notice
INSERT INTO notices (id, provider, event_id, reference, received_at, next_at)
SELECT $1, $2, $3, $4, moment(), moment() ON CONFLICT DO NOTHING

-- name: claim_notices
WITH due AS MATERIALIZED (
  SELECT id FROM notices WHERE state = 'pending' AND next_at <= (SELECT moment())
  ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED)
UPDATE notices n
SET attempts = n.attempts + 1,
    next_at = moment() + make_interval(secs => $2) * (SELECT coalesce(max(greatest(speed, 1)), 1) FROM clock)
FROM due WHERE n.id = due.id
RETURNING n.id, n.provider, n.reference, n.attempts

-- name: end_notice
UPDATE notices SET state = $2, handled_at = moment(), problem = $3 WHERE id = $1 AND state = 'pending'

-- name: postpone_notices
UPDATE notices n SET problem = t.p,
  next_at = moment() + make_interval(secs => t.w) * (SELECT coalesce(max(greatest(speed, 1)), 1) FROM clock)
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::float8[]) AS t (i, a, p, w)
WHERE n.id = t.i AND n.state = 'pending' AND n.attempts = t.a

-- name: delete_old_notices
DELETE FROM notices WHERE id IN
  (SELECT id FROM notices WHERE handled_at < moment() - $1::interval ORDER BY handled_at LIMIT 1000)
