-- name: record
INSERT INTO audit (at, actor, act, subject_kind, subject, data) VALUES (moment(), $1, $2, $3, $4, $5)

-- name: record_many
INSERT INTO audit (at, actor, act, subject_kind, subject, data)
SELECT moment(), $1, $2, t.k, t.s, t.d FROM unnest($3::subject_kind[], $4::text[], $5::jsonb[]) AS t (k, s, d)
