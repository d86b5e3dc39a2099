-- How long prompts are cached that the client has not marked itself: `5m`, `1h`, or not at all.
ALTER TABLE virtual_key ADD COLUMN prompt_cache TEXT;
