-- name: lock
-- Held to the end of the transaction: one migrator at a time, however many start at once.
SELECT pg_advisory_xact_lock(hashtextextended('tekkie migrations', 0))

-- name: try_lock
SELECT pg_try_advisory_xact_lock(hashtextextended('tekkie migrations', 0))

-- name: limit_lock_waits
-- After the advisory lock, which may take long: a change of a table must not queue behind a long
-- reader, because everybody else then queues behind the change.
SET LOCAL lock_timeout = '2s'

-- name: found
-- The schema and the list of what was applied to it.
CREATE SCHEMA IF NOT EXISTS tekkie;
CREATE TABLE IF NOT EXISTS tekkie.migrations (
  version integer PRIMARY KEY,
  name text NOT NULL,
  sha256 text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT USAGE ON SCHEMA tekkie TO tekkie_service;
GRANT SELECT ON tekkie.migrations TO tekkie_service

-- name: is_founded
SELECT to_regclass('tekkie.migrations') IS NOT NULL

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
SELECT version, name, sha256 FROM tekkie.migrations ORDER BY version

-- name: record
INSERT INTO tekkie.migrations (version, name, sha256) VALUES ($1, $2, $3)
