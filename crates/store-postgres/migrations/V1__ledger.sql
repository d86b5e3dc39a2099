-- The ledger (src/ledger.rs). Money is whole nano-dollars, times of the journal are in its rows, names are hashes;
-- the table `name` says what they stand for and may be erased without touching the journal.

-- One row per opening of the ledger for writing. `beat` grows for as long as its process lives; `closed`: it has
-- ended, or was found dead. Only who holds the row of `journal` closes a writer.
CREATE TABLE writer (
    epoch  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    opened timestamptz NOT NULL DEFAULT now(),
    beat   bigint NOT NULL DEFAULT 0,
    closed timestamptz
) WITH (fillfactor = 50);

-- Where the journal ends. Every commit locks this one row first: rows are numbered without gaps, so commits follow
-- each other anyway, and no two of them ever wait for each other's accounts.
CREATE TABLE journal (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    seq    bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO journal (seq) VALUES (0);

-- The journal: append-only, numbered without gaps. `body` is versioned (weighbridge_ledger::encode).
CREATE TABLE entry (
    seq  bigint PRIMARY KEY,
    book smallint NOT NULL,
    body bytea NOT NULL,
    hash bytea NOT NULL
);

-- Which rows of the journal are seals, and the first row that was written together with each.
CREATE TABLE seal (
    seq   bigint PRIMARY KEY,
    first bigint NOT NULL
);

-- Everything below is what the journal adds up to.

-- The last row of each hash chain.
CREATE TABLE chain (
    book   smallint NOT NULL,
    writer integer NOT NULL,
    seq    bigint NOT NULL,
    hash   bytea NOT NULL,
    PRIMARY KEY (book, writer)
) WITH (fillfactor = 50);

-- Attempts that have not ended; `body` is the body of the row that opened them.
CREATE TABLE open_attempt (
    attempt bytea PRIMARY KEY,
    writer  integer NOT NULL,
    book    smallint NOT NULL,
    body    bytea NOT NULL
);
CREATE INDEX open_attempt_by_writer ON open_attempt (writer, attempt);

-- What was carried out under which id, and the first row that it wrote.
CREATE TABLE command (
    id      bytea PRIMARY KEY,
    payload bytea NOT NULL,
    seq     bigint NOT NULL
);

CREATE TABLE balance (
    account bigint PRIMARY KEY,
    posted  bigint NOT NULL,
    pending bigint NOT NULL
) WITH (fillfactor = 50);

-- How much of an attempt's charge was given back, by the attempt; or of a top-up, by the id of its command.
CREATE TABLE refunded (
    original bytea PRIMARY KEY,
    amount   bigint NOT NULL
);

-- `counts`: by bucket, in the order of the buckets; a later release may know more of them.
CREATE TABLE rollup (
    key       bigint NOT NULL,
    hour      bigint NOT NULL,
    provider  bigint NOT NULL,
    model     bigint NOT NULL,
    attempts  bigint NOT NULL,
    succeeded bigint NOT NULL,
    estimated bigint NOT NULL,
    cost      bigint NOT NULL,
    charged   bigint NOT NULL,
    counts    bigint[] NOT NULL,
    PRIMARY KEY (key, hour, provider, model)
) WITH (fillfactor = 70);

CREATE TABLE name (
    id   bigint PRIMARY KEY,
    text text NOT NULL
);
