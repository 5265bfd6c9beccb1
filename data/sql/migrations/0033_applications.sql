-- An application to become a friend, and the texts somebody agreed to. Name, birth date and place stand in `people`, the
-- languages in `friends`. The mail that confirms an address keeps the name that was given until it has left.
-- works from 0033

CREATE TYPE application_state AS ENUM ('draft', 'submitted', 'accepted', 'declined', 'withdrawn');
CREATE TABLE applications (
  id uuid PRIMARY KEY,
  friend_id uuid NOT NULL REFERENCES friends,
  state application_state NOT NULL,
  education text CHECK (education ~ '^[a-z_]{2,40}$'),
  interests text[] NOT NULL DEFAULT '{}' CHECK (cardinality(interests) <= 20),
  skills text[] NOT NULL DEFAULT '{}' CHECK (cardinality(skills) <= 20),
  created_at timestamptz NOT NULL,
  submitted_at timestamptz CHECK (submitted_at >= created_at),
  ended_at timestamptz CHECK (ended_at >= created_at),
  decided_by uuid REFERENCES operators,
  reasons text[] NOT NULL DEFAULT '{}' CHECK (cardinality(reasons) <= 10),
  CONSTRAINT application_submitted CHECK (state IN ('draft', 'withdrawn') OR submitted_at IS NOT NULL),
  CONSTRAINT application_ended CHECK ((state IN ('draft', 'submitted')) = (ended_at IS NULL)),
  CONSTRAINT application_decided CHECK ((state IN ('accepted', 'declined')) = (decided_by IS NOT NULL)),
  CONSTRAINT application_declined_with_reasons CHECK ((state = 'declined') = (cardinality(reasons) > 0))
);
CREATE UNIQUE INDEX applications_open ON applications (friend_id) WHERE ended_at IS NULL;
CREATE INDEX applications_waiting ON applications (submitted_at, id) WHERE state = 'submitted';
CREATE INDEX applications_friend ON applications (friend_id, created_at);
GRANT SELECT, INSERT, UPDATE ON applications TO tekkie_service;

CREATE TABLE consents (
  person_id uuid NOT NULL REFERENCES people,
  text text NOT NULL CHECK (text ~ '^[a-z_]{2,40}$'),
  version text NOT NULL CHECK (length(version) BETWEEN 1 AND 40),
  language language NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (person_id, text, version)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON consents FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON consents FOR EACH STATEMENT EXECUTE FUNCTION append_only();
GRANT SELECT, INSERT ON consents TO tekkie_service;

ALTER TABLE account_mails
  DROP CONSTRAINT account_mails_template_check,
  ADD CONSTRAINT account_mails_template_check
    CHECK (template IN ('login_link', 'email_changed', 'join_link', 'guardian_asked')) NOT VALID,
  DROP CONSTRAINT account_mail_request,
  ADD CONSTRAINT account_mail_request
    CHECK ((request_sha256 IS NOT NULL) = (template IN ('login_link', 'join_link'))) NOT VALID,
  ADD COLUMN name text CHECK (length(name) BETWEEN 1 AND 200),
  ADD COLUMN guardianship_id uuid REFERENCES guardianships,
  ADD COLUMN used_at timestamptz,
  ADD CONSTRAINT account_mail_name CHECK (name IS NULL OR state = 'pending') NOT VALID,
  ADD CONSTRAINT account_mail_guardian
    CHECK ((guardianship_id IS NOT NULL) = (template = 'guardian_asked')) NOT VALID;
