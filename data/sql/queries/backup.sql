-- name: facts
-- What a backup and a restore check beforehand; `others` counts the other sessions of tekkie.
SELECT current_setting('server_version_num')::int / 10000 AS major,
       to_regnamespace('tekkie') IS NOT NULL AS has_schema,
       to_regclass('tekkie.bookings') IS NOT NULL AS has_tables,
       (SELECT count(*) FROM pg_stat_activity a
        WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
          AND a.application_name LIKE 'tekkie%') AS others

-- name: counts
SELECT (SELECT count(*) FROM bookings) AS bookings, (SELECT count(*) FROM people) AS people,
       (SELECT count(*) FROM events) AS events

-- name: begin
-- One transaction: a restore that is killed leaves nothing behind.
BEGIN;

-- name: clear
-- Only where the tables hold no people.
DROP SCHEMA tekkie CASCADE;

-- name: renumber
-- Transaction ids are valid only on the server that assigned them. One ahead of this server would look like a future
-- change: streams would resend old events for ever, and every friend would seem to have changed just now.
UPDATE tekkie.events SET xid = pg_current_xact_id() WHERE xid > pg_current_xact_id();
UPDATE tekkie.friends SET changed = pg_current_xact_id() WHERE changed > pg_current_xact_id();
DO $$ BEGIN
  -- A backup of an older tekkie has no threads.
  IF to_regclass('tekkie.thread_notes') IS NOT NULL THEN
    UPDATE tekkie.thread_notes SET xid = pg_current_xact_id() WHERE xid > pg_current_xact_id();
  END IF;
END $$;

-- name: commit
COMMIT;

-- name: analyze
ANALYZE
