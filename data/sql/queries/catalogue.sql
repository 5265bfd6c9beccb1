-- name: put_certificate
INSERT INTO certificates (code, texts, valid_months, practical) VALUES ($1, $2, $3, $4)
ON CONFLICT (code) DO UPDATE SET texts = excluded.texts, valid_months = excluded.valid_months,
  practical = excluded.practical
WHERE (certificates.texts, certificates.valid_months, certificates.practical)
  IS DISTINCT FROM (excluded.texts, excluded.valid_months, excluded.practical)

-- name: put_package
-- What an older tekkie reads; the owner never changes.
INSERT INTO packages (code, category, tier, minutes, certificates, texts, min_age, active, owner_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (code) DO UPDATE SET category = excluded.category, tier = excluded.tier, minutes = excluded.minutes,
  certificates = excluded.certificates, texts = excluded.texts, min_age = excluded.min_age,
  active = excluded.active

-- name: put_price
-- What an older tekkie reads.
INSERT INTO prices (package, market, amount_minor, currency) VALUES ($1, $2, $3, $4)
ON CONFLICT (package, market) DO UPDATE SET amount_minor = excluded.amount_minor, currency = excluded.currency

-- name: lock_package
-- Two who write a version of the same package wait for each other.
SELECT code FROM packages WHERE code = $1 FOR UPDATE

-- name: insert_version
INSERT INTO package_versions (package, version, valid_from, active, category, tier, tiers, minutes, certificates, texts,
                              prices, min_age, author_id, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, moment())
ON CONFLICT DO NOTHING RETURNING version

-- name: versions
SELECT v.*, p.owner_id FROM package_versions v JOIN packages p ON p.code = v.package ORDER BY v.package, v.version

-- name: history
SELECT v.*, p.owner_id, a.name AS author FROM package_versions v JOIN packages p ON p.code = v.package
LEFT JOIN people a ON a.id = v.author_id
WHERE v.package = $1 ORDER BY v.version DESC

-- name: count_versions
SELECT moment() AS now, count(*) AS versions FROM package_versions

-- name: certificate_codes
SELECT code FROM certificates ORDER BY code
