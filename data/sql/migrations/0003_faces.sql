-- What the pages need: phones that ring, a way to the door, a customer who says that nobody called, a signature.

CREATE TABLE push_subscriptions (
  id uuid PRIMARY KEY,
  friend_id uuid NOT NULL REFERENCES friends,
  endpoint text NOT NULL UNIQUE CHECK (length(endpoint) BETWEEN 10 AND 1000),
  p256dh bytea NOT NULL CHECK (octet_length(p256dh) = 65),
  auth bytea NOT NULL CHECK (octet_length(auth) = 16),
  created_at timestamptz NOT NULL,
  rung_at timestamptz,
  problem text CHECK (length(problem) <= 200)
);
CREATE INDEX push_subscriptions_friend ON push_subscriptions (friend_id, created_at);
-- Whether a friend can be reached is known of him; that his phone rang is not. A phone that changes hands is put anew.
CREATE TRIGGER touch_new AFTER INSERT ON push_subscriptions REFERENCING NEW TABLE AS changed_rows
  FOR EACH STATEMENT EXECUTE FUNCTION touch_friends('friend_id');
CREATE TRIGGER touch_old AFTER DELETE ON push_subscriptions REFERENCING OLD TABLE AS changed_rows
  FOR EACH STATEMENT EXECUTE FUNCTION touch_friends('friend_id');

ALTER TABLE awards
  ADD COLUMN on_the_way_at timestamptz,
  ADD COLUMN move_asked_at timestamptz,
  ADD COLUMN move_wishes wish[] NOT NULL DEFAULT '{}',
  ADD COLUMN disputed_at timestamptz,
  ADD CONSTRAINT award_on_the_way_after_contact CHECK (on_the_way_at >= contacted_at),
  ADD CONSTRAINT award_on_the_way_needs_contact CHECK (on_the_way_at IS NULL OR contacted_at IS NOT NULL),
  ADD CONSTRAINT award_move_needs_appointment CHECK (move_asked_at IS NULL OR appointment IS NOT NULL),
  ADD CONSTRAINT award_wishes_need_move CHECK (cardinality(move_wishes) = 0 OR move_asked_at IS NOT NULL),
  ADD CONSTRAINT award_disputed_after CHECK (disputed_at >= awarded_at);
CREATE INDEX awards_disputed ON awards (disputed_at) WHERE state = 'live' AND disputed_at IS NOT NULL;

ALTER TABLE bookings
  ADD COLUMN cancel_fee_minor integer NOT NULL DEFAULT 0,
  ADD CONSTRAINT booking_cancel_fee_within_price CHECK (cancel_fee_minor BETWEEN 0 AND price_minor),
  ADD CONSTRAINT booking_cancel_fee_when_cancelled CHECK (cancel_fee_minor = 0 OR state = 'cancelled');

-- The signature is a path of strokes; why she asks for another time and what the desk notes down may name somebody:
-- all are personal.
ALTER TABLE people
  ADD COLUMN signature text CHECK (length(signature) <= 40000),
  ADD COLUMN move_note text CHECK (length(move_note) BETWEEN 1 AND 500),
  ADD COLUMN desk_notes jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(desk_notes) = 'array');

GRANT SELECT, INSERT, UPDATE, DELETE ON push_subscriptions TO tekkie_service;

-- What the desk looks for. A customer is found by the beginnings of words of her name, address of mail (its domain
-- apart), telephone number, postcode and town, with or without accents. Few wait in the list of what is not yet in the
-- index, so that no booking waits long while they are taken in.
CREATE FUNCTION plain(said text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN octet_length(said) = length(said) THEN lower(said) ELSE replace(translate(lower(said),
    'àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿąćęłńśźżÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝĄĆĘŁŃŚŹŻ',
    'aaaaaaaceeeeiiiinoooooouuuuyyacelnszzaaaaaaaceeeeiiiinoooooouuuuyacelnszz'), 'ß', 'ss') END
$$;
CREATE FUNCTION words(said text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT array_remove(string_to_array(translate(said, '@.,;:+-_/()&"''\', '                 '), ' '), '')
$$;
CREATE FUNCTION findable(name text, email text, phone text, postcode text, city text) RETURNS tsvector
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT array_to_tsvector(tekkie.words(tekkie.plain(name) || ' ' || tekkie.plain(split_part(email, '@', 1))
    || ' ' || coalesce(phone, '') || ' ' || coalesce(lower(postcode), '') || ' ' || coalesce(tekkie.plain(city), '')))
$$;
CREATE INDEX people_words ON people USING gin (findable(name, email, phone, postcode, city))
  WITH (gin_pending_list_limit = 128);
CREATE INDEX bookings_by_state ON bookings (state, created_at, id) WHERE state <> 'completed';
CREATE INDEX awards_missed ON awards (ended_at) WHERE state = 'forfeited';
CREATE INDEX events_day ON events USING brin (at) WITH (autosummarize = on);
CREATE INDEX audit_subject ON audit (subject, at);
