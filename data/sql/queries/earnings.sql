-- name: market
SELECT market FROM friends WHERE id = $1

-- name: by_month
-- In months of a time zone. The minutes are those that the friend reported for what stands.
SELECT to_char(c.at AT TIME ZONE $2, 'YYYY-MM') AS month, c.currency, b.cancel_fee_minor > 0 AS for_fee,
       v.at IS NOT NULL AS is_reversed, count(*) AS charges, sum(c.pay_minor) AS pay_minor,
       coalesce(sum(w.worked_minutes) FILTER (WHERE v.at IS NULL), 0) AS minutes,
       coalesce(sum(c.pay_minor) FILTER (WHERE v.at IS NULL AND w.worked_minutes > 0), 0) AS timed_minor
FROM charges c
JOIN bookings b ON b.id = c.booking_id
LEFT JOIN reversals v ON v.booking_id = c.booking_id AND v.no = c.no
LEFT JOIN awards w ON w.booking_id = c.booking_id AND w.friend_id = c.friend_id AND w.state = 'done'
WHERE c.friend_id = $1 GROUP BY 1, 2, 3, 4

-- name: in_month
-- All of one month of a time zone, the oldest first, with the minutes reported.
SELECT c.booking_id, c.pay_minor, c.currency, c.at, v.at AS reversed_at, b.package, b.package_version, b.cancel_fee_minor,
       me.language, w.worked_minutes
FROM charges c
JOIN bookings b ON b.id = c.booking_id
JOIN people me ON me.id = c.friend_id
LEFT JOIN reversals v ON v.booking_id = c.booking_id AND v.no = c.no
LEFT JOIN awards w ON w.booking_id = c.booking_id AND w.friend_id = c.friend_id AND w.state = 'done' AND v.at IS NULL
WHERE c.friend_id = $1 AND to_char(c.at AT TIME ZONE $2, 'YYYY-MM') = $3
ORDER BY c.at, c.booking_id LIMIT 10000
