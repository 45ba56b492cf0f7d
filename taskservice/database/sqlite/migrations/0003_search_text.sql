-- The texts have just been folded anew (see sql.py). The column has another name, so that a process of
-- an earlier version that still runs fails to write, instead of writing what searches do not find.
ALTER TABLE tasks RENAME COLUMN search TO search_text;
