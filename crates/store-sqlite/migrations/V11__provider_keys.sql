-- Providers' keys of tenants and of the installation (src/provider_keys.rs). `sealed` opens only under a master key that this file never sees.
CREATE TABLE provider_key (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of creation
    id          INTEGER NOT NULL UNIQUE,           -- the id's 60 bits
    owner       TEXT,                              -- NULL: the installation
    provider    TEXT NOT NULL,
    label       TEXT NOT NULL,
    weight      INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    sealed      BLOB,                              -- NULL once it is revoked
    created     INTEGER NOT NULL,                  -- times are microseconds since 1970
    rotated     INTEGER,
    revoked     INTEGER,
    CHECK ((sealed IS NULL) = (revoked IS NOT NULL))
) STRICT;

-- Raised by every change of a provider's key, in the same transaction: other processes ask for it.
CREATE TABLE provider_key_version (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO provider_key_version (only, version) VALUES (1, 0);

-- Whether a tenant's requests go out on provider keys of its own; NULL leaves it to its organisation.
ALTER TABLE tenant ADD COLUMN own_keys TEXT;
-- What it owes for those, where that is not as configured: "5% + 0.002/request".
ALTER TABLE tenant ADD COLUMN surcharge TEXT;
-- What it owes for the service each month, in nano-dollars.
ALTER TABLE tenant ADD COLUMN subscription INTEGER;
