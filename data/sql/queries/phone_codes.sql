-- name: lock_person
SELECT p.phone, p.phone_confirmed_at, coalesce(f.market::text, p.country) AS region, p.guardian_phone
FROM people p LEFT JOIN friends f ON f.id = p.id
WHERE p.id = $1 AND p.erased_at IS NULL FOR NO KEY UPDATE OF p

-- name: set_pending
UPDATE people SET pending_phone = $2 WHERE id = $1

-- name: put
INSERT INTO phone_codes (person_id, errand_id, expires_at) VALUES ($1, $2, $3)
ON CONFLICT (person_id) DO UPDATE SET errand_id = excluded.errand_id, expires_at = excluded.expires_at, tries = 0,
  delivery = 'sending'

-- name: count_try
-- Counted before the code is compared.
UPDATE phone_codes SET tries = tries + 1 WHERE person_id = $1 AND expires_at > moment() AND tries < $2
RETURNING errand_id

-- name: confirm
-- Not when it has become the number of the guardian meanwhile.
UPDATE people SET phone = pending_phone, pending_phone = NULL, phone_confirmed_at = moment()
WHERE id = $1 AND pending_phone IS NOT NULL AND pending_phone IS DISTINCT FROM guardian_phone RETURNING id

-- name: delete
DELETE FROM phone_codes WHERE person_id = $1 AND errand_id = $2 RETURNING person_id

-- name: read
SELECT p.phone, p.phone_confirmed_at, p.pending_phone, c.expires_at, c.tries, c.delivery
FROM people p LEFT JOIN phone_codes c ON c.person_id = p.id WHERE p.id = $1 AND p.erased_at IS NULL

-- name: to_send
-- Only to the number that was asked for last.
SELECT c.errand_id, p.pending_phone AS number, p.language FROM phone_codes c JOIN people p ON p.id = c.person_id
WHERE c.errand_id = ANY($1::uuid[]) AND p.pending_phone IS NOT NULL

-- name: set_delivery
-- What is known to have arrived or not stays so, in whichever order it is heard.
UPDATE phone_codes SET delivery = $2 WHERE errand_id = $1 AND delivery IN ('sending', 'sent')

-- name: forget_over
-- Numbers that were never confirmed, a day after their last code; at most a thousand.
WITH over AS (DELETE FROM phone_codes WHERE person_id IN
                (SELECT person_id FROM phone_codes WHERE expires_at < moment() - interval '1 day' LIMIT 1000)
              RETURNING person_id)
UPDATE people SET pending_phone = NULL WHERE id IN (SELECT person_id FROM over)
