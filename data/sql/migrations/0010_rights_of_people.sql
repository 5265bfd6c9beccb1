-- The comment of a rating is the only part of what is append-only that may go: when a person is erased.
-- works from 0004

DROP TRIGGER append_only ON ratings;
CREATE TRIGGER append_only BEFORE DELETE ON ratings FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only_but_comment BEFORE UPDATE ON ratings FOR EACH ROW
  WHEN (OLD.comment IS NULL OR NEW.comment IS NOT NULL
        OR (NEW.booking_id, NEW.friend_id, NEW.stars, NEW.at)
           IS DISTINCT FROM (OLD.booking_id, OLD.friend_id, OLD.stars, OLD.at))
  EXECUTE FUNCTION append_only();
GRANT UPDATE (comment) ON ratings TO tekkie_service;
