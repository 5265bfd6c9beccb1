-- name: claim
-- By state, never by an id greater than the last one: a row committed late would be missed. Not while an earlier
-- message to the same recipient about the same subject is pending: a booking, or what is none. Leases and back-off are wall-clock time: a test
-- clock that runs fast must not shorten them.
WITH due AS MATERIALIZED (
  SELECT m.id FROM messages m
  WHERE m.state = 'pending' AND m.next_at <= (SELECT moment()) AND m.recipient_id <> ALL($3::uuid[])
    AND NOT EXISTS (SELECT FROM messages e
                    WHERE e.state = 'pending' AND e.booking_id = m.booking_id AND e.recipient_id = m.recipient_id
                      AND (e.seq, e.id) < (m.seq, m.id))
    AND (m.booking_id IS NOT NULL OR NOT EXISTS (
      SELECT FROM messages e
      WHERE e.state = 'pending' AND e.booking_id IS NULL AND e.recipient_id = m.recipient_id
        AND (e.subject_kind, e.subject_id) = (m.subject_kind, m.subject_id) AND (e.seq, e.id) < (m.seq, m.id)))
  ORDER BY m.next_at LIMIT $1 FOR UPDATE SKIP LOCKED)
UPDATE messages m
SET attempts = m.attempts + 1,
    next_at = moment() + make_interval(secs => $2) * (SELECT coalesce(max(greatest(speed, 1)), 1) FROM clock)
FROM due WHERE m.id = due.id
RETURNING m.*, coalesce(m.expires_at <= moment(), false) AS late

-- name: settle
-- A sender whose lease ran out may still report success, but not failure. A message that expires while it waits is due
-- at its expiry, since later messages to the same recipient wait for it.
UPDATE messages m
SET state = t.s, problem = t.p, sent_at = CASE WHEN t.s = 'sent' THEN moment() END,
    next_at = CASE WHEN t.s <> 'pending' THEN m.next_at
      ELSE least(moment() + make_interval(secs => t.w)
                   * (SELECT coalesce(max(greatest(speed, 1)), 1) FROM clock), m.expires_at) END
FROM unnest($1::uuid[], $2::int[], $3::message_state[], $4::text[], $5::float8[]) AS t (i, a, s, p, w)
WHERE m.id = t.i AND m.state = 'pending' AND (t.s = 'sent' OR m.attempts = t.a)

-- name: unpark
UPDATE messages SET state = 'pending', attempts = 0, next_at = moment(), problem = NULL
WHERE id = $1 AND state = 'parked' RETURNING booking_id, subject_kind, subject_id

-- name: backlog
-- Counts stop at $1: exact numbers beyond that are not needed and would cost an overloaded server time.
SELECT (SELECT count(*) FROM (SELECT FROM messages WHERE state = 'pending' LIMIT $1) AS m) AS pending,
       (SELECT count(*) FROM (SELECT FROM messages WHERE state = 'parked' LIMIT $1) AS m) AS parked,
       (SELECT extract(epoch FROM moment() - min(next_at))::float8 FROM messages
        WHERE state = 'pending' AND next_at <= (SELECT moment())) AS pending_late_s,
       (SELECT count(*) FROM (SELECT FROM timers WHERE not_before <= (SELECT moment()) LIMIT $1) AS t) AS overdue,
       (SELECT extract(epoch FROM moment() - min(not_before))::float8 FROM timers
        WHERE not_before <= (SELECT moment())) AS overdue_s,
       (SELECT count(*) FROM (SELECT FROM errands WHERE state = 'pending' LIMIT $1) AS e) AS errands_pending,
       (SELECT count(*) FROM (SELECT FROM errands WHERE state = 'parked' LIMIT $1) AS e) AS errands_parked,
       (SELECT extract(epoch FROM moment() - min(next_at))::float8 FROM errands
        WHERE state = 'pending' AND next_at <= (SELECT moment())) AS errands_late_s,
       (SELECT count(*) FROM (SELECT FROM notices WHERE state = 'pending' LIMIT $1) AS n) AS notices_pending
