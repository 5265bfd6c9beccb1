-- name: unmet_demand
-- By square kilometre, never by address. Unmet: it ever was unfilled, or fewer than four friends were asked about it.
SELECT t.cell_lat AS lat, t.cell_lon AS lon, count(*) AS bookings,
       count(*) FILTER (WHERE t.unfilled OR t.asked < 4) AS unmet,
       count(*) FILTER (WHERE t.unfilled) AS unfilled
FROM (SELECT b.cell_lat, b.cell_lon,
             b.state = 'unfilled' OR EXISTS (SELECT FROM events e WHERE e.booking_id = b.id
                                             AND e.kind = 'booking.unfilled') AS unfilled,
             (SELECT count(DISTINCT o.friend_id) FROM offers o WHERE o.booking_id = b.id) AS asked
      FROM bookings b
      WHERE b.created_at >= moment() - make_interval(days => $1)
        AND ($2::market IS NULL OR b.market = $2)
        AND ($3::text IS NULL OR b.package = $3)) AS t
GROUP BY t.cell_lat, t.cell_lon
ORDER BY t.cell_lat, t.cell_lon
