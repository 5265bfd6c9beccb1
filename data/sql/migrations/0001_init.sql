-- The whole schema of tekkie. Declarative constraints first; triggers only where nothing else can say it.

CREATE EXTENSION IF NOT EXISTS btree_gist;

-- The one clock of the trade. `data/sql/queries/clock.sql` can put a test clock in its place. It is STABLE, one moment
-- a statement, because an index cannot be searched for a volatile one.
CREATE FUNCTION moment() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT clock_timestamp()';
CREATE TABLE clock (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  real_at timestamptz NOT NULL,
  shown_at timestamptz NOT NULL,
  speed double precision NOT NULL CHECK (speed >= 0)
);

CREATE TYPE market AS ENUM ('CH', 'DE', 'AT', 'PL');
CREATE TYPE language AS ENUM ('de', 'en', 'fr', 'it', 'pl');
CREATE TYPE currency AS ENUM ('CHF', 'EUR', 'PLN');
CREATE TYPE tier AS ENUM ('friend', 'pro');
CREATE TYPE package_tier AS ENUM ('friend', 'pro', 'friend_then_pro');
CREATE TYPE wish AS ENUM ('soon', 'morning', 'afternoon', 'evening', 'weekend');
CREATE TYPE friend_state AS ENUM ('active', 'paused', 'suspended');
CREATE TYPE booking_state AS ENUM ('open', 'awarded', 'contacted', 'scheduled', 'under_way', 'completed',
                                   'unfilled', 'incomplete', 'cancelled');
CREATE TYPE offer_state AS ENUM ('live', 'accepted', 'declined', 'expired', 'lost', 'withdrawn',
                                 'forfeited', 'handed_back', 'released');
CREATE TYPE award_state AS ENUM ('live', 'done', 'forfeited', 'handed_back', 'released');
CREATE TYPE timer_kind AS ENUM ('offers_expire', 'contact_reminder', 'contact_deadline', 'retry');
CREATE TYPE outcome AS ENUM ('OFFERED', 'RANKED_BELOW_K', 'INACTIVE', 'UNREACHABLE', 'WRONG_MARKET', 'WRONG_TIER',
                             'NOT_CERTIFIED', 'NO_SHARED_LANGUAGE', 'NOT_A_MEMBER', 'OUT_OF_RADIUS', 'BLOCKED',
                             'EXCLUDED', 'AT_CAPACITY', 'TOO_MANY_OFFERS', 'QUIET_HOURS');
CREATE TYPE channel AS ENUM ('push', 'mail', 'webhook');
CREATE TYPE audience AS ENUM ('friend', 'customer', 'partner', 'desk');
CREATE TYPE message_state AS ENUM ('pending', 'sent', 'parked', 'expired');
CREATE TYPE person_kind AS ENUM ('customer', 'friend', 'operator');

-- People: every name, address and exact point of anybody, and nothing else.
CREATE TABLE people (
  id uuid PRIMARY KEY,
  kind person_kind NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
  phone text CHECK (phone ~ '^\+[1-9][0-9]{6,14}$'),
  language language NOT NULL,
  street text CHECK (length(street) <= 200),
  postcode text CHECK (length(postcode) <= 12),
  city text CHECK (length(city) <= 120),
  country text CHECK (country ~ '^[A-Z]{2}$'),
  lat double precision CHECK (lat BETWEEN -90 AND 90),
  lon double precision CHECK (lon BETWEEN -180 AND 180),
  precision text CHECK (length(precision) <= 20),
  radius_m integer CHECK (radius_m >= 0),
  notes text CHECK (length(notes) <= 2000),
  erased_at timestamptz,
  CHECK ((lat IS NULL) = (lon IS NULL))
);
CREATE UNIQUE INDEX people_login ON people (kind, lower(email)) WHERE kind <> 'customer' AND erased_at IS NULL;

-- Catalogue
CREATE TABLE certificates (
  code text PRIMARY KEY CHECK (code ~ '^[a-z0-9-]{2,40}$'),
  texts jsonb NOT NULL,
  valid_months integer CHECK (valid_months > 0)
);
CREATE TABLE packages (
  code text PRIMARY KEY CHECK (code ~ '^[a-z0-9-]{2,60}$'),
  category text NOT NULL,
  tier package_tier NOT NULL,
  minutes integer NOT NULL CHECK (minutes BETWEEN 5 AND 1440),
  certificates text[] NOT NULL DEFAULT '{}',
  texts jsonb NOT NULL,
  active boolean NOT NULL DEFAULT true
);
CREATE TABLE prices (
  package text NOT NULL REFERENCES packages,
  market market NOT NULL,
  amount_minor integer NOT NULL CHECK (amount_minor > 0),
  currency currency NOT NULL,
  PRIMARY KEY (package, market)
);

-- Partners
CREATE TABLE partners (
  id uuid PRIMARY KEY,
  name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 200),
  members_only boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL
);
CREATE TABLE partner_keys (
  id uuid PRIMARY KEY,
  partner_id uuid NOT NULL REFERENCES partners,
  prefix text NOT NULL CHECK (prefix ~ '^tk_(live|test)_[0-9A-Za-z_-]{4,8}$'),
  secret_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(secret_sha256) = 32),
  created_at timestamptz NOT NULL,
  revoked_at timestamptz,
  CHECK (revoked_at >= created_at)
);
CREATE INDEX partner_keys_partner ON partner_keys (partner_id);

-- Friends
CREATE TABLE friends (
  id uuid PRIMARY KEY REFERENCES people,
  ref text NOT NULL UNIQUE CHECK (length(ref) BETWEEN 1 AND 100),
  state friend_state NOT NULL DEFAULT 'active',
  tier tier NOT NULL,
  market market NOT NULL,
  languages language[] NOT NULL CHECK (cardinality(languages) BETWEEN 1 AND 5),
  radius_m integer NOT NULL CHECK (radius_m BETWEEN 500 AND 100000),
  capacity smallint NOT NULL CHECK (capacity BETWEEN 1 AND 20),
  open_jobs smallint NOT NULL DEFAULT 0,
  quiet_from smallint CHECK (quiet_from BETWEEN 0 AND 1439),
  quiet_until smallint CHECK (quiet_until BETWEEN 0 AND 1439),
  created_at timestamptz NOT NULL,
  changed xid8 NOT NULL DEFAULT pg_current_xact_id(),
  CONSTRAINT friend_capacity CHECK (open_jobs BETWEEN 0 AND capacity),
  CHECK ((quiet_from IS NULL) = (quiet_until IS NULL)),
  CHECK (quiet_from <> quiet_until)
) WITH (fillfactor = 80);
CREATE INDEX friends_changed ON friends (changed);

CREATE TABLE friend_certificates (
  friend_id uuid NOT NULL REFERENCES friends,
  certificate text NOT NULL REFERENCES certificates,
  valid tstzrange NOT NULL CHECK (NOT isempty(valid)),
  PRIMARY KEY (friend_id, certificate, valid),
  EXCLUDE USING gist (friend_id WITH =, certificate WITH =, valid WITH &&)
);
CREATE TABLE partner_members (
  partner_id uuid NOT NULL REFERENCES partners,
  friend_id uuid NOT NULL REFERENCES friends,
  PRIMARY KEY (friend_id, partner_id)
);
CREATE TABLE blocks (
  friend_id uuid NOT NULL REFERENCES friends,
  customer_key text NOT NULL CHECK (length(customer_key) = 64),
  by_friend boolean NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (friend_id, customer_key)
);

-- Bookings: the row is the lock of the job.
CREATE TABLE bookings (
  id uuid PRIMARY KEY,
  state booking_state NOT NULL,
  package text NOT NULL REFERENCES packages,
  market market NOT NULL,
  language language NOT NULL,
  customer_id uuid NOT NULL UNIQUE REFERENCES people,
  customer_key text NOT NULL CHECK (length(customer_key) = 64),
  partner_id uuid REFERENCES partners,
  partner_reference text CHECK (length(partner_reference) BETWEEN 1 AND 200),
  members_only boolean NOT NULL,
  wishes wish[] NOT NULL,
  price_minor integer NOT NULL CHECK (price_minor > 0),
  pay_minor integer NOT NULL,
  currency currency NOT NULL,
  cell_lat double precision NOT NULL CHECK (cell_lat BETWEEN -90 AND 90),
  cell_lon double precision NOT NULL CHECK (cell_lon BETWEEN -180 AND 180),
  cell_label text NOT NULL,
  tier tier NOT NULL,
  round smallint NOT NULL CHECK (round >= 0),
  round_limit smallint NOT NULL,
  event_seq integer NOT NULL CHECK (event_seq >= 1),
  award_id uuid,
  created_at timestamptz NOT NULL,
  state_at timestamptz NOT NULL,
  CONSTRAINT booking_partner_reference UNIQUE (partner_id, partner_reference),
  CONSTRAINT booking_reference_needs_partner CHECK (partner_reference IS NULL OR partner_id IS NOT NULL),
  CONSTRAINT booking_pay_within_price CHECK (pay_minor BETWEEN 0 AND price_minor),
  CONSTRAINT booking_rounds_bounded CHECK (round <= round_limit),
  CONSTRAINT booking_award_iff CHECK (
    (state IN ('awarded', 'contacted', 'scheduled', 'under_way', 'completed')) = (award_id IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX bookings_unfilled ON bookings (market, state_at) WHERE state = 'unfilled';
CREATE INDEX bookings_partner ON bookings (partner_id, created_at, id) WHERE partner_id IS NOT NULL;
CREATE INDEX bookings_created ON bookings (created_at, id);

CREATE TABLE offers (
  id uuid PRIMARY KEY,
  booking_id uuid NOT NULL REFERENCES bookings,
  friend_id uuid NOT NULL REFERENCES friends,
  round smallint NOT NULL CHECK (round >= 1),
  slot smallint NOT NULL CHECK (slot BETWEEN 1 AND 4),
  state offer_state NOT NULL,
  distance_m integer NOT NULL CHECK (distance_m >= 0),
  shown_m integer NOT NULL CHECK (shown_m >= 0),
  radius_m integer NOT NULL,
  offered_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  answered_at timestamptz,
  CONSTRAINT offer_once_a_round UNIQUE (booking_id, round, friend_id),
  CONSTRAINT offer_identity UNIQUE (id, booking_id, round, friend_id),
  CONSTRAINT offer_in_radius CHECK (distance_m <= radius_m),
  CONSTRAINT offer_has_a_life CHECK (expires_at > offered_at),
  CONSTRAINT offer_answered CHECK ((state IN ('accepted', 'declined', 'forfeited', 'handed_back')) <= (answered_at IS NOT NULL)),
  CONSTRAINT offer_answered_in_time CHECK (state <> 'accepted' OR answered_at < expires_at)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX offers_four_live ON offers (booking_id, slot) WHERE state = 'live';
CREATE UNIQUE INDEX offers_one_winner ON offers (booking_id) WHERE state = 'accepted';
CREATE UNIQUE INDEX offers_one_winner_a_round ON offers (booking_id, round)
  WHERE state IN ('accepted', 'forfeited', 'handed_back', 'released');
CREATE INDEX offers_inbox ON offers (friend_id, expires_at) WHERE state = 'live';

CREATE TABLE awards (
  id uuid PRIMARY KEY,
  booking_id uuid NOT NULL REFERENCES bookings,
  friend_id uuid NOT NULL REFERENCES friends,
  offer_id uuid UNIQUE,
  round smallint NOT NULL,
  state award_state NOT NULL,
  awarded_at timestamptz NOT NULL,
  contact_due_at timestamptz NOT NULL,
  contacted_at timestamptz,
  appointment tstzrange CHECK (NOT isempty(appointment)),
  appointment_revision integer NOT NULL DEFAULT 0 CHECK (appointment_revision >= 0),
  started_at timestamptz,
  ended_at timestamptz,
  summary text CHECK (length(summary) <= 2000),
  worked_minutes integer CHECK (worked_minutes BETWEEN 0 AND 6000),
  UNIQUE (id, booking_id),
  CONSTRAINT award_of_offer FOREIGN KEY (offer_id, booking_id, round, friend_id)
    REFERENCES offers (id, booking_id, round, friend_id),
  CONSTRAINT award_twelve_hours CHECK (contact_due_at = awarded_at + interval '12 hours'),
  CONSTRAINT award_contact_after CHECK (contacted_at >= awarded_at),
  CONSTRAINT award_appointment_after_contact CHECK (appointment IS NULL OR contacted_at IS NOT NULL),
  CONSTRAINT award_ended CHECK ((state = 'live') = (ended_at IS NULL)),
  CONSTRAINT award_no_double_appointment EXCLUDE USING gist (friend_id WITH =, appointment WITH &&) WHERE (state = 'live')
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX awards_one_living ON awards (booking_id) WHERE state IN ('live', 'done');
CREATE INDEX awards_friend ON awards (friend_id, awarded_at);
CREATE INDEX awards_booking ON awards (booking_id, awarded_at);
ALTER TABLE bookings ADD CONSTRAINT booking_award FOREIGN KEY (award_id, id)
  REFERENCES awards (id, booking_id) DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE timers (
  booking_id uuid NOT NULL REFERENCES bookings,
  kind timer_kind NOT NULL,
  due_at timestamptz NOT NULL,
  not_before timestamptz NOT NULL,
  attempts smallint NOT NULL DEFAULT 0,
  PRIMARY KEY (booking_id, kind),
  CONSTRAINT timer_not_early CHECK (not_before >= due_at)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX timers_due ON timers (not_before);

-- Events number themselves without gaps: each names the one before it.
CREATE TABLE events (
  booking_id uuid NOT NULL REFERENCES bookings,
  seq integer NOT NULL CHECK (seq >= 1),
  before integer GENERATED ALWAYS AS (nullif(seq - 1, 0)) STORED,
  kind text NOT NULL CHECK (kind ~ '^[a-z]+\.[a-z_]+$'),
  at timestamptz NOT NULL,
  actor text NOT NULL CHECK (actor ~ '^(system|customer|friend:[0-9a-f-]{36}|partner:[0-9a-f-]{36}|operator:[0-9a-f-]{36})$'),
  data jsonb NOT NULL,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  PRIMARY KEY (booking_id, seq),
  CONSTRAINT events_without_gaps FOREIGN KEY (booking_id, before) REFERENCES events (booking_id, seq)
);
CREATE INDEX events_xid ON events (xid);

CREATE TABLE decisions (
  booking_id uuid NOT NULL,
  seq integer NOT NULL,
  round smallint NOT NULL,
  tier tier NOT NULL,
  at timestamptz NOT NULL,
  policy text NOT NULL,
  friend_ids uuid[] NOT NULL,
  outcomes outcome[] NOT NULL,
  distances_m integer[] NOT NULL,
  ranks integer[] NOT NULL,
  PRIMARY KEY (booking_id, seq),
  FOREIGN KEY (booking_id, seq) REFERENCES events (booking_id, seq),
  CONSTRAINT decision_one_outcome_each CHECK (
    cardinality(friend_ids) = cardinality(outcomes)
    AND cardinality(friend_ids) = cardinality(distances_m)
    AND cardinality(friend_ids) = cardinality(ranks))
);

CREATE TABLE messages (
  id uuid PRIMARY KEY,
  booking_id uuid NOT NULL REFERENCES bookings,
  seq integer NOT NULL,
  channel channel NOT NULL,
  audience audience NOT NULL,
  recipient_id uuid NOT NULL,
  template text NOT NULL,
  data jsonb NOT NULL,
  expires_at timestamptz,
  state message_state NOT NULL DEFAULT 'pending',
  attempts smallint NOT NULL DEFAULT 0,
  next_at timestamptz NOT NULL,
  sent_at timestamptz,
  problem text CHECK (length(problem) <= 500),
  CONSTRAINT message_sent CHECK ((state = 'sent') = (sent_at IS NOT NULL))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX messages_due ON messages (next_at) WHERE state = 'pending';
CREATE INDEX messages_order ON messages (booking_id, recipient_id, seq) WHERE state = 'pending';
CREATE INDEX messages_parked ON messages (next_at) WHERE state = 'parked';

CREATE TABLE answers (
  principal text NOT NULL CHECK (length(principal) BETWEEN 1 AND 100),
  key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
  request_sha256 bytea NOT NULL CHECK (octet_length(request_sha256) = 32),
  body jsonb,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (principal, key)
);
CREATE INDEX answers_age ON answers (created_at);

CREATE TABLE quotes (
  id uuid PRIMARY KEY,
  package text NOT NULL REFERENCES packages,
  market market NOT NULL,
  partner_id uuid REFERENCES partners,
  price_minor integer NOT NULL CHECK (price_minor > 0),
  currency currency NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL CHECK (expires_at > created_at)
);
CREATE INDEX quotes_age ON quotes (expires_at);

CREATE TABLE ratings (
  booking_id uuid PRIMARY KEY REFERENCES bookings,
  friend_id uuid NOT NULL REFERENCES friends,
  stars smallint NOT NULL CHECK (stars BETWEEN 1 AND 5),
  comment text CHECK (length(comment) <= 1000),
  at timestamptz NOT NULL
);
CREATE INDEX ratings_friend ON ratings (friend_id);

CREATE TABLE charges (
  booking_id uuid PRIMARY KEY REFERENCES bookings,
  friend_id uuid NOT NULL REFERENCES friends,
  price_minor integer NOT NULL CHECK (price_minor > 0),
  pay_minor integer NOT NULL CHECK (pay_minor BETWEEN 0 AND price_minor),
  currency currency NOT NULL,
  at timestamptz NOT NULL
);

-- Who is asking
CREATE TABLE operators (id uuid PRIMARY KEY REFERENCES people, created_at timestamptz NOT NULL);
CREATE TABLE login_links (
  token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
  person_id uuid NOT NULL REFERENCES people,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  used_at timestamptz,
  CONSTRAINT link_used_in_time CHECK (used_at < expires_at)
);
CREATE INDEX login_links_person ON login_links (person_id, created_at);
CREATE TABLE sessions (
  token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
  person_id uuid NOT NULL REFERENCES people,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz
);
CREATE INDEX sessions_person ON sessions (person_id);

CREATE TABLE audit (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL,
  actor text NOT NULL,
  act text NOT NULL,
  subject text NOT NULL,
  data jsonb NOT NULL DEFAULT '{}'
);

-- Places an operator imported, and addresses asked of a geocoder
CREATE TABLE postcodes (
  country text NOT NULL,
  postcode text NOT NULL,
  town text NOT NULL,
  region text NOT NULL,
  lat double precision NOT NULL CHECK (lat BETWEEN -90 AND 90),
  lon double precision NOT NULL CHECK (lon BETWEEN -180 AND 180),
  precision text NOT NULL,
  radius_m integer NOT NULL,
  PRIMARY KEY (country, postcode, town)
);
CREATE TABLE geocodes (
  query_sha256 bytea PRIMARY KEY CHECK (octet_length(query_sha256) = 32),
  lat double precision NOT NULL,
  lon double precision NOT NULL,
  precision text NOT NULL,
  radius_m integer NOT NULL,
  at timestamptz NOT NULL
);

-- Only listed transitions can happen. `dispatch/rules/states.py` says the same; a test compares them.
CREATE TABLE transitions (
  machine text NOT NULL,
  from_state text NOT NULL,
  to_state text NOT NULL,
  PRIMARY KEY (machine, from_state, to_state)
);
INSERT INTO transitions VALUES
  ('bookings', '', 'open'), ('bookings', '', 'unfilled'),
  ('bookings', 'open', 'awarded'), ('bookings', 'open', 'unfilled'), ('bookings', 'open', 'cancelled'),
  ('bookings', 'awarded', 'contacted'), ('bookings', 'awarded', 'open'), ('bookings', 'awarded', 'unfilled'),
  ('bookings', 'awarded', 'cancelled'),
  ('bookings', 'contacted', 'scheduled'), ('bookings', 'contacted', 'under_way'), ('bookings', 'contacted', 'completed'), ('bookings', 'contacted', 'open'),
  ('bookings', 'contacted', 'unfilled'), ('bookings', 'contacted', 'incomplete'), ('bookings', 'contacted', 'cancelled'),
  ('bookings', 'scheduled', 'under_way'), ('bookings', 'scheduled', 'completed'), ('bookings', 'scheduled', 'open'), ('bookings', 'scheduled', 'unfilled'),
  ('bookings', 'scheduled', 'incomplete'), ('bookings', 'scheduled', 'cancelled'),
  ('bookings', 'under_way', 'completed'), ('bookings', 'under_way', 'incomplete'),
  ('bookings', 'unfilled', 'open'), ('bookings', 'unfilled', 'awarded'), ('bookings', 'unfilled', 'cancelled'),
  ('bookings', 'incomplete', 'open'), ('bookings', 'incomplete', 'unfilled'), ('bookings', 'incomplete', 'cancelled'),
  ('offers', '', 'live'),
  ('offers', 'live', 'accepted'), ('offers', 'live', 'declined'), ('offers', 'live', 'expired'),
  ('offers', 'live', 'lost'), ('offers', 'live', 'withdrawn'),
  ('offers', 'accepted', 'forfeited'), ('offers', 'accepted', 'handed_back'), ('offers', 'accepted', 'released'),
  ('awards', '', 'live'),
  ('awards', 'live', 'done'), ('awards', 'live', 'forfeited'), ('awards', 'live', 'handed_back'),
  ('awards', 'live', 'released');

CREATE FUNCTION guard_transition() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tekkie, pg_temp AS $$
DECLARE
  was text := CASE TG_OP WHEN 'INSERT' THEN '' ELSE OLD.state::text END;
BEGIN
  IF NOT EXISTS (SELECT FROM transitions t
                 WHERE t.machine = TG_TABLE_NAME AND t.from_state = was AND t.to_state = NEW.state::text) THEN
    RAISE EXCEPTION '% cannot go from "%" to "%"', TG_TABLE_NAME, was, NEW.state
      USING ERRCODE = 'check_violation', CONSTRAINT = TG_TABLE_NAME || '_transition', TABLE = TG_TABLE_NAME;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER guard_insert BEFORE INSERT ON bookings FOR EACH ROW
  WHEN (NEW.state NOT IN ('open', 'unfilled')) EXECUTE FUNCTION guard_transition();
CREATE TRIGGER guard_update BEFORE UPDATE OF state ON bookings FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION guard_transition();
CREATE TRIGGER guard_insert BEFORE INSERT ON offers FOR EACH ROW
  WHEN (NEW.state <> 'live') EXECUTE FUNCTION guard_transition();
CREATE TRIGGER guard_update BEFORE UPDATE OF state ON offers FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION guard_transition();
CREATE TRIGGER guard_insert BEFORE INSERT ON awards FOR EACH ROW
  WHEN (NEW.state <> 'live') EXECUTE FUNCTION guard_transition();
CREATE TRIGGER guard_update BEFORE UPDATE OF state ON awards FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION guard_transition();

CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege', TABLE = TG_TABLE_NAME;
END $$;
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['events', 'decisions', 'audit', 'charges', 'ratings'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION append_only()', name);
    EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION append_only()', name);
  END LOOP;
END $$;

CREATE FUNCTION stamp_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.changed := pg_current_xact_id();
  RETURN NEW;
END $$;
CREATE TRIGGER stamp_change BEFORE UPDATE ON friends FOR EACH ROW EXECUTE FUNCTION stamp_change();

-- What is known of a friend in other tables counts as his: whoever holds a copy of him sees by `changed` that it is old.
CREATE FUNCTION touch_friends() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tekkie, pg_temp AS $$
BEGIN
  UPDATE friends SET radius_m = radius_m
  WHERE id IN (SELECT (to_jsonb(c) ->> TG_ARGV[0])::uuid FROM changed_rows c) AND changed <> pg_current_xact_id();
  RETURN NULL;
END $$;
CREATE TRIGGER touch AFTER UPDATE ON people REFERENCING NEW TABLE AS changed_rows
  FOR EACH STATEMENT EXECUTE FUNCTION touch_friends('id');
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['friend_certificates', 'partner_members', 'blocks'] LOOP
    EXECUTE format('CREATE TRIGGER touch_new AFTER INSERT ON %I REFERENCING NEW TABLE AS changed_rows '
                   'FOR EACH STATEMENT EXECUTE FUNCTION touch_friends(''friend_id'')', name);
    EXECUTE format('CREATE TRIGGER touch_changed AFTER UPDATE ON %I REFERENCING NEW TABLE AS changed_rows '
                   'FOR EACH STATEMENT EXECUTE FUNCTION touch_friends(''friend_id'')', name);
    EXECUTE format('CREATE TRIGGER touch_old AFTER DELETE ON %I REFERENCING OLD TABLE AS changed_rows '
                   'FOR EACH STATEMENT EXECUTE FUNCTION touch_friends(''friend_id'')', name);
  END LOOP;
END $$;

-- The service writes rows; it owns nothing, deletes only what is meant to go, and rewrites no history.
GRANT USAGE ON SCHEMA tekkie TO tekkie_service;
GRANT SELECT ON ALL TABLES IN SCHEMA tekkie TO tekkie_service;
GRANT INSERT, UPDATE ON people, friends, friend_certificates, partners, partner_keys, bookings, offers, awards, timers,
  messages, answers, quotes, operators, login_links, sessions, postcodes, geocodes TO tekkie_service;
GRANT INSERT, UPDATE ON packages, prices, certificates TO tekkie_service;
GRANT INSERT ON partner_members, blocks, events, decisions, ratings, charges, audit TO tekkie_service;
GRANT DELETE ON timers, friend_certificates, partner_members, blocks, postcodes, answers, quotes, login_links,
  sessions, geocodes TO tekkie_service;
