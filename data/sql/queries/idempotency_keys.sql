-- name: claim
-- The same key claimed in another process waits here until this transaction commits, then reads its response.
INSERT INTO answers (principal, key, request_sha256, created_at)
SELECT p, k, s, moment() FROM unnest($1::text[], $2::text[], $3::bytea[]) AS t (p, k, s) ORDER BY p, k
ON CONFLICT (principal, key) DO NOTHING
RETURNING principal, key

-- name: stored
SELECT a.principal, a.key, a.request_sha256, a.body FROM answers a
JOIN unnest($1::text[], $2::text[]) AS t (p, k) ON a.principal = t.p AND a.key = t.k

-- name: store
UPDATE answers a SET body = t.b FROM unnest($1::text[], $2::text[], $3::jsonb[]) AS t (p, k, b)
WHERE a.principal = t.p AND a.key = t.k

-- name: release
-- A claim whose request was refused is deleted: the same key may be used again with a corrected request.
DELETE FROM answers a USING unnest($1::text[], $2::text[]) AS t (p, k)
WHERE a.principal = t.p AND a.key = t.k AND a.body IS NULL

-- name: delete_old
DELETE FROM answers WHERE (principal, key) IN
  (SELECT principal, key FROM answers WHERE created_at < moment() - interval '7 days' ORDER BY created_at LIMIT 1000)
