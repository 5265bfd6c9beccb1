-- An applicant is a friend who is not accepted yet: signs in, has a profile and sits exams, and is never asked. An older
-- tekkie cannot read the state.
-- works from 0022

ALTER TYPE friend_state ADD VALUE 'applicant';

-- Compared as text: the new value cannot be used in the transaction that adds it.
ALTER TABLE friends
  ADD CONSTRAINT applicant_has_no_job CHECK (state::text <> 'applicant' OR open_jobs = 0) NOT VALID;
