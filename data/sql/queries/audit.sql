-- name: record
INSERT INTO audit (at, actor, act, subject, data) VALUES (moment(), $1, $2, $3, $4)
