-- PostgreSQL: the same as fence.sql. `SELECT fence('name', token)` begins each transaction.
SET client_min_messages = warning;
BEGIN;
-- Two sessions that create a table or a function at once fail, also with IF NOT EXISTS.
SELECT pg_advisory_xact_lock(hashtext('fence'));
CREATE TABLE IF NOT EXISTS fence (name text PRIMARY KEY, token bigint NOT NULL);
CREATE OR REPLACE FUNCTION fence(resource text, own bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  -- It keeps the row until the end of the transaction: a newer token waits, and an older one is refused.
  INSERT INTO fence VALUES (resource, own)
    ON CONFLICT (name) DO UPDATE SET token = excluded.token WHERE fence.token <= excluded.token;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'refused: a later holder of the lock was here (older fencing token)';
  END IF;
END $$;
COMMIT;
