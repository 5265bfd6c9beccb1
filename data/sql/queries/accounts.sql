-- name: find_customer
-- Whose address this is: the account, else the customer of a booking, from which it is made when they sign in. A booking
-- that was never confirmed may have been made by anybody: it comes last.
SELECT p.id, p.email, p.language, p.country, NULL AS market
FROM (SELECT a.id, 0 AS rank, a.confirmed_at AS at FROM accounts a WHERE a.customer_key = $1
      UNION ALL
      SELECT b.customer_id, CASE WHEN b.state IN ('unconfirmed', 'cancelled') THEN 2 ELSE 1 END, b.created_at
      FROM bookings b WHERE b.customer_key = $1) AS c
JOIN people p ON p.id = c.id WHERE p.erased_at IS NULL ORDER BY c.rank, c.at DESC LIMIT 1

-- name: lock
-- Two links of one customer make one account.
SELECT pg_advisory_xact_lock(hashtextextended(b.customer_key, 9)) FROM bookings b WHERE b.customer_id = $1

-- name: open
-- The account of a customer of a booking, made of what they wrote there unless there is one.
WITH booked AS (SELECT b.customer_key, p.* FROM people p JOIN bookings b ON b.customer_id = p.id
                WHERE p.id = $2 AND p.erased_at IS NULL),
     known AS (SELECT a.id FROM accounts a JOIN booked b ON b.customer_key = a.customer_key),
     person AS (INSERT INTO people (id, kind, name, email, phone, language, street, postcode, city, country)
                SELECT $1, 'account', name, email, phone, language, street, postcode, city, country FROM booked
                WHERE NOT EXISTS (SELECT FROM known) RETURNING id),
     account AS (INSERT INTO accounts (id, customer_key, confirmed_at)
                 SELECT n.id, b.customer_key, moment() FROM person n, booked b RETURNING id)
SELECT id FROM account UNION ALL SELECT id FROM known

-- name: details
SELECT p.name, p.email, p.phone, p.language, p.street, p.postcode, p.city, p.country, a.confirmed_at
FROM accounts a JOIN people p ON p.id = a.id WHERE a.id = $1 AND p.erased_at IS NULL

-- name: change
UPDATE people SET name = $2, phone = $3, language = $4, street = $5, postcode = $6, city = $7, country = $8
WHERE id = $1 AND kind = 'account' AND erased_at IS NULL RETURNING id

-- name: add_favourite
-- The friend of a completed job.
WITH done AS (SELECT b.customer_key, a.friend_id FROM bookings b JOIN awards a ON a.id = b.award_id
              WHERE b.id = $1 AND b.state = 'completed' AND a.state = 'done'),
     added AS (INSERT INTO favourites (customer_key, friend_id, at) SELECT customer_key, friend_id, moment() FROM done
               ON CONFLICT DO NOTHING)
SELECT friend_id FROM done

-- name: remove_favourite
DELETE FROM favourites f USING bookings b, awards a
WHERE b.id = $1 AND a.booking_id = b.id AND f.customer_key = b.customer_key AND f.friend_id = a.friend_id

-- name: favourites
-- Each with the last job that the friend has completed for this customer, by which a booking names them.
SELECT p.name, last.booking_id, last.ended_at, last.jobs
FROM favourites f JOIN people p ON p.id = f.friend_id
CROSS JOIN LATERAL (
  SELECT a.booking_id, a.ended_at, count(*) OVER () AS jobs FROM bookings b JOIN awards a ON a.id = b.award_id
  WHERE b.customer_key = f.customer_key AND b.state = 'completed' AND a.friend_id = f.friend_id
  ORDER BY a.ended_at DESC LIMIT 1) AS last
WHERE f.customer_key = $1 AND p.erased_at IS NULL ORDER BY last.ended_at DESC
