-- SQLite: the largest fencing token that each resource has seen. A smaller one aborts the transaction.
CREATE TABLE IF NOT EXISTS fence (name TEXT PRIMARY KEY, token INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS fence_only_rises BEFORE UPDATE ON fence WHEN NEW.token < OLD.token
BEGIN
  SELECT RAISE(ABORT, 'refused: a later holder of the lock was here (older fencing token)');
END;
