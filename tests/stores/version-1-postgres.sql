-- A PostgreSQL store of version 1, made by the code of 2026-11-24; pg_dump --inserts.

CREATE TABLE idempotency_keys (
    owner text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    digest bytea NOT NULL,
    made text NOT NULL,
    expires bigint NOT NULL
);

CREATE TABLE store (
    only_row boolean DEFAULT true NOT NULL,
    revision bigint NOT NULL,
    forgotten bigint NOT NULL,
    CONSTRAINT store_only_row_check CHECK (only_row)
)
WITH (fillfactor='10');

CREATE TABLE store_version (
    version integer NOT NULL
);

CREATE TABLE tasks (
    id text NOT NULL COLLATE pg_catalog."C",
    revision bigint NOT NULL,
    body text NOT NULL,
    title_key text NOT NULL COLLATE pg_catalog."C",
    completed boolean NOT NULL,
    priority integer NOT NULL,
    due_date double precision NOT NULL,
    search text NOT NULL COLLATE pg_catalog."C"
);

CREATE TABLE tombstones (
    id text NOT NULL COLLATE pg_catalog."C",
    revision bigint NOT NULL
);

INSERT INTO idempotency_keys VALUES ('me', 'k', '\x00ff', '[["plain", 1764115200000000], ["cafe-nfc", 1764115200001000], ["cafe-nfd", 1764115200002000], ["istanbul", 1764115200003000], ["isparta", 1764115200004000], ["strasse", 1764115200005000], ["lodz", 1764115200006000], ["odos", 1764115200007000], ["hangul", 1764115200008000], ["long-b", 1764115200009000], ["long-a", 1764115200010000], ["long-4", 1764115200011000], ["gone", 1764115200012000]]', 1764201600013000);

INSERT INTO store VALUES (true, 1764115200017000, 0);

INSERT INTO store_version VALUES (1);

INSERT INTO tasks VALUES ('cafe-nfc', 1764115200001000, '{"title": "Café au lait"}', 'Café au lait', false, 4, 9.007199254740992e+15, 'café au lait
');
INSERT INTO tasks VALUES ('cafe-nfd', 1764115200002000, '{"title": "Café au lait", "completed": true}', 'Café au lait', true, 4, 9.007199254740992e+15, 'café au lait
');
INSERT INTO tasks VALUES ('istanbul', 1764115200003000, '{"title": "Flight to İstanbul", "due_date": 1.5}', 'Flight to İstanbul', false, 4, 1.5, 'flight to i̇stanbul
');
INSERT INTO tasks VALUES ('isparta', 1764115200004000, '{"title": "ISPARTA", "description": "ısparta"}', 'ISPARTA', false, 4, 9.007199254740992e+15, 'isparta
ısparta');
INSERT INTO tasks VALUES ('strasse', 1764115200005000, '{"title": "Große Straße", "description": "ﬁnden"}', 'Große Straße', false, 4, 9.007199254740992e+15, 'grosse strasse
finden');
INSERT INTO tasks VALUES ('lodz', 1764115200006000, '{"title": "Łódź"}', 'Łódź', false, 4, 9.007199254740992e+15, 'łódź
');
INSERT INTO tasks VALUES ('odos', 1764115200007000, '{"title": "ΟΔΟΣ"}', 'ΟΔΟΣ', false, 4, 9.007199254740992e+15, 'οδοσ
');
INSERT INTO tasks VALUES ('hangul', 1764115200008000, '{"title": "한글", "description": "が"}', '한글', false, 4, 9.007199254740992e+15, '한글
が');
INSERT INTO tasks VALUES ('long-b', 1764115200009000, '{"title": "ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppb"}', 'ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppb', false, 4, 9.007199254740992e+15, 'ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppb
');
INSERT INTO tasks VALUES ('long-a', 1764115200010000, '{"title": "ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}', 'ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', false, 4, 9.007199254740992e+15, 'ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
');
INSERT INTO tasks VALUES ('long-4', 1764115200011000, '{"title": "😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀", "description": "q"}', '😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀', false, 4, 9.007199254740992e+15, '😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀
q');
INSERT INTO tasks VALUES ('plain', 1764115200017000, '{"title": "Buy milk", "description": "semi-skimmed", "priority": "high", "completed": false, "due_date": 1800000000}', 'Buy milk', false, 1, 1800000000, 'buy milk
semi-skimmed');

INSERT INTO tombstones VALUES ('gone', 1764115200015000);

ALTER TABLE ONLY idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (owner, key);

ALTER TABLE ONLY store
    ADD CONSTRAINT store_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY tombstones
    ADD CONSTRAINT tombstones_pkey PRIMARY KEY (id);

CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys USING btree (expires);

CREATE INDEX tasks_by_due_date ON tasks USING btree (due_date, id);

CREATE INDEX tasks_by_priority ON tasks USING btree (priority, id);

CREATE INDEX tasks_by_revision ON tasks USING btree (revision, id);

CREATE INDEX tasks_by_title ON tasks USING btree (title_key, id);

CREATE INDEX tasks_completed_by_due_date ON tasks USING btree (completed, due_date, id);

CREATE INDEX tasks_completed_by_id ON tasks USING btree (completed, id);

CREATE INDEX tasks_completed_by_priority ON tasks USING btree (completed, priority, id);

CREATE INDEX tasks_completed_by_revision ON tasks USING btree (completed, revision, id);

CREATE INDEX tasks_completed_by_title ON tasks USING btree (completed, title_key, id);

CREATE INDEX tombstones_by_revision ON tombstones USING btree (revision);
