-- Virtual keys (src/keys.rs). No secret is here: `hash` is HMAC-SHA256 under a pepper that this database never sees.
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
    budget         bigint,                           -- nano-dollars
    budget_period  text,
    ip_allow       text NOT NULL,
    referrers      text NOT NULL,
    tags           text NOT NULL,
    loss_policy    text,
    allow_store    boolean NOT NULL,
    prompt_cache   text,
    created        bigint NOT NULL,
    expires        bigint,
    revoked        bigint,
    CHECK ((retired_hash IS NULL) = (retired_until IS NULL)),
    CHECK ((budget IS NULL) = (budget_period IS NULL))
);

-- Raised by every change of a key, in the same transaction: all instances ask for it several times a second.
CREATE TABLE virtual_key_version (
    single  boolean PRIMARY KEY DEFAULT true CHECK (single),
    version bigint NOT NULL
);
INSERT INTO virtual_key_version (version) VALUES (0);
