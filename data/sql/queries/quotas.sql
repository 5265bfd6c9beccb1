-- name: use
-- In one order, so that two batches do not deadlock.
INSERT INTO quotas AS q (kind, key, since, used)
SELECT k, v, moment(), n FROM unnest($1::text[], $2::text[], $3::int[]) AS t (k, v, n) ORDER BY k, v
ON CONFLICT (kind, key) DO UPDATE SET
  since = CASE WHEN q.since <= moment() - $4::interval THEN excluded.since ELSE q.since END,
  used = CASE WHEN q.since <= moment() - $4::interval THEN 0 ELSE q.used END + excluded.used
RETURNING kind, key, used

-- name: give_back
UPDATE quotas q SET used = q.used - t.n
FROM unnest($1::text[], $2::text[], $3::int[]) AS t (k, v, n)
WHERE q.kind = t.k AND q.key = t.v

-- name: delete_old
DELETE FROM quotas WHERE (kind, key) IN
  (SELECT kind, key FROM quotas WHERE since <= moment() - $1::interval ORDER BY since LIMIT 1000)

-- name: delete_old_contacts
DELETE FROM confirmed_contacts WHERE contact_key IN
  (SELECT contact_key FROM confirmed_contacts WHERE at <= moment() - $1::interval ORDER BY at LIMIT 1000)
