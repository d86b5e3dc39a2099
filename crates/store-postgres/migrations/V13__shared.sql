-- By what a writer's process is known to be there: the name that it holds, and where that name means something
-- (src/ledger/presence.rs); and the server's process of the connection by which it gave its last sign of life.
-- NULL: nothing is known but its beats.
ALTER TABLE writer ADD COLUMN host text, ADD COLUMN presence text, ADD COLUMN backend integer;

-- Alerts of budgets (src/alerts.rs), each once for its threshold, budget and window, by its id; and which webhooks are
-- yet to be told, by a hash of their address.
CREATE TABLE alert (
    id      text PRIMARY KEY,
    at      bigint NOT NULL,  -- microseconds since 1970
    ends_at bigint,           -- the end of the window, if it has one
    body    text NOT NULL
);

CREATE TABLE alert_waiting (
    webhook bigint NOT NULL,
    alert   text NOT NULL REFERENCES alert ON DELETE CASCADE,
    PRIMARY KEY (webhook, alert)
);
CREATE INDEX alert_waiting_by_alert ON alert_waiting (alert);

-- The updates of prices (src/price_updates.rs), as one text, and the one before it. `version` grows with each change.
-- Empty: there are none; NULL: there was never another.
CREATE TABLE price_updates (
    single   boolean PRIMARY KEY DEFAULT true CHECK (single),
    version  bigint NOT NULL,
    present  text NOT NULL,
    previous text
);
INSERT INTO price_updates (version, present) VALUES (0, '');
