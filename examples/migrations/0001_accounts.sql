CREATE TABLE IF NOT EXISTS accounts (
    id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    balance REAL NOT NULL
);
INSERT INTO accounts (id, owner, balance) VALUES (1, 'ada', 12.50), (2, 'grace', 7.25), (3, 'edsger', 99.00);
