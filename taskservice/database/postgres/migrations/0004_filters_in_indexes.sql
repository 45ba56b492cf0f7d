-- Every sort has one index. It begins with what lists filter by, so that a list is merged from the
-- parts that its filters admit, and holds the due date, so that no row is fetched to decide on that.
-- tasks_by_revision stays as it is, for the readers of changes. See pages.py.
DROP INDEX tasks_by_due_date, tasks_by_priority, tasks_by_title, tasks_completed_by_id,
    tasks_completed_by_revision, tasks_completed_by_due_date, tasks_completed_by_priority,
    tasks_completed_by_title;

-- A search reads all texts, and nothing else.
CREATE TABLE texts (
    id          text COLLATE "C" PRIMARY KEY,
    search_text text COLLATE "C" NOT NULL
);
INSERT INTO texts (id, search_text) SELECT id, search_text FROM tasks ORDER BY id;
ALTER TABLE tasks DROP COLUMN search_text;

CREATE INDEX tasks_filtered_created ON tasks (completed, priority, id, due_date);
CREATE INDEX tasks_filtered_updated ON tasks (completed, priority, revision, id, due_date);
CREATE INDEX tasks_filtered_due_date ON tasks (completed, priority, due_date, id, revision, title_key);
CREATE INDEX tasks_filtered_title ON tasks (completed, priority, title_key, id, due_date);
ANALYZE tasks, texts;
