-- Organisations and teams (src/tenants.rs), and several budgets and further limits for keys.
CREATE TABLE tenant (
    name           TEXT PRIMARY KEY,
    models         TEXT,                  -- as in virtual_key
    rpm            INTEGER,
    tpm            INTEGER,
    usd_per_minute INTEGER,               -- nano-dollars
    concurrency    INTEGER,
    budgets        TEXT NOT NULL,         -- one per line
    credit_limit   INTEGER,               -- nano-dollars; NULL: no wallet
    blocked        INTEGER NOT NULL CHECK (blocked IN (0, 1)),
    created        INTEGER NOT NULL,
    expires        INTEGER
) STRICT, WITHOUT ROWID;

ALTER TABLE virtual_key ADD COLUMN usd_per_minute INTEGER;
ALTER TABLE virtual_key ADD COLUMN concurrency INTEGER;
ALTER TABLE virtual_key ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0 CHECK (blocked IN (0, 1));
ALTER TABLE virtual_key ADD COLUMN budgets TEXT NOT NULL DEFAULT '';
-- The one budget of former releases. Its columns stay, unused: a constraint of the table names them.
UPDATE virtual_key
    SET budgets = printf('usd=%d.%09d period=%s', budget / 1000000000, budget % 1000000000, budget_period)
    WHERE budget IS NOT NULL;
UPDATE virtual_key SET budget = NULL, budget_period = NULL;
