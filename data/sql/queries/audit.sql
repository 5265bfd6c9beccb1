-- name: record
INSERT INTO audit (at, actor, act, subject, data) VALUES (moment(), $1, $2, $3, $4)

-- name: record_many
INSERT INTO audit (at, actor, act, subject, data) SELECT moment(), $1, $2, t.s, t.d FROM unnest($3::text[], $4::jsonb[]) AS t (s, d)
