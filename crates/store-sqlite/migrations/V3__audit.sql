-- Administrative acts, as they were written down before they took effect. Nothing is ever deleted here.
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,  -- microseconds since the Unix epoch
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    object  TEXT    NOT NULL,
    details TEXT    NOT NULL   -- name and value, each ended by a line end; neither can hold one
) STRICT;
