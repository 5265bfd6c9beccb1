-- name: insert
INSERT INTO files (id, kind, person_id, booking_id, name, bytes, stored, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, moment()) RETURNING *

-- name: lock_person
SELECT id FROM people WHERE id = $1 AND erased_at IS NULL FOR NO KEY UPDATE

-- name: held
-- How many of one kind a person keeps, or a job has.
SELECT count(*) FROM files WHERE kind = $1 AND CASE WHEN $3::uuid IS NULL THEN person_id = $2 ELSE booking_id = $3 END

-- name: view
-- With the friend who has or had the job of the file, or the customer's booking in $2.
SELECT f.*, a.friend_id AS holder_id, a.ended_at, moment() AS now FROM files f
LEFT JOIN bookings b ON b.id = coalesce($2::uuid, f.booking_id)
LEFT JOIN awards a ON a.id = b.award_id
WHERE f.id = $1

-- name: of_people
SELECT * FROM files WHERE person_id = ANY($1::uuid[]) AND kind <> 'result' ORDER BY created_at, id

-- name: of_booking
SELECT * FROM files WHERE booking_id = $1 ORDER BY created_at, id

-- name: delete_of_kind
DELETE FROM files WHERE person_id = $1 AND kind = $2 RETURNING id

-- name: delete_of
-- All of these people, and of the jobs of these customers.
DELETE FROM files WHERE person_id = ANY($1::uuid[])
  OR booking_id IN (SELECT id FROM bookings WHERE customer_id = ANY($1::uuid[])) RETURNING id

-- name: delete
DELETE FROM files WHERE id = ANY($1::uuid[]) RETURNING id

-- name: delete_over
-- Evidence that nobody has looked at in time.
DELETE FROM files WHERE id IN (
  SELECT id FROM files WHERE kind = 'evidence' AND created_at <= moment() - $1::interval LIMIT 1000) RETURNING id

-- name: known
SELECT id FROM files WHERE id = ANY($1::uuid[])

-- name: in_folder
SELECT id FROM files WHERE stored = 'folder' AND id > $1 ORDER BY id LIMIT $2

-- name: without_content
SELECT id FROM files f WHERE stored = 'database' AND NOT EXISTS (SELECT FROM file_contents c WHERE c.file_id = f.id)
ORDER BY id LIMIT 20

-- name: put_content
INSERT INTO file_contents (file_id, content) VALUES ($1, $2)

-- name: content
SELECT content FROM file_contents WHERE file_id = $1

-- name: note_identity
INSERT INTO identities (person_id, document, valid_until, seen_at, seen_by) VALUES ($1, $2, $3, moment(), $4)
ON CONFLICT (person_id) DO UPDATE SET document = excluded.document, valid_until = excluded.valid_until,
  seen_at = excluded.seen_at, seen_by = excluded.seen_by

-- name: identity
SELECT document, valid_until, seen_at, seen_by FROM identities WHERE person_id = $1
