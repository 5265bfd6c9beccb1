-- How often somebody has booked without a partner: by mail address, telephone number, place and network, each as a hash,
-- and the proofs of work that were used up. The count begins anew after the time that the policy states.
-- works from 0004
CREATE TABLE quotas (
  kind text NOT NULL CHECK (kind IN ('email', 'phone', 'network', 'place', 'proof')),
  key text NOT NULL CHECK (length(key) BETWEEN 1 AND 64),
  since timestamptz NOT NULL,
  used integer NOT NULL CHECK (used >= 0),
  PRIMARY KEY (kind, key)
) WITH (fillfactor = 80);
CREATE INDEX quotas_age ON quotas (since);
GRANT SELECT, INSERT, UPDATE, DELETE ON quotas TO tekkie_service;

-- Of how many bookings of the same booker this one is the next: the more, the more room it leaves to others.
ALTER TABLE bookings ADD COLUMN booked_before smallint NOT NULL DEFAULT 0;
