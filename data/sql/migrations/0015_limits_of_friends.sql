-- How many customers a friend learned of and how many jobs they handed back within a day; what the desk allows each friend
-- (NULL: what the policy says); and since when the desk must look, because too many were handed back.
-- works from 0004
ALTER TABLE friends
  ADD COLUMN taken_at timestamptz[] NOT NULL DEFAULT '{}',
  ADD COLUMN handed_back_at timestamptz[] NOT NULL DEFAULT '{}',
  ADD COLUMN alarmed_at timestamptz,
  ADD COLUMN jobs_per_day smallint,
  ADD COLUMN hand_backs_per_day smallint,
  ADD COLUMN capacity_max smallint,
  ADD COLUMN radius_max_m integer,
  ADD CONSTRAINT friend_limits CHECK (jobs_per_day >= 0 AND hand_backs_per_day >= 0
    AND capacity_max BETWEEN 1 AND 20 AND radius_max_m BETWEEN 500 AND 100000);
CREATE INDEX friends_alarmed ON friends (alarmed_at) WHERE alarmed_at IS NOT NULL;
