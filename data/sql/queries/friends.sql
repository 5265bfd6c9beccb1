-- name: facts
-- Everything that decides whether a friend may be asked, in one row each.
SELECT f.id, f.ref, f.state, f.tier, f.market, f.languages, f.radius_m, f.capacity, f.open_jobs, f.quiet_from,
       f.quiet_until, p.lat, p.lon, p.email <> '' AS has_mail,
       (SELECT count(*) FROM offers o WHERE o.friend_id = f.id AND o.state = 'live' AND o.expires_at > $2) AS live_offers,
       ARRAY(SELECT c.certificate FROM friend_certificates c WHERE c.friend_id = f.id
             ORDER BY c.certificate, c.valid) AS certificates,
       ARRAY(SELECT c.valid FROM friend_certificates c WHERE c.friend_id = f.id
             ORDER BY c.certificate, c.valid) AS valid,
       ARRAY(SELECT m.partner_id FROM partner_members m WHERE m.friend_id = f.id) AS communities,
       ARRAY(SELECT b.customer_key FROM blocks b WHERE b.friend_id = f.id) AS blocked
FROM friends f JOIN people p ON p.id = f.id
WHERE f.id = ANY($1::uuid[]) AND p.lat IS NOT NULL

-- name: lock
-- In the order of ids and after the bookings, so that no two batches wait in a circle.
SELECT id FROM friends WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE

-- name: ids_after
-- Pages through all friends for a full load of the index.
SELECT id FROM friends WHERE id > $1 ORDER BY id LIMIT $2

-- name: horizon
-- Every later change of a friend has this transaction id or a greater one.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text

-- name: changed_since
-- By transaction id from the oldest still running then: a row committed late is not passed over.
SELECT id FROM friends WHERE changed >= $1::text::xid8

-- name: id_of
SELECT id FROM friends WHERE ref = $1 OR id::text = $1
