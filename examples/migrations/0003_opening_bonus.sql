UPDATE accounts SET balance = balance + 500;
