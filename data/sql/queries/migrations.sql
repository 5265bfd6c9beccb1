-- name: lock
-- Held until the transaction ends: one migrator at a time.
SELECT pg_advisory_xact_lock(hashtextextended('tekkie migrations', 0))

-- name: try_lock
SELECT pg_try_advisory_xact_lock(hashtextextended('tekkie migrations', 0))

-- name: limit_lock_waits
-- Set after the advisory lock, which may be waited for long. An ALTER TABLE must not queue behind a long reader,
-- because all later statements queue behind it. Shorter than deadlock_timeout (1 s), so that a deadlock with the
-- service undoes the migration and never the service's transaction.
SET LOCAL lock_timeout = '300ms'

-- name: create_schema
-- The schema and the list of applied migrations.
CREATE SCHEMA IF NOT EXISTS tekkie;
CREATE TABLE IF NOT EXISTS tekkie.migrations (
  version integer PRIMARY KEY,
  name text NOT NULL,
  sha256 text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  works_from integer
);
GRANT USAGE ON SCHEMA tekkie TO tekkie_service;
GRANT SELECT ON tekkie.migrations TO tekkie_service

-- name: schema_exists
SELECT to_regclass('tekkie.migrations') IS NOT NULL

-- name: has_works_from
SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'tekkie.migrations'::regclass AND attname = 'works_from')

-- name: add_works_from
ALTER TABLE tekkie.migrations ADD COLUMN works_from integer

-- name: blocking_session
-- The start of others' transactions is visible to some roles only, their locks to all. A session that waits for a lock
-- itself is not the blocker.
SELECT a.pid, a.application_name, coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8 AS held_s
FROM pg_stat_activity a
WHERE a.pid <> pg_backend_pid() AND a.pid IN (
  SELECT l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
  WHERE l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND c.relnamespace = 'tekkie'::regnamespace)
AND a.pid NOT IN (SELECT pid FROM pg_locks WHERE NOT granted)
ORDER BY a.xact_start NULLS LAST LIMIT 1

-- name: role_exists
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tekkie_service')

-- name: create_role
-- The service works as this role and never as the owner: it may not change the schema.
CREATE ROLE tekkie_service NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE

-- name: may_become_role
SELECT pg_has_role(current_user, 'tekkie_service', 'SET')

-- name: may_become_role_before_16
SELECT pg_has_role(current_user, 'tekkie_service', 'MEMBER')

-- name: grant_role
GRANT tekkie_service TO CURRENT_USER

-- name: applied
-- A database migrated by an earlier release has no column `works_from`.
SELECT version, name, sha256, coalesce((to_jsonb(m) ->> 'works_from')::integer, version - 1) AS works_from
FROM tekkie.migrations m ORDER BY version

-- name: record
INSERT INTO tekkie.migrations (version, name, sha256, works_from) VALUES ($1, $2, $3, $4)
