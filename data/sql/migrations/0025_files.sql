-- Photos of people, evidence of who they are, and pictures of results. The content is a row of its own, or a file in a
-- folder: `stored` says where, so that the setting may change.
CREATE TYPE file_kind AS ENUM ('photo', 'evidence', 'result');
CREATE TABLE files (
  id uuid PRIMARY KEY,
  kind file_kind NOT NULL,
  person_id uuid NOT NULL REFERENCES people,
  booking_id uuid REFERENCES bookings,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  bytes integer NOT NULL CHECK (bytes BETWEEN 1 AND 8388608),
  stored text NOT NULL CHECK (stored IN ('database', 'folder')),
  created_at timestamptz NOT NULL,
  CONSTRAINT file_of_booking CHECK ((kind = 'result') = (booking_id IS NOT NULL))
);
CREATE UNIQUE INDEX files_one_photo ON files (person_id) WHERE kind = 'photo';
CREATE INDEX files_person ON files (person_id, created_at);
CREATE INDEX files_booking ON files (booking_id, created_at) WHERE booking_id IS NOT NULL;
CREATE INDEX files_evidence ON files (created_at) WHERE kind = 'evidence';

CREATE TABLE file_contents (
  file_id uuid PRIMARY KEY REFERENCES files ON DELETE CASCADE,
  content bytea NOT NULL CHECK (length(content) > 0)
);
ALTER TABLE file_contents ALTER COLUMN content SET STORAGE EXTERNAL;

-- What an operator saw in the evidence, which is deleted then.
CREATE TABLE identities (
  person_id uuid PRIMARY KEY REFERENCES people,
  document text NOT NULL CHECK (document IN ('identity_card', 'passport', 'residence_permit', 'driving_licence')),
  valid_until date NOT NULL,
  seen_at timestamptz NOT NULL,
  seen_by uuid NOT NULL REFERENCES operators
);
GRANT SELECT, INSERT, DELETE ON files, file_contents TO tekkie_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON identities TO tekkie_service;

-- Uploads are counted as well. Rules name the kinds.
ALTER TABLE quotas DROP CONSTRAINT quotas_kind_check,
  ADD CONSTRAINT quotas_kind_check CHECK (kind ~ '^[a-z_]{1,20}$') NOT VALID;
