-- Text is compared by code point (COLLATE "C"), as in every engine, whatever the database's locale.

CREATE TABLE tasks (
    id        text COLLATE "C" PRIMARY KEY,
    revision  bigint NOT NULL,
    body      text NOT NULL,             -- the task as JSON; not jsonb, which would rewrite numbers
    title_key text COLLATE "C" NOT NULL, -- the title's beginning: an index entry has to fit a page
    completed boolean NOT NULL,
    priority  integer NOT NULL,
    due_date  double precision NOT NULL,
    search    text COLLATE "C" NOT NULL
);

-- One index for each sort of a list, and one more for each sort within completed or open tasks.
CREATE INDEX tasks_by_revision ON tasks (revision, id);
CREATE INDEX tasks_by_due_date ON tasks (due_date, id);
CREATE INDEX tasks_by_priority ON tasks (priority, id);
CREATE INDEX tasks_by_title ON tasks (title_key, id);
CREATE INDEX tasks_completed_by_id ON tasks (completed, id);
CREATE INDEX tasks_completed_by_revision ON tasks (completed, revision, id);
CREATE INDEX tasks_completed_by_due_date ON tasks (completed, due_date, id);
CREATE INDEX tasks_completed_by_priority ON tasks (completed, priority, id);
CREATE INDEX tasks_completed_by_title ON tasks (completed, title_key, id);

-- Deleted ids, for the readers of changes.
CREATE TABLE tombstones (
    id       text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL
);
CREATE INDEX tombstones_by_revision ON tombstones (revision);

-- What each idempotency key made: [[id, revision], ...] as JSON; expires is in microseconds.
CREATE TABLE idempotency_keys (
    owner   text COLLATE "C" NOT NULL,
    key     text COLLATE "C" NOT NULL,
    digest  bytea NOT NULL,
    made    text NOT NULL,
    expires bigint NOT NULL,
    PRIMARY KEY (owner, key)
);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires);

-- One row: the revision of the last write, and that of the latest deletion that is forgotten.
-- Every write locks it first. It is updated all the time: the free space lets that stay in one page.
CREATE TABLE store (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    revision  bigint NOT NULL,
    forgotten bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO store (revision, forgotten) VALUES (0, 0);
ANALYZE store; -- or the planner would expect some hundred rows
