-- name: of_bookings
-- The threads of the present awards, and how many messages each side has written within $2.
SELECT t.*, (SELECT count(*) FROM thread_notes n WHERE n.award_id = t.award_id AND n.by = 'friend'
               AND n.at > moment() - $2::interval) AS recent_of_friend,
       (SELECT count(*) FROM thread_notes n WHERE n.award_id = t.award_id AND n.by = 'customer'
          AND n.at > moment() - $2::interval) AS recent_of_customer
FROM threads t JOIN bookings b ON b.id = t.booking_id AND b.award_id = t.award_id WHERE t.booking_id = ANY($1::uuid[])

-- name: of_award
SELECT * FROM threads WHERE award_id = $1

-- name: notes
SELECT award_id, seq, by, text, at FROM thread_notes WHERE award_id = $1 AND seq > $2 ORDER BY seq LIMIT $3

-- name: notes_of_booking
-- For the desk: the messages of all threads of a booking.
SELECT n.award_id, n.seq, n.by, n.text, n.at, p.name FROM threads t
JOIN thread_notes n ON n.award_id = t.award_id
JOIN awards a ON a.id = t.award_id JOIN people p ON p.id = a.friend_id
WHERE t.booking_id = $1 ORDER BY a.awarded_at, n.seq LIMIT $2

-- name: inbox
-- The threads of jobs that a friend has or has done lately, the last message first.
SELECT t.*, b.package, b.package_version, me.language, c.name, l.at, l.by, a.ended_at, moment() AS now
FROM awards a JOIN threads t ON t.award_id = a.id
JOIN bookings b ON b.id = a.booking_id JOIN people c ON c.id = b.customer_id JOIN people me ON me.id = a.friend_id
JOIN thread_notes l ON l.award_id = t.award_id AND l.seq = greatest(t.by_friend, t.by_customer)
WHERE a.friend_id = $1 AND a.state IN ('live', 'done') AND (a.ended_at IS NULL OR a.ended_at > moment() - $2::interval)
ORDER BY l.at DESC, a.id LIMIT $3

-- name: empty_old
UPDATE thread_notes SET text = NULL WHERE (award_id, seq) IN (
  SELECT n.award_id, n.seq FROM thread_notes n JOIN awards a ON a.id = n.award_id
  WHERE n.text IS NOT NULL AND n.at < moment() - $1::interval AND a.ended_at < moment() - $1::interval LIMIT 1000)
RETURNING seq
