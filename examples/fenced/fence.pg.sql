-- PostgreSQL: the same as fence.sql. `SELECT fence('name', token)` begins each transaction.
CREATE TABLE IF NOT EXISTS fence (name text PRIMARY KEY, token bigint NOT NULL);
CREATE OR REPLACE FUNCTION fence(resource text, own bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO fence VALUES (resource, own)
    ON CONFLICT (name) DO UPDATE SET token = excluded.token WHERE fence.token <= excluded.token;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'refused: a later holder of the lock was here (older fencing token)';
  END IF;
END $$;
