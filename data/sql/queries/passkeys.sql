-- name: insert
INSERT INTO passkeys (id, person_id, credential_id, public_key, sign_count, name, created_at)
SELECT $1, $2, $3, $4, $5, $6, moment()
WHERE (SELECT count(*) FROM passkeys WHERE person_id = $2) < $7
ON CONFLICT (credential_id) DO NOTHING
RETURNING id, name, created_at, used_at

-- name: owner
SELECT name, email FROM people WHERE id = $1 AND kind IN ('operator', 'account') AND erased_at IS NULL

-- name: of_person
SELECT id, credential_id, name, created_at, used_at FROM passkeys WHERE person_id = $1 ORDER BY created_at, id

-- name: by_credential
SELECT id, person_id, public_key, sign_count FROM passkeys WHERE credential_id = $1

-- name: use
UPDATE passkeys SET sign_count = $2, used_at = moment() WHERE id = $1 AND (sign_count < $2 OR (sign_count = 0 AND $2 = 0))
RETURNING id

-- name: spend
INSERT INTO spent_challenges (challenge, spent_at) VALUES ($1, moment()) ON CONFLICT DO NOTHING RETURNING challenge

-- name: delete
DELETE FROM passkeys WHERE id = $1 AND person_id = $2 RETURNING id

-- name: delete_old
-- Challenges are young or refused, so that older ones need not be remembered. At most a thousand.
DELETE FROM spent_challenges WHERE challenge IN
  (SELECT challenge FROM spent_challenges WHERE spent_at < moment() - interval '1 day' LIMIT 1000)
