-- Labels that a provider must have to be sent anything of a key's, or of a tenant's keys: name=value,name=value.
ALTER TABLE virtual_key ADD COLUMN require TEXT NOT NULL DEFAULT '';
ALTER TABLE tenant ADD COLUMN require TEXT NOT NULL DEFAULT '';
