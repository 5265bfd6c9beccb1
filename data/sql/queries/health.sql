-- name: facts
SELECT coalesce((SELECT max(version) FROM migrations), 0) AS version, EXISTS (SELECT FROM friends) AS has_friends
