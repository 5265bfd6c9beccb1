-- name: without_timer
-- Friends, of $1 or of all, who hold a certificate that ends and of whose end no timer will tell them in time.
SELECT c.friend_id, min(upper(c.valid)) AS until FROM friend_certificates c
WHERE c.told_at IS NULL AND upper(c.valid) > moment() AND ($1::uuid[] IS NULL OR c.friend_id = ANY($1))
  AND NOT EXISTS (SELECT FROM timers t WHERE t.subject_kind = 'person' AND t.subject_id = c.friend_id
                    AND t.kind = 'certificate_ending' AND t.due_at <= upper(c.valid) - $2::interval)
GROUP BY c.friend_id ORDER BY c.friend_id LIMIT $3

-- name: set_timers
WITH s AS (INSERT INTO subjects (kind, id) SELECT 'person', i FROM unnest($1::uuid[]) AS t (i) ORDER BY i
           ON CONFLICT DO NOTHING)
INSERT INTO timers (subject_kind, subject_id, kind, due_at, not_before)
SELECT 'person', i, 'certificate_ending', d, d FROM unnest($1::uuid[], $2::timestamptz[]) AS t (i, d)
ON CONFLICT (subject_kind, subject_id, kind) WHERE subject_id IS NOT NULL
DO UPDATE SET due_at = excluded.due_at, not_before = excluded.not_before, attempts = 0

-- name: due
SELECT subject_id FROM timers
WHERE not_before <= moment() AND subject_kind = 'person' AND kind = 'certificate_ending' ORDER BY not_before LIMIT $1

-- name: take_timer
DELETE FROM timers
WHERE subject_kind = 'person' AND subject_id = $1 AND kind = 'certificate_ending' AND not_before <= moment()
RETURNING subject_id

-- name: postpone_timer
-- As `jobs.postpone_timers`.
UPDATE timers SET attempts = attempts + 1,
  not_before = moment() + least(interval '1 hour', interval '5 seconds' * power(2, least(attempts, 10)))
WHERE subject_kind = 'person' AND subject_id = $1 AND kind = 'certificate_ending'

-- name: ending
SELECT certificate, upper(valid) AS until FROM friend_certificates
WHERE friend_id = $1 AND told_at IS NULL AND upper(valid) > moment() ORDER BY upper(valid), certificate

-- name: mark_told
UPDATE friend_certificates SET told_at = moment()
WHERE friend_id = $1 AND told_at IS NULL AND (certificate, upper(valid)) IN (SELECT * FROM unnest($2::text[], $3::timestamptz[]))

-- name: give
-- From now on, or from the end of the one held: a friend who sits early loses no day.
INSERT INTO friend_certificates (friend_id, certificate, valid)
SELECT $1, k.code, tstzrange(h.start, h.start + make_interval(months => k.valid_months))
FROM certificates k, LATERAL (
  SELECT greatest(moment(), max(upper(valid))) AS start, bool_or(upper_inf(valid)) AS lasts
  FROM friend_certificates WHERE friend_id = $1 AND certificate = $2) AS h
WHERE k.code = $2 AND h.lasts IS NOT TRUE
