-- Whether a key may make native calls.
ALTER TABLE virtual_key ADD COLUMN native INTEGER NOT NULL DEFAULT 0 CHECK (native IN (0, 1));
