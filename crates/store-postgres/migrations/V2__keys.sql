-- Virtual keys (src/keys.rs), and whom they belong to (src/tenants.rs). No secret is here: `hash` is HMAC-SHA256 under a pepper that this database never sees.
CREATE TABLE virtual_key (
    seq            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order of creation
    id             bigint NOT NULL UNIQUE,                          -- the public id's 60 bits
    name           text NOT NULL,
    tenant         text NOT NULL,
    hash           bytea NOT NULL CHECK (length(hash) = 32),
    retired_hash   bytea CHECK (length(retired_hash) = 32),
    retired_until  bigint,                           -- times are microseconds since 1970
    models         text,                             -- lists have one entry per line; NULL here: all models
    rpm            bigint,
    tpm            bigint,
    usd_per_minute bigint,                           -- nano-dollars
    concurrency    bigint,
    budgets        text NOT NULL,
    ip_allow       text NOT NULL,
    referrers      text NOT NULL,
    tags           text NOT NULL,
    loss_policy    text,
    allow_store    boolean NOT NULL,
    prompt_cache   text,
    blocked        boolean NOT NULL,
    created        bigint NOT NULL,
    expires        bigint,
    revoked        bigint,
    CHECK ((retired_hash IS NULL) = (retired_until IS NULL))
);

-- Organisations and teams.
CREATE TABLE tenant (
    name           text COLLATE "C" PRIMARY KEY,
    models         text,                             -- as in virtual_key
    rpm            bigint,
    tpm            bigint,
    usd_per_minute bigint,
    concurrency    bigint,
    budgets        text NOT NULL,
    credit_limit   bigint,                           -- nano-dollars; NULL: no wallet
    blocked        boolean NOT NULL,
    created        bigint NOT NULL,
    expires        bigint
);

-- Raised by every change of a key or tenant, in the same transaction: all instances ask for it several times a second.
CREATE TABLE virtual_key_version (
    single  boolean PRIMARY KEY DEFAULT true CHECK (single),
    version bigint NOT NULL
);
INSERT INTO virtual_key_version (version) VALUES (0);
