-- name: put_certificate
INSERT INTO certificates (code, texts, valid_months, practical) VALUES ($1, $2, $3, $4)
ON CONFLICT (code) DO UPDATE SET texts = excluded.texts, valid_months = excluded.valid_months,
  practical = excluded.practical
WHERE (certificates.texts, certificates.valid_months, certificates.practical)
  IS DISTINCT FROM (excluded.texts, excluded.valid_months, excluded.practical)

-- name: put_package
INSERT INTO packages (code, category, tier, minutes, certificates, texts, min_age, active)
VALUES ($1, $2, $3, $4, $5, $6, $7, true)
ON CONFLICT (code) DO UPDATE SET category = excluded.category, tier = excluded.tier, minutes = excluded.minutes,
  certificates = excluded.certificates, texts = excluded.texts, min_age = excluded.min_age,
  active = true
WHERE (packages.category, packages.tier, packages.minutes, packages.certificates, packages.texts, packages.min_age,
       packages.active)
  IS DISTINCT FROM (excluded.category, excluded.tier, excluded.minutes, excluded.certificates, excluded.texts, excluded.min_age,
                    true)

-- name: retire_others
UPDATE packages SET active = false WHERE active AND code <> ALL($1::text[])

-- name: put_price
INSERT INTO prices (package, market, amount_minor, currency) VALUES ($1, $2, $3, $4)
ON CONFLICT (package, market) DO UPDATE SET amount_minor = excluded.amount_minor, currency = excluded.currency
WHERE (prices.amount_minor, prices.currency) IS DISTINCT FROM (excluded.amount_minor, excluded.currency)
