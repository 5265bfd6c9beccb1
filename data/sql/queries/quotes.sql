-- name: insert
INSERT INTO quotes (id, package, market, partner_id, price_minor, currency, created_at, expires_at)
SELECT $1, $2, $3, $4, $5, $6, now, now + $7 FROM (SELECT moment() AS now) AS clock
RETURNING *

-- name: find
SELECT * FROM quotes WHERE id = $1

-- name: delete_old
DELETE FROM quotes WHERE id IN (SELECT id FROM quotes WHERE expires_at < moment() - interval '7 days'
                                ORDER BY expires_at LIMIT 1000)
