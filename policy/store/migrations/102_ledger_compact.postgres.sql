-- Nothing: only in a file are rows kept in another way.
SELECT 1;
