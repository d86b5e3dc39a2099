-- The log of requests (src/request_log.rs).
CREATE TABLE request (
    seq    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- in the order in which instances wrote them
    id     text NOT NULL,        -- as the client sees it; may repeat
    at     bigint NOT NULL,      -- arrival, microseconds since 1970
    tenant text,                 -- NULL where no valid key was presented
    key    bigint,
    record text NOT NULL         -- JSON
);
CREATE INDEX request_by_id ON request (id, seq);
CREATE INDEX request_by_tenant ON request (tenant, seq);
CREATE INDEX request_by_key ON request (key, seq);
