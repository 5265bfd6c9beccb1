-- Customer and friend review each other; neither sees the other's review until both are in or `shown_at` has come. What
-- an older tekkie inserts is shown at once, as it always was.
ALTER TABLE ratings ADD COLUMN shown_at timestamptz;
DROP TRIGGER append_only_but_comment ON ratings;
CREATE TRIGGER append_only_but_comment BEFORE UPDATE ON ratings FOR EACH ROW
  WHEN (OLD.comment IS NULL OR NEW.comment IS NOT NULL
        OR (NEW.booking_id, NEW.no, NEW.friend_id, NEW.stars, NEW.at, NEW.shown_at)
           IS DISTINCT FROM (OLD.booking_id, OLD.no, OLD.friend_id, OLD.stars, OLD.at, OLD.shown_at))
  EXECUTE FUNCTION append_only();

CREATE TABLE customer_reviews (
  booking_id uuid NOT NULL REFERENCES bookings,
  no smallint NOT NULL DEFAULT 1,
  friend_id uuid NOT NULL REFERENCES friends,
  stars smallint NOT NULL CHECK (stars BETWEEN 1 AND 5),
  comment text CHECK (length(comment) <= 1000),
  at timestamptz NOT NULL,
  shown_at timestamptz NOT NULL,
  PRIMARY KEY (booking_id, no),
  CONSTRAINT customer_review_shown_after CHECK (shown_at >= at)
);
CREATE INDEX customer_reviews_friend ON customer_reviews (friend_id);
CREATE TRIGGER number_review BEFORE INSERT ON customer_reviews FOR EACH ROW EXECUTE FUNCTION number_completion();
CREATE TRIGGER append_only BEFORE DELETE ON customer_reviews FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON customer_reviews FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only_but_comment BEFORE UPDATE ON customer_reviews FOR EACH ROW
  WHEN (OLD.comment IS NULL OR NEW.comment IS NOT NULL
        OR (NEW.booking_id, NEW.no, NEW.friend_id, NEW.stars, NEW.at, NEW.shown_at)
           IS DISTINCT FROM (OLD.booking_id, OLD.no, OLD.friend_id, OLD.stars, OLD.at, OLD.shown_at))
  EXECUTE FUNCTION append_only();
GRANT SELECT, INSERT, UPDATE (comment) ON customer_reviews TO tekkie_service;

-- What follows a review: one reply by the reviewed, a report, and what an operator decided about it.
CREATE TABLE review_notes (
  booking_id uuid NOT NULL,
  no smallint NOT NULL,
  by_friend boolean NOT NULL,
  rating_no smallint GENERATED ALWAYS AS (CASE WHEN NOT by_friend THEN no END) STORED,
  review_no smallint GENERATED ALWAYS AS (CASE WHEN by_friend THEN no END) STORED,
  reply text CHECK (length(reply) BETWEEN 1 AND 1000),
  replied_at timestamptz,
  reported_at timestamptz,
  report text CHECK (length(report) BETWEEN 1 AND 500),
  decided_at timestamptz,
  decided_by uuid REFERENCES operators,
  hidden text CHECK (hidden IN ('insult', 'personal_data', 'off_topic', 'untrue', 'discrimination')),
  PRIMARY KEY (booking_id, no, by_friend),
  CONSTRAINT note_of_rating FOREIGN KEY (booking_id, rating_no) REFERENCES ratings (booking_id, no),
  CONSTRAINT note_of_review FOREIGN KEY (booking_id, review_no) REFERENCES customer_reviews (booking_id, no),
  CONSTRAINT note_reply_has_time CHECK (reply IS NULL OR replied_at IS NOT NULL),
  CONSTRAINT note_report_has_time CHECK (report IS NULL OR reported_at IS NOT NULL),
  CONSTRAINT note_decided_after_report CHECK (decided_at >= reported_at AND (decided_at IS NULL OR reported_at IS NOT NULL)),
  CONSTRAINT note_decided_by CHECK ((decided_at IS NULL) = (decided_by IS NULL)),
  CONSTRAINT note_hidden_by_decision CHECK (hidden IS NULL OR decided_at IS NOT NULL)
);
CREATE INDEX review_notes_open ON review_notes (reported_at) WHERE reported_at IS NOT NULL AND decided_at IS NULL;
GRANT SELECT, INSERT, UPDATE ON review_notes TO tekkie_service;

-- Both sides of each completion that stands, and since when each may be seen by others.
CREATE VIEW reviews AS
SELECT e.*, n.reply, n.replied_at, n.reported_at, n.report, n.decided_at, n.hidden FROM (
  SELECT r.booking_id, r.no, false AS by_friend, r.friend_id, r.stars, r.comment, r.at,
         CASE WHEN c.no IS NULL THEN coalesce(r.shown_at, r.at) ELSE greatest(r.at, c.at) END AS shown_at
  FROM ratings r LEFT JOIN customer_reviews c ON c.booking_id = r.booking_id AND c.no = r.no
  UNION ALL
  SELECT c.booking_id, c.no, true, c.friend_id, c.stars, c.comment, c.at,
         CASE WHEN r.no IS NULL THEN c.shown_at ELSE greatest(r.at, c.at) END
  FROM customer_reviews c LEFT JOIN ratings r ON r.booking_id = c.booking_id AND r.no = c.no) AS e
LEFT JOIN review_notes n ON n.booking_id = e.booking_id AND n.no = e.no AND n.by_friend = e.by_friend
WHERE NOT EXISTS (SELECT FROM reversals v WHERE v.booking_id = e.booking_id AND v.no = e.no);
CREATE VIEW shown_ratings AS SELECT booking_id, friend_id, stars, at FROM reviews
  WHERE NOT by_friend AND shown_at <= moment() AND hidden IS NULL;
GRANT SELECT ON reviews, shown_ratings TO tekkie_service;
