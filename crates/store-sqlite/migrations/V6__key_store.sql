-- Whether answers may be kept beyond their request.
ALTER TABLE virtual_key ADD COLUMN allow_store INTEGER NOT NULL DEFAULT 1 CHECK (allow_store IN (0, 1));
