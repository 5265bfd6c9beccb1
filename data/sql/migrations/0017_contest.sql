-- A customer may contest that a job was completed, and the desk may reopen it. A process without this file would list a
-- booking that was rated again once for each rating, and reckon void ratings.
-- works from 0017

INSERT INTO transitions VALUES
  ('bookings', 'completed', 'open'), ('bookings', 'completed', 'unfilled'), ('awards', 'done', 'released');

CREATE INDEX awards_contested ON awards (ended_at) WHERE state = 'done' AND marks ->> 'contest' = 'open';

-- A charge stays as it is: its reversal is a row of its own. The number of a charge is one more than its booking's
-- reversals, so that a second one needs the reversal of the first, whichever tekkie writes it.
ALTER TABLE charges ADD COLUMN no smallint NOT NULL DEFAULT 1;
ALTER TABLE charges DROP CONSTRAINT charges_pkey, ADD CONSTRAINT charges_pkey PRIMARY KEY (booking_id, no);

CREATE TABLE reversals (
  booking_id uuid NOT NULL,
  no smallint NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (booking_id, no),
  CONSTRAINT reversal_of_charge FOREIGN KEY (booking_id, no) REFERENCES charges (booking_id, no)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON reversals FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON reversals FOR EACH STATEMENT EXECUTE FUNCTION append_only();
GRANT SELECT, INSERT ON reversals TO tekkie_service;

-- A rating is of the completion that it followed, and void once the charge of that is reversed.
ALTER TABLE ratings ADD COLUMN no smallint NOT NULL DEFAULT 1;
ALTER TABLE ratings DROP CONSTRAINT ratings_pkey, ADD CONSTRAINT ratings_pkey PRIMARY KEY (booking_id, no);
DROP TRIGGER append_only_but_comment ON ratings;
CREATE TRIGGER append_only_but_comment BEFORE UPDATE ON ratings FOR EACH ROW
  WHEN (OLD.comment IS NULL OR NEW.comment IS NOT NULL
        OR (NEW.booking_id, NEW.no, NEW.friend_id, NEW.stars, NEW.at)
           IS DISTINCT FROM (OLD.booking_id, OLD.no, OLD.friend_id, OLD.stars, OLD.at))
  EXECUTE FUNCTION append_only();
CREATE VIEW standing_ratings AS SELECT booking_id, friend_id, stars, at FROM ratings r
  WHERE NOT EXISTS (SELECT FROM reversals v WHERE v.booking_id = r.booking_id AND v.no = r.no);
GRANT SELECT ON standing_ratings TO tekkie_service;

CREATE FUNCTION number_completion() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tekkie, pg_temp AS $$
BEGIN
  NEW.no := 1 + (SELECT count(*) FROM reversals r WHERE r.booking_id = NEW.booking_id);
  RETURN NEW;
END $$;
CREATE TRIGGER number_charge BEFORE INSERT ON charges FOR EACH ROW EXECUTE FUNCTION number_completion();
CREATE TRIGGER number_rating BEFORE INSERT ON ratings FOR EACH ROW EXECUTE FUNCTION number_completion();
