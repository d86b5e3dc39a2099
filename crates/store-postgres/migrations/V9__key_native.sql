-- Whether a key may make native calls.
ALTER TABLE virtual_key ADD COLUMN native boolean NOT NULL DEFAULT false;
