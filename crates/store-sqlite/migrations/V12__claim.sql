-- Idempotency claims: which attempt has each of them, and what became of it (weighbridge_ledger::Standing). Once
-- `until` (microseconds since 1970) is over, a claim is no more.
CREATE TABLE claim (
    id       BLOB PRIMARY KEY,
    attempt  BLOB NOT NULL,
    payload  BLOB NOT NULL,
    until    INTEGER NOT NULL,
    standing INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX claim_by_end ON claim (until);
