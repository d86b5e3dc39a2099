-- What else is counted.
ALTER TABLE rollup ADD COLUMN tool_prompt  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup ADD COLUMN output_image INTEGER NOT NULL DEFAULT 0;
