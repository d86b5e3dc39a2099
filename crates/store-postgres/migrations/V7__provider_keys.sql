-- Providers' keys of tenants and of the installation (src/provider_keys.rs). `sealed` opens only under a master key that this database never sees.
CREATE TABLE provider_key (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order of creation
    id          bigint NOT NULL UNIQUE,                          -- the id's 60 bits
    owner       text,                                            -- NULL: the installation
    provider    text NOT NULL,
    label       text NOT NULL,
    weight      bigint NOT NULL,
    fingerprint text NOT NULL,
    sealed      bytea,                                           -- NULL once it is revoked
    created     bigint NOT NULL,                                 -- times are microseconds since 1970
    rotated     bigint,
    revoked     bigint,
    CHECK ((sealed IS NULL) = (revoked IS NOT NULL))
);

-- Raised by every change of a provider's key, in the same transaction: all instances ask for it.
CREATE TABLE provider_key_version (
    single  boolean PRIMARY KEY DEFAULT true CHECK (single),
    version bigint NOT NULL
);
INSERT INTO provider_key_version (version) VALUES (0);

-- Whether a tenant's requests go out on provider keys of its own; NULL leaves it to its organisation.
ALTER TABLE tenant ADD COLUMN own_keys text;
-- What it owes for those, where that is not as configured: "5% + 0.002/request".
ALTER TABLE tenant ADD COLUMN surcharge text;
-- What it owes for the service each month, in nano-dollars.
ALTER TABLE tenant ADD COLUMN subscription bigint;
