-- name: live_offers_since
-- Every change of an offer comes with an event of its booking; friends themselves do not change by being asked.
SELECT f.friend_id, (SELECT count(*) FROM offers n
                     WHERE n.friend_id = f.friend_id AND n.state = 'live' AND n.expires_at > $2) AS live
FROM (SELECT DISTINCT o.friend_id FROM offers o
      WHERE o.booking_id IN (SELECT e.booking_id FROM events e WHERE e.xid >= $1::text::xid8)) AS f
