-- name: insert
-- The operator of the last of these entries is who decided. Nothing is returned where the same is asked already.
INSERT INTO review_requests (id, friend_id, about, text, asked_at, due_at, decided_by)
SELECT $1, $2, $3, $4, n.now, n.now + $5::interval, (
  SELECT o.id FROM journal j JOIN operators o ON j.actor = 'operator:' || o.id
  WHERE j.subject_kind = 'person' AND j.subject_id = $2 AND j.kind = ANY($6::text[]) ORDER BY j.seq DESC LIMIT 1)
FROM (SELECT moment() AS now) AS n
ON CONFLICT (friend_id, about) WHERE answered_at IS NULL DO NOTHING
RETURNING *

-- name: of_friend
SELECT * FROM review_requests WHERE friend_id = $1 ORDER BY asked_at DESC, id DESC LIMIT $2

-- name: waiting
-- Those without an answer, the first due first.
SELECT r.*, p.name AS friend_name, f.ref FROM review_requests r
JOIN friends f ON f.id = r.friend_id JOIN people p ON p.id = f.id
WHERE r.answered_at IS NULL AND ($1::timestamptz IS NULL OR (r.due_at, r.id) > ($1, $2::uuid))
ORDER BY r.due_at, r.id LIMIT $3

-- name: friend_of
SELECT friend_id FROM review_requests WHERE id = $1

-- name: lock
SELECT * FROM review_requests WHERE id = $1 FOR UPDATE

-- name: answer
UPDATE review_requests SET answered_at = moment(), answered_by = $2, outcome = $3, reasons = $4 WHERE id = $1

-- name: open_of
SELECT * FROM review_requests WHERE friend_id = $1 AND answered_at IS NULL ORDER BY due_at, id FOR UPDATE

-- name: mark_reminded
UPDATE review_requests SET reminded_at = moment() WHERE id = ANY($1::uuid[])

-- name: set_timer
WITH s AS (INSERT INTO subjects (kind, id) VALUES ('person', $1) ON CONFLICT DO NOTHING)
INSERT INTO timers (subject_kind, subject_id, kind, due_at, not_before) VALUES ('person', $1, 'review_due', $2, $2)
ON CONFLICT (subject_kind, subject_id, kind) WHERE subject_id IS NOT NULL
DO UPDATE SET due_at = excluded.due_at, not_before = excluded.not_before, attempts = 0

-- name: delete_timer
DELETE FROM timers WHERE subject_kind = 'person' AND subject_id = $1 AND kind = 'review_due'

-- name: due
SELECT subject_id FROM timers
WHERE not_before <= moment() AND subject_kind = 'person' AND kind = 'review_due' ORDER BY not_before LIMIT $1

-- name: postpone_timer
-- As `jobs.postpone_timers`.
UPDATE timers SET attempts = attempts + 1,
  not_before = moment() + least(interval '1 hour', interval '5 seconds' * power(2, least(attempts, 10)))
WHERE subject_kind = 'person' AND subject_id = $1 AND kind = 'review_due'

-- name: answerers
SELECT o.id FROM operators o JOIN people p ON p.id = o.id
WHERE p.erased_at IS NULL AND o.role = ANY($1::operator_role[]) ORDER BY o.id
