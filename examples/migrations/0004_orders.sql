CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id),
    cents INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS orders_by_account ON orders (account);
