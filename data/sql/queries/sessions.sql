-- name: find_login
-- The account with this address: never a suspended friend, never an erased person.
SELECT p.id, p.email, p.language, p.country, f.market
FROM people p LEFT JOIN friends f ON f.id = p.id
WHERE p.kind = $1 AND lower(p.email) = lower($2) AND p.erased_at IS NULL AND f.state IS DISTINCT FROM 'suspended'

-- name: insert_link
INSERT INTO login_links (token_sha256, person_id, created_at, expires_at)
SELECT $1, p.id, clock.now, clock.now + $3 FROM (SELECT moment() AS now) AS clock, people p
WHERE p.id = $2 AND p.kind <> 'customer' AND p.erased_at IS NULL
RETURNING expires_at

-- name: use_link
-- A link works once: a second request waits for the row and then finds it used.
UPDATE login_links l SET used_at = clock.now FROM (SELECT moment() AS now) AS clock
WHERE l.token_sha256 = $1 AND l.used_at IS NULL AND l.expires_at > clock.now
RETURNING l.person_id, (SELECT p.kind FROM people p WHERE p.id = l.person_id) AS kind

-- name: lock_people
-- Signing in and losing access wait for each other, each before it reads who may sign in.
SELECT id FROM people WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE

-- name: insert
INSERT INTO sessions (token_sha256, person_id, created_at, expires_at)
SELECT $1, p.id, clock.now, clock.now + $3
FROM (SELECT moment() AS now) AS clock, people p LEFT JOIN friends f ON f.id = p.id
WHERE p.id = $2 AND p.kind <> 'customer' AND p.erased_at IS NULL AND f.state IS DISTINCT FROM 'suspended'
RETURNING expires_at, (SELECT kind FROM people k WHERE k.id = sessions.person_id) AS kind

-- name: session_owners
-- Read at every request, so that revocation and suspension take effect at once.
SELECT s.token_sha256, p.id, p.kind, p.language, o.role, a.customer_key, d.company_id
FROM sessions s JOIN people p ON p.id = s.person_id LEFT JOIN friends f ON f.id = p.id
  LEFT JOIN operators o ON o.id = p.id LEFT JOIN accounts a ON a.id = p.id LEFT JOIN dispatchers d ON d.id = p.id
WHERE s.token_sha256 = ANY ($1) AND s.revoked_at IS NULL AND s.expires_at > moment() AND p.erased_at IS NULL
  AND f.state IS DISTINCT FROM 'suspended'

-- name: session_expiry
SELECT s.expires_at, moment() AS now, p.name FROM sessions s JOIN people p ON p.id = s.person_id
WHERE s.token_sha256 = $1 AND s.revoked_at IS NULL AND s.expires_at > moment()

-- name: revoke
UPDATE sessions SET revoked_at = moment() WHERE token_sha256 = $1 AND revoked_at IS NULL

-- name: revoke_all
-- Every way in: sessions, and login links that were not used yet.
WITH links AS (DELETE FROM login_links WHERE person_id = ANY($1::uuid[]) AND used_at IS NULL)
UPDATE sessions SET revoked_at = moment() WHERE person_id = ANY($1::uuid[]) AND revoked_at IS NULL AND expires_at > moment()
RETURNING person_id

-- name: insert_operator
-- An operator who exists already is left unchanged.
WITH known AS (SELECT id FROM people WHERE kind = 'operator' AND lower(email) = lower($3) AND erased_at IS NULL),
     person AS (INSERT INTO people (id, kind, name, email, language)
                SELECT $1, 'operator', $2, $3, $4 WHERE NOT EXISTS (SELECT FROM known)
                ON CONFLICT DO NOTHING RETURNING id),
     operator AS (INSERT INTO operators (id, created_at, role) SELECT id, moment(), $5 FROM person RETURNING id)
SELECT id FROM person UNION ALL SELECT id FROM known

-- name: operators
SELECT p.id, p.name, p.email, o.role, o.created_at FROM operators o JOIN people p ON p.id = o.id
WHERE p.erased_at IS NULL ORDER BY lower(p.email)

-- name: set_role
UPDATE operators SET role = $2 WHERE id = $1 AND role <> $2 RETURNING id

-- name: close_operator
-- The name stays: notes and the audit log name their authors. The address is free for another account.
WITH keys AS (DELETE FROM passkeys WHERE person_id = $1)
UPDATE people SET email = id || '@removed.invalid', phone = NULL, erased_at = moment()
WHERE id = $1 AND kind = 'operator' AND erased_at IS NULL RETURNING id

-- name: delete_old
-- Expired links and sessions, at most a thousand of each.
WITH links AS (DELETE FROM login_links WHERE token_sha256 IN
                 (SELECT token_sha256 FROM login_links WHERE expires_at < moment() - interval '1 day' LIMIT 1000))
DELETE FROM sessions WHERE token_sha256 IN
  (SELECT token_sha256 FROM sessions WHERE expires_at < moment() - interval '1 day' LIMIT 1000)
