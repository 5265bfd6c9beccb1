-- name: now
SELECT moment()

-- name: remember
CREATE TABLE was_due AS SELECT booking_id, kind, due_at FROM timers;
ALTER TABLE was_due ADD PRIMARY KEY (booking_id, kind);
ANALYZE

-- name: left
SELECT moment() AS now, (SELECT count(*) FROM was_due w JOIN timers t ON t.booking_id = w.booking_id AND t.kind = w.kind
                         AND t.due_at = w.due_at)::int AS left

-- name: once
-- One fact for each timer: the missed contact, or the expiry of the offers of that hour.
SELECT count(*) FILTER (WHERE n >= 1)::int AS acted, count(*) FILTER (WHERE n > 1)::int AS twice,
       count(*) FILTER (WHERE n = 0)::int AS never
FROM (SELECT (SELECT count(*) FROM events e WHERE e.booking_id = w.booking_id
                AND e.kind = CASE w.kind WHEN 'contact_deadline' THEN 'contact.missed' ELSE 'offer.expired' END) AS n
      FROM was_due w) AS facts

-- name: lateness
-- From the due moment to the decision, whose moment is read under the lock; the commit follows.
SELECT extract(epoch FROM e.at - w.due_at)::float8 AS late_s
FROM was_due w JOIN events e ON e.booking_id = w.booking_id
  AND e.kind = CASE w.kind WHEN 'contact_deadline' THEN 'contact.missed' ELSE 'offer.expired' END
