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
