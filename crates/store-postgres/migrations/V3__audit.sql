-- Administrative acts (src/audit_log.rs), as they were written down before they took effect. Nothing is ever deleted
-- here.
CREATE TABLE audit (
    seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      bigint NOT NULL,  -- microseconds since 1970
    actor   text NOT NULL,
    action  text NOT NULL,
    object  text NOT NULL,
    details text NOT NULL     -- name and value, each ended by a line end; neither can hold one
);
