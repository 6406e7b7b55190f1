CREATE TABLE IF NOT EXISTS accounts (
    id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    balance REAL NOT NULL
);
INSERT INTO accounts (owner, balance) VALUES ('ada', 12.50), ('grace', 7.25), ('edsger', 99.00);
