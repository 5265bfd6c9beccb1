-- A customer is one person over many bookings: those with the hash of the mail address that was confirmed. An older tekkie
-- cannot read whose session it is.
-- works from 0030

ALTER TYPE person_kind ADD VALUE 'account';
CREATE TABLE accounts (
  id uuid PRIMARY KEY REFERENCES people,
  customer_key text NOT NULL UNIQUE CHECK (length(customer_key) = 64),
  confirmed_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, DELETE ON accounts TO tekkie_service;
CREATE INDEX bookings_customer ON bookings (customer_key, created_at, id);

-- Passkeys of everybody with an account, not of operators alone.
ALTER TABLE passkeys
  DROP CONSTRAINT passkeys_person_id_fkey,
  ADD CONSTRAINT passkeys_person_id_fkey FOREIGN KEY (person_id) REFERENCES people;

-- The friends that a customer wants to be asked first again, like `blocks`.
CREATE TABLE favourites (
  customer_key text NOT NULL CHECK (length(customer_key) = 64),
  friend_id uuid NOT NULL REFERENCES friends,
  at timestamptz NOT NULL,
  PRIMARY KEY (customer_key, friend_id)
);
CREATE INDEX favourites_friend ON favourites (friend_id);
GRANT SELECT, INSERT, DELETE ON favourites TO tekkie_service;
