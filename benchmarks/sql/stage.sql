-- name: clone
CREATE DATABASE "{name}" OWNER {owner} TEMPLATE "{template}" STRATEGY file_copy

-- name: drop
DROP DATABASE IF EXISTS "{name}" WITH (FORCE)

-- name: settle
-- What autovacuum would have done before the first booking, for tables with rows only: an empty table, once analyzed,
-- is planned for as if it stayed empty.
VACUUM ANALYZE people, friends, friend_certificates, partner_members, blocks, packages, prices, certificates

-- name: exclusions
SELECT conrelid::regclass::text AS table, conname AS name, pg_get_constraintdef(oid) AS says
FROM pg_constraint WHERE contype = 'x' AND conrelid = 'tekkie.friend_certificates'::regclass

-- name: without
ALTER TABLE {table} DROP CONSTRAINT {name}

-- name: again
ALTER TABLE {table} ADD CONSTRAINT {name} {says}

-- name: disable_triggers
-- As superuser: triggers and foreign keys do not run. Ends with the connection.
SET session_replication_role = replica
