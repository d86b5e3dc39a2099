-- Kept answers (src/kept.rs). They live in a file of their own: they are many times the size of what the ledger
-- writes. `sealed` opens only with a secret that this file never sees.
CREATE TABLE kept (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT, -- the order in which they came, never used again
    tenant  TEXT NOT NULL,
    purpose TEXT NOT NULL,
    id      TEXT NOT NULL,
    expires INTEGER NOT NULL,                  -- microseconds since 1970
    bytes   INTEGER NOT NULL,                  -- what it counts against the limits
    sealed  BLOB NOT NULL,
    UNIQUE (tenant, purpose, id)
) STRICT;
CREATE INDEX kept_by_end ON kept (expires);
CREATE INDEX kept_by_tenant ON kept (tenant, expires);

-- What each tenant holds, kept right by the two triggers in the transaction that changes it.
CREATE TABLE kept_share (
    tenant  TEXT NOT NULL PRIMARY KEY,
    entries INTEGER NOT NULL,
    bytes   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER kept_came AFTER INSERT ON kept BEGIN
    INSERT INTO kept_share (tenant, entries, bytes) VALUES (new.tenant, 1, new.bytes)
        ON CONFLICT (tenant) DO UPDATE SET entries = entries + 1, bytes = bytes + new.bytes;
END;

CREATE TRIGGER kept_went AFTER DELETE ON kept BEGIN
    UPDATE kept_share SET entries = entries - 1, bytes = bytes - old.bytes WHERE tenant = old.tenant;
    DELETE FROM kept_share WHERE tenant = old.tenant AND entries = 0;
END;
