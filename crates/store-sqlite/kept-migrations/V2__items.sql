-- What an answer's items are found by (src/kept.rs): tags that nobody can make without the gateway's secret, and
-- that are different for each tenant.
CREATE TABLE kept_item (
    item BLOB NOT NULL,
    seq  INTEGER NOT NULL, -- of the entry in `kept`
    PRIMARY KEY (item, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX kept_item_by_entry ON kept_item (seq);

CREATE TRIGGER kept_items_went AFTER DELETE ON kept BEGIN
    DELETE FROM kept_item WHERE seq = old.seq;
END;
