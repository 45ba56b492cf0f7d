-- A SQLite store of version 1, made by the code of 2026-11-24; the dump of apsw's shell.

BEGIN TRANSACTION;

-- Table  deletions
CREATE TABLE deletions (
    revision INTEGER NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO deletions VALUES(1764115200015000,'gone');

-- Table  idempotency_keys
CREATE TABLE idempotency_keys (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    result TEXT NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
INSERT INTO idempotency_keys VALUES('me','k',X'00FF','[["plain", 1764115200000000], ["cafe-nfc", 1764115200001000], ["cafe-nfd", 1764115200002000], ["istanbul", 1764115200003000], ["isparta", 1764115200004000], ["strasse", 1764115200005000], ["lodz", 1764115200006000], ["odos", 1764115200007000], ["hangul", 1764115200008000], ["long-b", 1764115200009000], ["long-a", 1764115200010000], ["long-4", 1764115200011000], ["gone", 1764115200012000]]',1764201600013000);
-- Triggers and indices on  idempotency_keys
CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires);

-- Table  store
CREATE TABLE store (
    revision INTEGER NOT NULL,
    forgotten INTEGER NOT NULL
) STRICT;
INSERT INTO store VALUES(1764115200017000,0);

-- Table  tasks
CREATE TABLE tasks (
    id TEXT NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL,
    body TEXT NOT NULL,
    completed INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    due_date REAL NOT NULL,
    title_key TEXT NOT NULL,
    search TEXT NOT NULL
) STRICT;
INSERT INTO tasks VALUES('plain',1764115200017000,'{"title": "Buy milk", "description": "semi-skimmed", "priority": "high", "completed": false, "due_date": 1800000000}',0,1,1800000000.0,'Buy milk','buy milk
semi-skimmed');
INSERT INTO tasks VALUES('cafe-nfc',1764115200001000,'{"title": "Café au lait"}',0,4,9007199254740992.0,'Café au lait','café au lait
');
INSERT INTO tasks VALUES('cafe-nfd',1764115200002000,'{"title": "Café au lait", "completed": true}',1,4,9007199254740992.0,'Café au lait','café au lait
');
INSERT INTO tasks VALUES('istanbul',1764115200003000,'{"title": "Flight to İstanbul", "due_date": 1.5}',0,4,1.5,'Flight to İstanbul','flight to i̇stanbul
');
INSERT INTO tasks VALUES('isparta',1764115200004000,'{"title": "ISPARTA", "description": "ısparta"}',0,4,9007199254740992.0,'ISPARTA','isparta
ısparta');
INSERT INTO tasks VALUES('strasse',1764115200005000,'{"title": "Große Straße", "description": "ﬁnden"}',0,4,9007199254740992.0,'Große Straße','grosse strasse
finden');
INSERT INTO tasks VALUES('lodz',1764115200006000,'{"title": "Łódź"}',0,4,9007199254740992.0,'Łódź','łódź
');
INSERT INTO tasks VALUES('odos',1764115200007000,'{"title": "ΟΔΟΣ"}',0,4,9007199254740992.0,'ΟΔΟΣ','οδοσ
');
INSERT INTO tasks VALUES('hangul',1764115200008000,'{"title": "한글", "description": "が"}',0,4,9007199254740992.0,'한글','한글
が');
INSERT INTO tasks VALUES('long-b',1764115200009000,'{"title": "ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppb"}',0,4,9007199254740992.0,'ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppb','ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppb
');
INSERT INTO tasks VALUES('long-a',1764115200010000,'{"title": "ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}',0,4,9007199254740992.0,'ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
');
INSERT INTO tasks VALUES('long-4',1764115200011000,'{"title": "😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀", "description": "q"}',0,4,9007199254740992.0,'😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀','😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀
q');
-- Triggers and indices on  tasks
CREATE INDEX tasks_completed_created ON tasks (completed, id);
CREATE INDEX tasks_completed_due_date ON tasks (completed, due_date, id);
CREATE INDEX tasks_completed_priority ON tasks (completed, priority, id);
CREATE INDEX tasks_completed_title ON tasks (completed, title_key, id);
CREATE INDEX tasks_completed_updated ON tasks (completed, revision, id);
CREATE INDEX tasks_due_date ON tasks (due_date, id);
CREATE INDEX tasks_priority ON tasks (priority, id);
CREATE INDEX tasks_title ON tasks (title_key, id);
CREATE INDEX tasks_updated ON tasks (revision, id);

-- Database header
pragma user_version=1;

COMMIT TRANSACTION;
