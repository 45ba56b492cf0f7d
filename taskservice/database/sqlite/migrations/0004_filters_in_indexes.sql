-- Every sort has one index. It begins with what lists filter by, so that a list is merged from the
-- parts that its filters admit, and holds the due date, so that no row is fetched to decide on that.
-- tasks_updated stays as it is, for the readers of changes. See pages.py.
DROP INDEX tasks_due_date;
DROP INDEX tasks_priority;
DROP INDEX tasks_title;
DROP INDEX tasks_completed_created;
DROP INDEX tasks_completed_updated;
DROP INDEX tasks_completed_due_date;
DROP INDEX tasks_completed_priority;
DROP INDEX tasks_completed_title;

-- A search reads all texts, and nothing else.
CREATE TABLE texts (
    id TEXT NOT NULL PRIMARY KEY,
    search_text TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO texts (id, search_text) SELECT id, search_text FROM tasks ORDER BY id;
ALTER TABLE tasks DROP COLUMN search_text;

CREATE INDEX tasks_filtered_created ON tasks (completed, priority, id, due_date);
CREATE INDEX tasks_filtered_updated ON tasks (completed, priority, revision, id, due_date);
CREATE INDEX tasks_filtered_due_date ON tasks (completed, priority, due_date, id, revision, title_key);
CREATE INDEX tasks_filtered_title ON tasks (completed, priority, title_key, id, due_date);
