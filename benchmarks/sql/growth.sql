-- name: long_ago
SELECT moment() - interval '11 years'

-- name: alone
-- As superuser, and then to be made known: the tables are settled by hand, and nothing else shall be while it measures.
ALTER SYSTEM SET autovacuum = off

-- name: known
SELECT pg_reload_conf()

-- name: written
-- What lies in memory goes to the disk before anything is measured.
CHECKPOINT

-- name: settle
VACUUM ANALYZE

-- name: size
SELECT pg_database_size(current_database())
