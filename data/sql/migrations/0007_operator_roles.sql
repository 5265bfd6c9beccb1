-- What an operator may do. Operators of an older tekkie, and those it adds, keep all rights.
-- works from 0004

CREATE TYPE operator_role AS ENUM ('viewer', 'dispatcher', 'admin');
ALTER TABLE operators ADD COLUMN role operator_role NOT NULL DEFAULT 'admin';
