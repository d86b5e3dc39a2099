-- The tables that say what the journal adds up to are brought up to date for many rows at once. This is the
-- last row that they show; the rows after it are added up by whoever reads or writes next.
CREATE TABLE folded (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    seq  INTEGER NOT NULL
) STRICT;
INSERT INTO folded (only, seq) SELECT 1, coalesce(max(seq), 0) FROM entry;
