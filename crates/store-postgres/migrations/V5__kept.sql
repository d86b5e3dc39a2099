-- Kept answers (src/kept.rs). `sealed` opens only with a secret that this database never sees.
CREATE TABLE kept (
    seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order in which they came
    tenant  text NOT NULL,
    purpose text NOT NULL,
    id      text NOT NULL,
    expires bigint NOT NULL,                                 -- microseconds since 1970
    bytes   bigint NOT NULL,                                 -- what it counts against the limits
    sealed  bytea NOT NULL,
    UNIQUE (tenant, purpose, id)
);
-- Sealed bytes do not get shorter.
ALTER TABLE kept ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX kept_by_end ON kept (expires, seq);
CREATE INDEX kept_by_tenant ON kept (tenant, expires, seq);

-- What an answer's items are found by: tags that nobody can make without the gateway's secret, and that are
-- different for each tenant.
CREATE TABLE kept_item (
    item bytea NOT NULL,
    seq  bigint NOT NULL REFERENCES kept ON DELETE CASCADE,
    PRIMARY KEY (item, seq)
);
CREATE INDEX kept_item_by_entry ON kept_item (seq);

-- What each tenant holds, kept right by the two triggers in the transaction that changes it.
CREATE TABLE kept_share (
    tenant  text PRIMARY KEY,
    entries bigint NOT NULL,
    bytes   bigint NOT NULL
);

CREATE FUNCTION kept_came() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO kept_share (tenant, entries, bytes) VALUES (new.tenant, 1, new.bytes)
        ON CONFLICT (tenant) DO UPDATE SET entries = kept_share.entries + 1, bytes = kept_share.bytes + new.bytes;
    RETURN NULL;
END $$;
CREATE TRIGGER kept_came AFTER INSERT ON kept FOR EACH ROW EXECUTE FUNCTION kept_came();

CREATE FUNCTION kept_went() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE kept_share SET entries = entries - 1, bytes = bytes - old.bytes WHERE tenant = old.tenant;
    DELETE FROM kept_share WHERE tenant = old.tenant AND entries = 0;
    RETURN NULL;
END $$;
CREATE TRIGGER kept_went AFTER DELETE ON kept FOR EACH ROW EXECUTE FUNCTION kept_went();
