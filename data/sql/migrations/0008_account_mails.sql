-- Mails about an account rather than a booking: login links, and the notice of a changed address. A login link and its
-- code are derived from `request_sha256` and the key of the service, so that neither is stored. The address is kept
-- until the mail has left; `address_key` is its hash.
-- works from 0004

CREATE TABLE account_mails (
  id uuid PRIMARY KEY,
  kind person_kind NOT NULL CHECK (kind <> 'customer'),
  template text NOT NULL CHECK (template IN ('login_link', 'email_changed')),
  email text CHECK (length(email) BETWEEN 3 AND 254),
  address_key text NOT NULL CHECK (length(address_key) = 64),
  language language,
  market market,
  request_sha256 bytea UNIQUE CHECK (octet_length(request_sha256) = 32),
  code_tries smallint NOT NULL DEFAULT 0,
  state message_state NOT NULL DEFAULT 'pending',
  attempts smallint NOT NULL DEFAULT 0,
  next_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  problem text CHECK (length(problem) <= 500),
  CONSTRAINT account_mail_address CHECK ((email IS NOT NULL) = (state = 'pending')),
  CONSTRAINT account_mail_request CHECK ((request_sha256 IS NOT NULL) = (template = 'login_link'))
);
CREATE INDEX account_mails_due ON account_mails (next_at) WHERE state = 'pending';
CREATE INDEX account_mails_address ON account_mails (address_key, created_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON account_mails TO tekkie_service;
