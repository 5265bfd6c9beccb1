-- name: long_ago
SELECT moment() - interval '11 years'

-- name: alone
-- As superuser, followed by a reload: autovacuum is off while it measures, and the tables are vacuumed by hand.
ALTER SYSTEM SET autovacuum = off

-- name: known
SELECT pg_reload_conf()

-- name: written
-- A checkpoint before anything is measured.
CHECKPOINT

-- name: settle
VACUUM ANALYZE

-- name: size
SELECT pg_database_size(current_database())
