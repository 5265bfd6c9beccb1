-- Passkeys of operators. A challenge proves by itself that it is ours and young; what is stored is that it was used.
-- works from 0004

CREATE TABLE passkeys (
  id uuid PRIMARY KEY,
  person_id uuid NOT NULL REFERENCES operators,
  credential_id bytea NOT NULL UNIQUE CHECK (octet_length(credential_id) BETWEEN 1 AND 1023),
  public_key bytea NOT NULL CHECK (octet_length(public_key) <= 4000),
  sign_count bigint NOT NULL CHECK (sign_count >= 0),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 60),
  created_at timestamptz NOT NULL,
  used_at timestamptz
);
CREATE INDEX passkeys_person ON passkeys (person_id, created_at);
CREATE TABLE spent_challenges (
  challenge bytea PRIMARY KEY CHECK (octet_length(challenge) <= 100),
  spent_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON passkeys TO tekkie_service;
GRANT SELECT, INSERT, DELETE ON spent_challenges TO tekkie_service;
