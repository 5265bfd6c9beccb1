-- Who decides about people and who about money, beside who dispatches.
-- works from 0021

ALTER TYPE operator_role ADD VALUE 'community' BEFORE 'admin';
ALTER TYPE operator_role ADD VALUE 'finance' BEFORE 'admin';
