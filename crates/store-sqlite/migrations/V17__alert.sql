-- Alerts of budgets (src/alerts.rs), each once for its threshold, budget and window, by its id; and which webhooks are
-- yet to be told, by a hash of their address.
CREATE TABLE alert (
    id    TEXT    PRIMARY KEY,
    at    INTEGER NOT NULL,  -- microseconds since the Unix epoch
    until INTEGER,           -- the end of the window, if it has one
    body  TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE alert_waiting (
    webhook INTEGER NOT NULL,
    alert   TEXT    NOT NULL,
    PRIMARY KEY (webhook, alert)
) STRICT, WITHOUT ROWID;
