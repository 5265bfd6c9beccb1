-- name: moment
SELECT moment()

-- name: install_test_clock
-- Replaces `moment()` by one that reads the table `clock`; only the owner may, and only where it is allowed.
CREATE OR REPLACE FUNCTION tekkie.moment() RETURNS timestamptz LANGUAGE sql STABLE AS
  'SELECT shown_at + (clock_timestamp() - real_at) * speed FROM tekkie.clock'

-- name: remove_test_clock
CREATE OR REPLACE FUNCTION tekkie.moment() RETURNS timestamptz LANGUAGE sql STABLE AS
  'SELECT clock_timestamp()'

-- name: set_test_clock
INSERT INTO tekkie.clock (real_at, shown_at, speed) VALUES (clock_timestamp(), $1, $2)
ON CONFLICT (one) DO UPDATE SET real_at = excluded.real_at, shown_at = excluded.shown_at, speed = excluded.speed

-- name: test_clock_installed
SELECT prosrc LIKE '%tekkie.clock%' FROM pg_proc WHERE oid = 'tekkie.moment()'::regprocedure

-- name: speed
SELECT coalesce((SELECT speed FROM clock), 1.0)

-- name: wall
-- The server's own clock, to be compared with a monotonic one; NULL while a test clock is installed.
SELECT CASE WHEN prosrc LIKE '%tekkie.clock%' THEN NULL ELSE clock_timestamp() END
FROM pg_proc WHERE oid = 'tekkie.moment()'::regprocedure

-- name: server_time
SELECT clock_timestamp()

-- name: newest_event_at
-- The clock may not be set before this: bookings with later events could not change any more.
SELECT max(at) FROM tekkie.events

-- name: last_event_at
-- The time of the event written last. The greatest time would stay ahead for hours after a wrong clock was corrected.
SELECT at FROM events ORDER BY xid DESC LIMIT 1

-- name: is_confirmed
SELECT EXISTS (SELECT FROM audit a WHERE a.subject = 'clock' AND a.act = 'clock.confirmed'
  AND a.at BETWEEN (SELECT moment()) - $1::interval AND (SELECT moment()))
