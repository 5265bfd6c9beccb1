-- A friend may say in which hours of the week to be asked, in minutes since Monday 00:00 (one span may run past the end of
-- Sunday), and on which days not, both ends included. An older tekkie cannot read the outcome of the others.
-- works from 0034

ALTER TYPE outcome ADD VALUE 'OUTSIDE_PLAN';
CREATE FUNCTION ascends(list anyarray) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT array_position(list, NULL) IS NULL AND list = ARRAY(SELECT one FROM unnest(list) AS t (one) ORDER BY one)
$$;
ALTER TABLE friends
  ADD COLUMN week smallint[],
  ADD COLUMN holidays date[],
  ADD CONSTRAINT friend_week CHECK (cardinality(week) BETWEEN 2 AND 84 AND cardinality(week) % 2 = 0
    AND 0 <= ALL (week) AND week[1] < 10080 AND week[cardinality(week)] <= week[1] + 10080 AND tekkie.ascends(week)) NOT VALID,
  ADD CONSTRAINT friend_holidays CHECK (cardinality(holidays) BETWEEN 2 AND 40 AND cardinality(holidays) % 2 = 0
    AND tekkie.ascends(holidays)) NOT VALID;
