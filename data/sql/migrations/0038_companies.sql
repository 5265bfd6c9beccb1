-- A company of pros has dispatchers and technicians. It is asked once about a job, by an offer that stands with its
-- nearest technician; its dispatchers give the job to any of them, and to another one later. An older tekkie cannot read
-- the outcome of the others, and would ask a technician.
-- works from 0038

ALTER TYPE outcome ADD VALUE 'COMPANY_ASKED';
ALTER TYPE audience ADD VALUE 'company';
ALTER TYPE person_kind ADD VALUE 'dispatcher';

CREATE TABLE companies (
  id uuid PRIMARY KEY,
  name text NOT NULL CHECK (length(btrim(name)) BETWEEN 1 AND 200),
  created_at timestamptz NOT NULL
);
CREATE TABLE dispatchers (
  id uuid PRIMARY KEY REFERENCES people,
  company_id uuid NOT NULL REFERENCES companies,
  created_at timestamptz NOT NULL
);
CREATE INDEX dispatchers_company ON dispatchers (company_id);
GRANT SELECT, INSERT, UPDATE ON companies TO tekkie_service;
GRANT SELECT, INSERT, DELETE ON dispatchers TO tekkie_service;
-- A technician is reached through the dispatchers: when the first comes or the last goes, the copies are old.
CREATE FUNCTION touch_technicians() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tekkie, pg_temp AS $$
BEGIN
  UPDATE friends SET radius_m = radius_m
  WHERE company_id IN (SELECT c.company_id FROM changed_rows c) AND changed <> pg_current_xact_id();
  RETURN NULL;
END $$;
CREATE TRIGGER touch_new AFTER INSERT ON dispatchers REFERENCING NEW TABLE AS changed_rows
  FOR EACH STATEMENT EXECUTE FUNCTION touch_technicians();
CREATE TRIGGER touch_old AFTER DELETE ON dispatchers REFERENCING OLD TABLE AS changed_rows
  FOR EACH STATEMENT EXECUTE FUNCTION touch_technicians();

ALTER TABLE friends
  ADD COLUMN company_id uuid,
  ADD CONSTRAINT friend_company FOREIGN KEY (company_id) REFERENCES companies NOT VALID;
CREATE INDEX friends_company ON friends (company_id) WHERE company_id IS NOT NULL;

ALTER TABLE offers
  ADD COLUMN company_id uuid,
  ADD CONSTRAINT offer_company FOREIGN KEY (company_id) REFERENCES companies NOT VALID;
CREATE UNIQUE INDEX offers_once_a_company ON offers (booking_id, round, company_id) WHERE company_id IS NOT NULL;
CREATE INDEX offers_company ON offers (company_id, expires_at) WHERE company_id IS NOT NULL AND state = 'live';

ALTER TABLE awards
  ADD COLUMN company_id uuid,
  ADD CONSTRAINT award_company FOREIGN KEY (company_id) REFERENCES companies NOT VALID;
CREATE INDEX awards_company ON awards (company_id, awarded_at) WHERE company_id IS NOT NULL;

-- The pay belongs to the company, or to the friend where there is none.
ALTER TABLE charges
  ADD COLUMN company_id uuid,
  ADD CONSTRAINT charge_company FOREIGN KEY (company_id) REFERENCES companies NOT VALID;

-- An offer and its award pass to another friend only within a company.
CREATE FUNCTION holder_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'only a company gives its % to another friend', TG_TABLE_NAME
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_TABLE_NAME || '_holder_stays', TABLE = TG_TABLE_NAME;
END $$;
CREATE TRIGGER holder_stays BEFORE UPDATE OF friend_id ON offers FOR EACH ROW
  WHEN (OLD.friend_id <> NEW.friend_id AND OLD.company_id IS NULL) EXECUTE FUNCTION holder_stays();
CREATE TRIGGER holder_stays BEFORE UPDATE OF friend_id ON awards FOR EACH ROW
  WHEN (OLD.friend_id <> NEW.friend_id AND OLD.company_id IS NULL) EXECUTE FUNCTION holder_stays();

-- A dispatcher acts for the company.
ALTER TABLE events
  DROP CONSTRAINT events_actor_check,
  ADD CONSTRAINT events_actor_check CHECK (
    actor ~ '^(system|customer|(friend|partner|operator|dispatcher):[0-9a-f-]{36})$') NOT VALID;
