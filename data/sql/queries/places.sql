-- name: imported_postcodes
SELECT country, postcode, town, region, lat, lon, precision, radius_m FROM postcodes
ORDER BY country, postcode, town

-- name: drop_country
DELETE FROM postcodes WHERE country = ANY($1::text[])

-- name: insert
INSERT INTO postcodes (country, postcode, town, region, lat, lon, precision, radius_m)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[], $6::float8[], $7::text[], $8::int[])
ON CONFLICT (country, postcode, town) DO NOTHING

-- name: cached_answer
-- Cached for ninety days: houses are built, and geocoders improve.
SELECT lat, lon, precision, radius_m FROM geocodes
WHERE query_sha256 = $1 AND at > moment() - interval '90 days'

-- name: cache_answer
INSERT INTO geocodes (query_sha256, lat, lon, precision, radius_m, at) VALUES ($1, $2, $3, $4, $5, moment())
ON CONFLICT (query_sha256) DO UPDATE SET lat = excluded.lat, lon = excluded.lon, precision = excluded.precision,
  radius_m = excluded.radius_m, at = excluded.at
