-- name: events_since
-- Events, and messages of threads without their words, visible now and not in the snapshot $1: exactly those committed in between, whenever they were written. At
-- least one row, so that the new snapshot is always known; at most the newest $2 events.
SELECT clock.mark, e.booking_id, e.seq, e.kind, e.at, e.actor, e.data, e.xid::text, b.partner_id
FROM (SELECT pg_current_snapshot()::text AS mark) AS clock
LEFT JOIN LATERAL (
  SELECT * FROM (
    (SELECT n.booking_id, n.seq, n.kind, n.at, n.actor, n.data, n.xid FROM events n
     WHERE n.xid >= pg_snapshot_xmin($1::text::pg_snapshot)
       AND NOT pg_visible_in_snapshot(n.xid, $1::text::pg_snapshot)
     ORDER BY n.xid DESC LIMIT $2)
    UNION ALL
    (SELECT a.booking_id, n.seq, 'message.sent', n.at, n.by::text, jsonb_build_object('friend', a.friend_id), n.xid
     FROM thread_notes n JOIN awards a ON a.id = n.award_id
     WHERE n.xid >= pg_snapshot_xmin($1::text::pg_snapshot)
       AND NOT pg_visible_in_snapshot(n.xid, $1::text::pg_snapshot)
     ORDER BY n.xid DESC LIMIT $2)) AS u
  ORDER BY u.xid DESC LIMIT $2) AS e ON true
LEFT JOIN bookings b ON b.id = e.booking_id

-- name: offers_of
-- What friends may see of their offers, whatever the offers' state. The language is looked up by id: as a join, the
-- planner would read all people until statistics exist.
SELECT o.id, o.booking_id, o.friend_id, o.round, o.shown_m, o.offered_at, o.expires_at, o.answered_at, b.package,
       b.package_version, b.tier,
       b.pay_minor, b.currency, b.cell_lat, b.cell_lon, b.cell_label, b.wishes,
       (SELECT me.language FROM people me WHERE me.id = o.friend_id) AS language, clock.now,
       b.favourite_id IS NOT DISTINCT FROM o.friend_id AS for_you
FROM (SELECT moment() AS now) AS clock, offers o
JOIN bookings b ON b.id = o.booking_id
WHERE o.booking_id = ANY($1::uuid[]) AND b.id = ANY($1::uuid[])

-- name: valid_credentials
-- Which of these sessions and partner keys are still valid, in one query.
SELECT s.token_sha256 AS secret FROM sessions s
JOIN people p ON p.id = s.person_id LEFT JOIN friends f ON f.id = p.id
WHERE s.token_sha256 = ANY($1::bytea[]) AND s.revoked_at IS NULL AND s.expires_at > (SELECT moment())
  AND p.erased_at IS NULL AND f.state IS DISTINCT FROM 'suspended'
UNION ALL
SELECT k.secret_sha256 FROM partner_keys k WHERE k.secret_sha256 = ANY($1::bytea[]) AND k.revoked_at IS NULL
