-- name: keep
INSERT INTO policies (id, version, numbers, at) VALUES ($1, $2, $3, moment()) ON CONFLICT DO NOTHING

-- name: numbers
SELECT numbers FROM policies WHERE id = $1
