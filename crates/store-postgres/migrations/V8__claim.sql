-- Idempotency claims: which attempt has each of them, and what became of it (weighbridge_ledger::Standing). Once
-- `until` (microseconds since 1970) is over, a claim is no more.
CREATE TABLE claim (
    id       bytea PRIMARY KEY,
    attempt  bytea NOT NULL,
    payload  bytea NOT NULL,
    until    bigint NOT NULL,
    standing smallint NOT NULL
);
CREATE INDEX claim_by_end ON claim (until);
