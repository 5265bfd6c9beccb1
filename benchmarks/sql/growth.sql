-- name: long_ago
SELECT moment() - interval '11 years'

-- name: settle
VACUUM ANALYZE

-- name: size
SELECT pg_database_size(current_database())
