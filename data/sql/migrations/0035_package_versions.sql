-- What is sold: each package has versions, which are never changed; a booking names the one it was sold under. The version
-- sold at a time is the latest that is valid then. The rows of an older tekkie become version 1, which is also that of
-- every booking it makes; `packages` and `prices` are written on for it.
-- works from 0004

CREATE TABLE package_versions (
  package text NOT NULL REFERENCES packages,
  version smallint NOT NULL CHECK (version >= 1),
  before smallint GENERATED ALWAYS AS (nullif(version - 1, 0)) STORED,
  valid_from timestamptz NOT NULL,
  active boolean NOT NULL,
  category text NOT NULL CHECK (category ~ '^[a-z0-9_-]{2,40}$'),
  tier package_tier NOT NULL,
  tiers jsonb NOT NULL CHECK (jsonb_typeof(tiers) = 'object'),
  minutes integer NOT NULL CHECK (minutes BETWEEN 1 AND 480),
  certificates text[] NOT NULL CHECK (array_position(certificates, NULL) IS NULL),
  texts jsonb NOT NULL CHECK (jsonb_typeof(texts) = 'object'),
  prices jsonb NOT NULL CHECK (jsonb_typeof(prices) = 'object'),
  min_age smallint NOT NULL CHECK (min_age BETWEEN 14 AND 18),
  author_id uuid REFERENCES people,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (package, version),
  CONSTRAINT package_versions_without_gaps FOREIGN KEY (package, before) REFERENCES package_versions (package, version)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON package_versions FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON package_versions
  FOR EACH STATEMENT EXECUTE FUNCTION append_only();
GRANT SELECT, INSERT ON package_versions TO tekkie_service;

INSERT INTO package_versions (package, version, valid_from, active, category, tier, tiers, minutes, certificates, texts,
                              prices, min_age, created_at)
SELECT p.code, 1, 'epoch', p.active, p.category, p.tier, '{}', p.minutes, p.certificates, p.texts,
       coalesce((SELECT jsonb_object_agg(o.market, o.amount_minor) FROM prices o WHERE o.package = p.code), '{}'), p.min_age,
       moment()
FROM packages p;

-- NULL: the house.
ALTER TABLE packages ADD COLUMN owner_id uuid REFERENCES partners;

ALTER TABLE bookings
  ADD COLUMN package_version smallint NOT NULL DEFAULT 1,
  ADD CONSTRAINT bookings_package_version FOREIGN KEY (package, package_version)
    REFERENCES package_versions (package, version) NOT VALID;
