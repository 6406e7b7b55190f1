UPDATE accounts SET balance = CAST(round(balance * 100) AS INTEGER);
