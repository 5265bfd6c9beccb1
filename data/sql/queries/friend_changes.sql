-- name: live_offers_since
-- Every change of an offer comes with an event of its booking; the row of the friend does not change. An offer to a
-- company may have stood with any of its technicians.
SELECT f.friend_id, (SELECT count(*) FROM offers n
                     WHERE n.friend_id = f.friend_id AND n.state = 'live' AND n.expires_at > $2) AS live
FROM (WITH changed AS (SELECT o.friend_id, o.company_id FROM offers o
                       WHERE o.booking_id IN (SELECT e.booking_id FROM events e WHERE e.xid >= $1::text::xid8))
      SELECT friend_id FROM changed
      UNION SELECT t.id FROM friends t WHERE t.company_id IN (SELECT company_id FROM changed)) AS f

-- name: fingerprints
-- Pages through all friends with a point, without applicants. Every other change of a friend changes the version.
SELECT f.id, f.changed::text::bigint AS version, f.open_jobs,
       (SELECT count(*) FROM offers o WHERE o.friend_id = f.id AND o.state = 'live' AND o.expires_at > $3) AS live_offers
FROM friends f JOIN people p ON p.id = f.id
WHERE f.id > $1 AND p.lat IS NOT NULL AND f.state <> 'applicant' ORDER BY f.id LIMIT $2

-- name: versions
-- Versions of these friends, to find stale copies; without live offers.
SELECT f.id, f.changed::text::bigint AS version, f.open_jobs FROM friends f WHERE f.id = ANY($1::uuid[])
