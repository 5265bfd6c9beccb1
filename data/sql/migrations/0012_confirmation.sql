-- A booking that nobody vouches for is offered to nobody until its customer has confirmed the mail address.
-- works from 0012

ALTER TYPE booking_state ADD VALUE 'unconfirmed';
ALTER TYPE timer_kind ADD VALUE 'confirmation_due';
INSERT INTO transitions VALUES
  ('bookings', '', 'unconfirmed'), ('bookings', 'unconfirmed', 'open'), ('bookings', 'unconfirmed', 'unfilled'),
  ('bookings', 'unconfirmed', 'cancelled');

-- How many wrong codes were entered.
ALTER TABLE bookings ADD COLUMN wrong_codes smallint NOT NULL DEFAULT 0;

-- Whose mail address and telephone number, together, were confirmed and when: a hash of both.
CREATE TABLE confirmed_contacts (
  contact_key text PRIMARY KEY CHECK (length(contact_key) = 64),
  at timestamptz NOT NULL
);
CREATE INDEX confirmed_contacts_age ON confirmed_contacts (at);
CREATE FUNCTION contact_key(customer_key text, phone text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT encode(sha256(convert_to(customer_key || coalesce(phone, ''), 'UTF8')), 'hex')
$$;
GRANT SELECT, INSERT, UPDATE, DELETE ON confirmed_contacts TO tekkie_service;
