-- A decision keeps what it was decided by, so that it can be decided again: the policy, what was read of the booking, and
-- the facts of each friend, thirty bytes each. It also counts everybody whose own radius reaches the place, by outcome.
-- Decisions of an older tekkie have none of this; every row that is there satisfies the checks, so that none is read.
-- works from 0004

CREATE TABLE policies (
  id uuid PRIMARY KEY,
  version text NOT NULL CHECK (length(version) BETWEEN 1 AND 100),
  numbers jsonb NOT NULL CHECK (jsonb_typeof(numbers) = 'object'),
  at timestamptz NOT NULL
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON policies FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON policies FOR EACH STATEMENT EXECUTE FUNCTION append_only();
GRANT SELECT, INSERT ON policies TO tekkie_service;

ALTER TABLE decisions
  ADD COLUMN policy_id uuid REFERENCES policies,
  ADD COLUMN search jsonb,
  ADD COLUMN facts bytea,
  ADD COLUMN reach_outcomes outcome[],
  ADD COLUMN reach_counts integer[],
  ADD COLUMN reach_m integer,
  ADD CONSTRAINT decision_inputs_together CHECK (num_nulls(policy_id, search, facts) IN (0, 3)) NOT VALID,
  ADD CONSTRAINT decision_search CHECK (jsonb_typeof(search) = 'object') NOT VALID,
  ADD CONSTRAINT decision_facts_of_each CHECK (octet_length(facts) = 30 * cardinality(friend_ids)) NOT VALID,
  ADD CONSTRAINT decision_reach CHECK (
    num_nulls(reach_outcomes, reach_counts) IN (0, 2)
    AND (reach_m IS NULL OR reach_outcomes IS NOT NULL AND reach_m >= 0)
    AND cardinality(reach_outcomes) = cardinality(reach_counts)
    AND 0 < ALL (reach_counts)) NOT VALID;
