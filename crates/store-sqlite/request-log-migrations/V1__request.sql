-- The log of requests. It lives in a file of its own, so that writing it never waits for the ledger.
CREATE TABLE request (
    seq    INTEGER PRIMARY KEY,  -- in the order of their ends
    id     TEXT NOT NULL,        -- as the client sees it; may repeat
    at     INTEGER NOT NULL,     -- arrival, microseconds since 1970
    tenant TEXT,                 -- NULL where no valid key was presented
    key    INTEGER,
    record TEXT NOT NULL         -- JSON
) STRICT;

CREATE INDEX request_by_id ON request (id, tenant);
CREATE INDEX request_by_tenant ON request (tenant);
CREATE INDEX request_by_key ON request (key);
