-- Virtual keys (src/keys.rs). No secret is here: `hash` is HMAC-SHA256 under a pepper that this file never sees.
CREATE TABLE virtual_key (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of creation
    id             INTEGER NOT NULL UNIQUE,           -- the public id's 60 bits
    name           TEXT NOT NULL,
    tenant         TEXT NOT NULL,
    hash           BLOB NOT NULL CHECK (length(hash) = 32),
    retired_hash   BLOB CHECK (length(retired_hash) = 32),
    retired_until  INTEGER,                           -- times are microseconds since 1970
    models         TEXT,                              -- lists have one entry per line; NULL here: all models
    rpm            INTEGER,
    tpm            INTEGER,
    budget         INTEGER,                           -- nano-dollars
    budget_period  TEXT,
    ip_allow       TEXT NOT NULL,
    referrers      TEXT NOT NULL,
    tags           TEXT NOT NULL,
    loss_policy    TEXT,
    created        INTEGER NOT NULL,
    expires        INTEGER,
    revoked        INTEGER,
    CHECK ((retired_hash IS NULL) = (retired_until IS NULL)),
    CHECK ((budget IS NULL) = (budget_period IS NULL))
) STRICT;

-- Raised by every change of a key, in the same transaction: other processes ask for it.
CREATE TABLE virtual_key_version (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO virtual_key_version (only, version) VALUES (1, 0);
