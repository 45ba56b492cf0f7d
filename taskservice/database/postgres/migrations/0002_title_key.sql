-- Titles sort by their first 200 characters, which were 500.
UPDATE tasks SET title_key = substr(title_key, 1, 200) WHERE length(title_key) > 200;
