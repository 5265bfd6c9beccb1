-- name: take_over
-- An endpoint belongs to the friend who registered it last.
DELETE FROM push_subscriptions WHERE endpoint = $1 AND friend_id <> $2

-- name: put
INSERT INTO push_subscriptions (id, friend_id, endpoint, p256dh, auth, created_at) VALUES ($1, $2, $3, $4, $5, moment())
ON CONFLICT (endpoint) DO UPDATE SET p256dh = excluded.p256dh, auth = excluded.auth, problem = NULL,
  confirmed_at = CASE WHEN push_subscriptions.auth = excluded.auth THEN push_subscriptions.confirmed_at END
RETURNING id, created_at

-- name: drop_oldest
-- The subscription just registered is always kept, however old it is.
DELETE FROM push_subscriptions WHERE id IN (
  SELECT id FROM push_subscriptions WHERE friend_id = $1 ORDER BY id = $2 DESC, created_at DESC, id DESC OFFSET $3)

-- name: drop
DELETE FROM push_subscriptions WHERE friend_id = $1 AND endpoint = $2

-- name: subscriptions_of
SELECT id, endpoint, p256dh, auth, created_at, rung_at, problem FROM push_subscriptions
WHERE friend_id = $1 ORDER BY created_at, id

-- name: mark_pushed
UPDATE push_subscriptions SET rung_at = moment() WHERE friend_id = $1

-- name: confirm
-- The phones that rang, as far as their push services say.
UPDATE push_subscriptions SET confirmed_at = moment()
WHERE friend_id = $1 AND rung_at IS NOT NULL AND problem IS NULL

-- name: alarms
SELECT confirmed_at IS NOT NULL AND problem IS NULL AS confirmed FROM push_subscriptions WHERE friend_id = $1

-- name: delete_gone
DELETE FROM push_subscriptions WHERE id = ANY($1::uuid[])

-- name: record_results
UPDATE push_subscriptions s SET problem = t.p, rung_at = CASE WHEN t.p IS NULL THEN moment() ELSE s.rung_at END
FROM unnest($1::uuid[], $2::text[]) AS t (i, p) WHERE s.id = t.i

-- name: friend_status
-- What may prevent offers to a friend, whatever the booking.
SELECT moment() AS now, f.state, f.market, f.quiet_from, f.quiet_until, f.week, f.holidays, f.open_jobs,
       f.capacity, p.language,
       p.lat IS NOT NULL AS placed,
       EXISTS (SELECT FROM friend_certificates c WHERE c.friend_id = f.id AND c.valid @> moment()) AS certified
FROM friends f JOIN people p ON p.id = f.id WHERE f.id = $1
