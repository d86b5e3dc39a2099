-- The ledger (src/ledger.rs). Money is whole nano-dollars, times are microseconds since 1970, names are
-- hashes; the table `name` says what they stand for and may be erased without touching the journal.

-- One row per opening of the ledger for writing. `closed`: it has ended, or was found dead.
CREATE TABLE writer (
    epoch  INTEGER PRIMARY KEY,
    opened INTEGER NOT NULL,
    closed INTEGER
) STRICT;

-- The journal: append-only, numbered without gaps. `body` is versioned (weighbridge_ledger::encode).
CREATE TABLE entry (
    seq  INTEGER PRIMARY KEY,
    book INTEGER NOT NULL,
    body BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;

-- Which rows of the journal are seals, and the first row that was written together with each.
CREATE TABLE seal (
    seq   INTEGER PRIMARY KEY,
    first INTEGER NOT NULL
) STRICT;

-- Everything below is what the journal adds up to.

-- Attempts that have not ended; `body` is the body of the row that opened them.
CREATE TABLE open_attempt (
    attempt BLOB PRIMARY KEY,
    book    INTEGER NOT NULL,
    body    BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What was carried out under which id, and the first row that it wrote.
CREATE TABLE command (
    id      BLOB PRIMARY KEY,
    payload BLOB NOT NULL,
    seq     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE balance (
    account INTEGER PRIMARY KEY,
    posted  INTEGER NOT NULL,
    pending INTEGER NOT NULL
) STRICT;

-- How much of an attempt's charge was given back.
CREATE TABLE refunded (
    attempt BLOB PRIMARY KEY,
    amount  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup (
    key            INTEGER NOT NULL,
    hour           INTEGER NOT NULL,
    provider       INTEGER NOT NULL,
    model          INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    succeeded      INTEGER NOT NULL,
    estimated      INTEGER NOT NULL,
    cost           INTEGER NOT NULL,
    charged        INTEGER NOT NULL,
    input          INTEGER NOT NULL,
    cache_read     INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    input_audio    INTEGER NOT NULL,
    output         INTEGER NOT NULL,
    reasoning      INTEGER NOT NULL,
    output_audio   INTEGER NOT NULL,
    web_search     INTEGER NOT NULL,
    PRIMARY KEY (key, hour, provider, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE name (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;
