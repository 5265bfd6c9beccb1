-- name: lock
SELECT id FROM bookings WHERE id = $1 FOR UPDATE

-- name: of_booking
SELECT * FROM reviews WHERE booking_id = $1 ORDER BY by_friend

-- name: note
INSERT INTO review_notes AS n (booking_id, no, by_friend, reply, replied_at, report, reported_at)
VALUES ($1, $2, $3, $4::text, CASE WHEN $4::text IS NOT NULL THEN moment() END, $5::text,
        CASE WHEN $6::boolean THEN moment() END)
ON CONFLICT (booking_id, no, by_friend) DO UPDATE SET
  reply = coalesce(n.reply, excluded.reply), replied_at = coalesce(n.replied_at, excluded.replied_at),
  report = CASE WHEN n.reported_at IS NULL THEN excluded.report ELSE n.report END,
  reported_at = coalesce(n.reported_at, excluded.reported_at)

-- name: open_reports
SELECT r.*, b.package FROM review_notes n
JOIN reviews r ON r.booking_id = n.booking_id AND r.no = n.no AND r.by_friend = n.by_friend
JOIN bookings b ON b.id = n.booking_id
WHERE n.reported_at IS NOT NULL AND n.decided_at IS NULL ORDER BY n.reported_at, n.booking_id LIMIT $1

-- name: profile
SELECT p.name, f.languages,
       (SELECT x.id FROM files x WHERE x.person_id = f.id AND x.kind = 'photo') AS photo,
       ARRAY(SELECT DISTINCT c.certificate FROM friend_certificates c
             WHERE c.friend_id = f.id AND c.valid @> moment() ORDER BY 1) AS certificates,
       (SELECT round(avg(r.stars), 1)::float8 FROM shown_ratings r WHERE r.friend_id = f.id) AS stars,
       (SELECT count(*) FROM shown_ratings r WHERE r.friend_id = f.id) AS ratings,
       (SELECT count(*) FROM awards a WHERE a.friend_id = f.id AND a.state = 'done') AS jobs
FROM friends f JOIN people p ON p.id = f.id WHERE f.id = $1 AND p.erased_at IS NULL

-- name: shown_of_friend
SELECT * FROM reviews WHERE friend_id = $1 AND NOT by_friend AND shown_at <= moment() AND hidden IS NULL
  AND comment IS NOT NULL ORDER BY at DESC, booking_id LIMIT $2
