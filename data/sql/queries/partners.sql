-- name: insert
INSERT INTO partners (id, name, members_only, created_at) VALUES ($1, $2, $3, moment())
ON CONFLICT (name) DO NOTHING
RETURNING id, name, members_only, created_at

-- name: find
SELECT id, name, members_only, created_at FROM partners WHERE name = $1 OR id::text = $1

-- name: insert_key
INSERT INTO partner_keys (id, partner_id, prefix, secret_sha256, created_at) VALUES ($1, $2, $3, $4, moment())

-- name: partners_by_key
-- Read at every request and never cached: a revoked key is invalid at once.
SELECT k.secret_sha256, p.id, p.name, p.members_only, p.created_at
FROM partner_keys k JOIN partners p ON p.id = k.partner_id
WHERE k.secret_sha256 = ANY ($1) AND k.revoked_at IS NULL

-- name: revoke_key
UPDATE partner_keys k SET revoked_at = greatest(moment(), k.created_at) WHERE k.prefix = $1 AND k.revoked_at IS NULL
  AND ($2::uuid IS NULL OR k.partner_id = $2)
RETURNING k.id, k.partner_id

-- name: all_partners
SELECT p.id, p.name, p.members_only, p.created_at, k.prefix, k.created_at AS key_created_at, k.revoked_at
FROM partners p LEFT JOIN partner_keys k ON k.partner_id = p.id
ORDER BY p.name, k.created_at, k.id
