//! Every key that a configuration file may have. The parser refuses all others, and a test holds
//! `docs/configuration.md` to this list.

/// A table of the file.
#[derive(Debug)]
pub struct Section {
    /// How the file names it: `server`, `providers.NAME`.
    pub name: &'static str,
    /// What it may hold.
    pub keys: &'static [Key],
}

/// A key of a [`Section`].
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// A value as one would write it: the hint of many messages.
    pub example: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
}

const fn key(name: &'static str, example: &'static str) -> Key {
    Key { name, example, secret: false }
}

const fn secret(name: &'static str, example: &'static str) -> Key {
    Key { name, example, secret: true }
}

impl Section {
    /// The key of that name, if the section has it.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// The file itself.
pub(crate) static ROOT: Section = Section {
    name: "",
    keys: &[
        key("server", "[server]"),
        key("admins", "[admins.acme]"),
        key("storage", "[storage]"),
        key("vault", "[vault]"),
        key("providers", "[providers.openai]"),
        key("models", "[models.support]"),
        key("residency", "[residency]"),
        key("limits", "[limits]"),
        key("media", "[media]"),
        key("prices", "[prices]"),
        key("count_alarm", "[count_alarm]"),
        key("responses", "[responses]"),
        key("idempotency", "[idempotency]"),
        key("alerts", "[alerts]"),
        key("log", "[log]"),
    ],
};

/// `[server]`
pub(crate) static SERVER: Section = Section {
    name: "server",
    keys: &[
        key("listen", r#""127.0.0.1:8080""#),
        key("admin_listen", r#""127.0.0.1:8081""#),
        secret("admin_token", r#""${WEIGHBRIDGE_ADMIN_TOKEN}""#),
        secret("key_pepper", r#""${file:/run/secrets/key_pepper}""#),
        key("trusted_proxies", r#"["10.0.0.0/8"]"#),
        key("loss_policy", r#""warn""#),
        key("metrics", r#""/metrics""#),
        key("workers", "4"),
        key("drain_timeout", r#""30s""#),
        key("body_timeout", r#""60s""#),
        key("write_timeout", r#""60s""#),
        key("stream_keep_alive", r#""15s""#),
        key("on_disconnect", r#""cancel""#),
        key("disconnected_timeout", r#""60s""#),
        key("max_disconnected", "256"),
        key("max_body_bytes", "33554432"),
        key("max_native_bytes", "536870912"),
        key("max_answer_bytes", "67108864"),
        key("max_concurrent_requests", "10000"),
        key("max_attempts", "4"),
        key("max_retry_wait", r#""1s""#),
    ],
};

/// `[admins.NAME]`
pub(crate) static ADMIN: Section = Section {
    name: "admins.NAME",
    keys: &[secret("token", r#""${ACME_ADMIN_TOKEN}""#), key("tenant", r#""acme""#)],
};

/// `[storage]`
pub(crate) static STORAGE: Section = Section {
    name: "storage",
    keys: &[
        key("url", r#""sqlite:weighbridge.db""#),
        key("durability", r#""process""#),
        secret("redis", r#""rediss://localhost:6379""#),
        key("redis_ca", r#""/etc/weighbridge/redis-ca.pem""#),
        key("redis_timeout", r#""100ms""#),
        key("redis_sync", r#""60s""#),
    ],
};

/// `[vault]`
pub(crate) static VAULT: Section = Section {
    name: "vault",
    keys: &[
        secret("master_key", r#""${file:/run/secrets/vault_key}""#),
        secret("old_master_keys", r#"["${file:/run/secrets/former_vault_key}"]"#),
    ],
};

/// `[providers.NAME]`
pub(crate) static PROVIDER: Section = Section {
    name: "providers.NAME",
    keys: &[
        key("preset", r#""anthropic""#),
        key("protocol", r#""openai-chat""#),
        key("base_url", r#""https://api.openai.com/v1""#),
        key("path", r#""/chat/completions""#),
        key("stream_path", r#""/models/{+model}:streamGenerateContent?alt=sse""#),
        key("region", r#""eu-central-1""#),
        key("project", r#""my-project""#),
        key("auth", r#""bearer""#),
        secret("api_keys", r#"["${OPENAI_API_KEY}"]"#),
        key(
            "aws",
            r#"{ access_key_id = "${AWS_ACCESS_KEY_ID}", secret_access_key = "${AWS_SECRET_ACCESS_KEY}" }"#,
        ),
        key("gcp", r#"{ credentials = "${file:/run/secrets/gcp.json}" }"#),
        key("azure", r#"{ tenant_id = "…", client_id = "…", client_secret = "${AZURE_CLIENT_SECRET}" }"#),
        secret("headers", r#"{ "openai-organization" = "org-1" }"#),
        key("http", r#""auto""#),
        secret("proxy", r#""http://proxy.example.com:3128""#),
        key("ca", r#""/etc/weighbridge/company-ca.pem""#),
        key("client_certificate", r#""/etc/weighbridge/client.pem""#),
        key("client_key", r#""/run/secrets/client-key.pem""#),
        key("price_as", r#""openai""#),
        key("timeouts", r#"{ connect = "5s", total = "10m" }"#),
        key("health", r#"{ consecutive_failures = 5, cool_down = "1s" }"#),
        key("limits", "{ rpm = 500, tpm = 200000 }"),
        key("budgets", r#"["usd=1000 period=month"]"#),
        key("labels", r#"{ region = "eu", compliance = "gdpr, hipaa" }"#),
        key("native", r#""unmetered""#),
        key("native_paths", r#"["/files", "/batches"]"#),
    ],
};

/// `[providers.NAME.aws]`
pub(crate) static AWS: Section = Section {
    name: "providers.NAME.aws",
    keys: &[
        secret("access_key_id", r#""${AWS_ACCESS_KEY_ID}""#),
        secret("secret_access_key", r#""${AWS_SECRET_ACCESS_KEY}""#),
        secret("session_token", r#""${AWS_SESSION_TOKEN}""#),
        key("from", r#""instance""#),
        key("role_arn", r#""arn:aws:iam::123456789012:role/models""#),
        key("web_identity", r#""/var/run/secrets/eks.amazonaws.com/serviceaccount/token""#),
        secret("external_id", r#""${AWS_EXTERNAL_ID}""#),
        key("session_name", r#""weighbridge""#),
        key("sts_url", r#""https://sts.eu-central-1.amazonaws.com""#),
        key("metadata_url", r#""http://169.254.169.254""#),
    ],
};

/// `[[providers.NAME.api_keys]]`
pub(crate) static API_KEY: Section = Section {
    name: "providers.NAME.api_keys",
    keys: &[secret("key", r#""${OPENAI_API_KEY}""#), key("weight", "3")],
};

/// `[providers.NAME.gcp]`
pub(crate) static GCP: Section = Section {
    name: "providers.NAME.gcp",
    keys: &[
        secret("credentials", r#""${file:/run/secrets/gcp.json}""#),
        key("from", r#""metadata""#),
        key("token_url", r#""https://oauth2.googleapis.com/token""#),
        key("metadata_url", r#""http://metadata.google.internal""#),
    ],
};

/// `[providers.NAME.azure]`
pub(crate) static AZURE: Section = Section {
    name: "providers.NAME.azure",
    keys: &[
        key("tenant_id", r#""00000000-0000-0000-0000-000000000000""#),
        key("client_id", r#""00000000-0000-0000-0000-000000000000""#),
        secret("client_secret", r#""${AZURE_CLIENT_SECRET}""#),
        secret("certificate", r#""${file:/run/secrets/entra.pem}""#),
        key("token_file", r#""/var/run/secrets/azure/tokens/azure-identity-token""#),
        key("from", r#""managed-identity""#),
        key("authority", r#""https://login.microsoftonline.com""#),
        key("scope", r#""https://cognitiveservices.azure.com/.default""#),
        key("metadata_url", r#""http://169.254.169.254""#),
    ],
};

/// `[providers.NAME.timeouts]`
pub(crate) static TIMEOUTS: Section = Section {
    name: "providers.NAME.timeouts",
    keys: &[
        key("connect", r#""5s""#),
        key("first_byte", r#""60s""#),
        key("first_token", r#""30s""#),
        key("idle", r#""60s""#),
        key("total", r#""10m""#),
    ],
};

/// `[providers.NAME.health]`
pub(crate) static HEALTH: Section = Section {
    name: "providers.NAME.health",
    keys: &[
        key("consecutive_failures", "5"),
        key("minimum_volume", "20"),
        key("failure_percent", "50"),
        key("window", r#""10s""#),
        key("cool_down", r#""1s""#),
        key("max_cool_down", r#""60s""#),
        key("jitter_percent", "10"),
        key("max_retry_after", r#""1h""#),
        key("limits_per_key", "true"),
        key("probe", r#""/models""#),
        key("probe_every", r#""10s""#),
    ],
};

/// `[providers.NAME.limits]`
pub(crate) static PROVIDER_LIMITS: Section = Section { name: "providers.NAME.limits", keys: &RATES };

/// `[models.NAME.limits]`
pub(crate) static MODEL_LIMITS: Section = Section { name: "models.NAME.limits", keys: &RATES };

static RATES: [Key; 4] =
    [key("rpm", "500"), key("tpm", "200000"), key("usd_per_minute", r#""0.50""#), key("concurrency", "20")];

/// `[limits]`
pub(crate) static LIMITS: Section =
    Section { name: "limits", keys: &[key("budgets", r#"["usd=5000 period=month zone=Europe/Berlin"]"#)] };

/// `[models.NAME]`
pub(crate) static MODEL: Section = Section {
    name: "models.NAME",
    keys: &[
        key("strategy", r#"["sticky", "least-latency"]"#),
        key("affinity", r#""prefix""#),
        key("sticky_ttl", r#""5m""#),
        key("sticky_load_percent", "125"),
        key("latency_of", r#""first-token""#),
        key("targets", r#"[{ model = "openai/gpt-4o-mini", weight = 3 }]"#),
        key("fallbacks", r#"["claude/claude-haiku-4-5"]"#),
        key("baseline", r#""openai/gpt-4o""#),
        key("fallback_on_error", "false"),
        key("fallback_on_rate_limit", "false"),
        key("fallback_on_context", "true"),
        key("fallback_on_content", "true"),
        key("max_outliers_percent", "50"),
        key("hedge", r#"{ after = "p95", most = 1 }"#),
        key("shadow", r#"{ to = "openai/gpt-4o", share = "5%" }"#),
        key("resume", "false"),
        key("on_disconnect", r#""drain""#),
        key("limits", "{ concurrency = 20 }"),
        key("budgets", r#"["usd=100 period=week"]"#),
        key("aliases", r#"["gpt-4o-2024-08-06"]"#),
        key("rules", r#"[{ name = "easy", when = { difficulty_below = 400 }, use = "small" }]"#),
        key("require", r#"{ region = "eu" }"#),
    ],
};

/// `[models.NAME.hedge]`
pub(crate) static HEDGE: Section =
    Section { name: "models.NAME.hedge", keys: &[key("after", r#""p95""#), key("most", "1")] };

/// `[models.NAME.shadow]`
pub(crate) static SHADOW: Section = Section {
    name: "models.NAME.shadow",
    keys: &[key("to", r#""openai/gpt-4o""#), key("share", r#""5%""#), key("most", "16")],
};

/// An entry of `targets`.
pub(crate) static TARGET: Section = Section {
    name: "models.NAME.targets",
    keys: &[key("model", r#""openai/gpt-4o-mini""#), key("weight", "3")],
};

/// An entry of `rules`.
pub(crate) static RULE: Section = Section {
    name: "models.NAME.rules",
    keys: &[
        key("name", r#""easy""#),
        key("when", "{ difficulty_below = 400 }"),
        key("use", r#""small""#),
        key("refuse", r#""Prompts of this length are not served.""#),
    ],
};

/// Its `when`.
pub(crate) static WHEN: Section = Section {
    name: "models.NAME.rules.when",
    keys: &[
        key("keys", r#"["01hx3z7k9q2m"]"#),
        key("tenants", r#"["acme/research"]"#),
        key("tags", r#"{ env = "test" }"#),
        key("headers", r#"{ "x-app" = "mobile" }"#),
        key("tokens_from", "1000"),
        key("tokens_below", "100000"),
        key("context_from", "1000"),
        key("context_below", "100000"),
        key("tools", "true"),
        key("images", "false"),
        key("audio", "false"),
        key("documents", "false"),
        key("json_schema", "true"),
        key("difficulty_from", "400"),
        key("difficulty_below", "400"),
        key("tasks", r#"["summary", "translation"]"#),
    ],
};

/// `[residency]`
pub(crate) static RESIDENCY: Section = Section {
    name: "residency",
    keys: &[key("rules", r#"[{ tenants = ["acme"], require = { region = "eu" } }]"#)],
};

/// An entry of its `rules`.
pub(crate) static RESIDENCY_RULE: Section = Section {
    name: "residency.rules",
    keys: &[
        key("keys", r#"["01hx3z7k9q2m"]"#),
        key("tenants", r#"["acme"]"#),
        key("require", r#"{ region = "eu" }"#),
    ],
};

/// `[media]`
pub(crate) static MEDIA: Section =
    Section { name: "media", keys: &[key("fetch", "true"), key("allowed_networks", r#"["10.20.0.0/16"]"#)] };

/// `[prices]`
pub(crate) static PRICES: Section = Section {
    name: "prices",
    keys: &[
        key("files", r#"["prices.toml"]"#),
        key("builtin", "true"),
        key("unknown_model", r#""refuse""#),
        key("overrides", r#"[{ provider = "openai", model = "gpt-4o-mini", rates = { input = "0.12" } }]"#),
        key("updates", r#""weighbridge.prices.toml""#),
        key("refresh", "[prices.refresh]"),
        key("markup", "[prices.markup]"),
        key("surcharge", "[prices.surcharge]"),
    ],
};

/// `[prices.markup]`
pub(crate) static MARKUP: Section = Section {
    name: "prices.markup",
    keys: &[
        PERCENT,
        PER_REQUEST,
        PER_PROMPT,
        PER_ANSWER,
        key("rules", r#"[{ tenant = "acme", percent = "10" }]"#),
    ],
};

/// `[prices.surcharge]`
pub(crate) static SURCHARGE: Section = Section { name: "prices.surcharge", keys: MARKUP.keys };

/// An entry of its `rules`.
pub(crate) static SURCHARGE_RULE: Section =
    Section { name: "prices.surcharge.rules", keys: MARKUP_RULE.keys };

/// An entry of `rules`.
pub(crate) static MARKUP_RULE: Section = Section {
    name: "prices.markup.rules",
    keys: &[
        key("tenant", r#""acme""#),
        key("model", r#""openai/*""#),
        PERCENT,
        PER_REQUEST,
        PER_PROMPT,
        PER_ANSWER,
    ],
};

const PERCENT: Key = key("percent", r#""20""#);
const PER_REQUEST: Key = key("per_request_usd", r#""0.001""#);
const PER_PROMPT: Key = key("per_million_prompt_usd", r#""0.10""#);
const PER_ANSWER: Key = key("per_million_answer_usd", r#""0.20""#);

/// An entry of `overrides`.
pub(crate) static PRICE_OVERRIDE: Section = Section {
    name: "prices.overrides",
    keys: &[
        key("provider", r#""openai""#),
        key("model", r#""gpt-4o-mini""#),
        key("tier", r#""standard""#),
        key("above", "200000"),
        key("variant", r#""1024x1024/high""#),
        key("from", r#""2026-12-01""#),
        key("source", r#""contract of November 2026""#),
        key("rates", r#"{ input = "0.12", output = "0.48" }"#),
    ],
};

/// `[prices.refresh]`
pub(crate) static PRICE_REFRESH: Section = Section {
    name: "prices.refresh",
    keys: &[
        key("url", r#""https://example.com/prices.json""#),
        key("every", r#""24h""#),
        key("max_jump", r#""2""#),
        key("allowed_networks", r#"["10.20.0.0/16"]"#),
    ],
};

/// `[count_alarm]`
pub(crate) static COUNT_ALARM: Section = Section {
    name: "count_alarm",
    keys: &[key("enabled", "true"), key("ratio", "4"), key("minimum", "5000")],
};

/// `[responses]`
pub(crate) static RESPONSES: Section = Section {
    name: "responses",
    keys: &[key("store", "true"), key("ttl", r#""30d""#), key("max_bytes", "1073741824")],
};

/// `[idempotency]`
pub(crate) static IDEMPOTENCY: Section = Section {
    name: "idempotency",
    keys: &[key("enabled", "true"), key("window", r#""24h""#), key("max_body", "8388608")],
};

/// `[alerts]`
pub(crate) static ALERTS: Section = Section {
    name: "alerts",
    keys: &[
        secret("webhooks", r#"["https://example.com/hooks/budgets"]"#),
        secret("secret", r#""${file:/run/secrets/webhooks}""#),
        key("allowed_networks", r#"["10.20.0.0/16"]"#),
    ],
};

/// `[log]`
pub(crate) static LOG: Section = Section {
    name: "log",
    keys: &[key("level", r#""info""#), key("format", r#""json""#), key("requests", "true")],
};

/// Every section, in the order of the documentation.
pub static SECTIONS: [&Section; 36] = [
    &ROOT,
    &SERVER,
    &ADMIN,
    &STORAGE,
    &VAULT,
    &PROVIDER,
    &AWS,
    &API_KEY,
    &GCP,
    &AZURE,
    &TIMEOUTS,
    &HEALTH,
    &PROVIDER_LIMITS,
    &MODEL,
    &TARGET,
    &RULE,
    &WHEN,
    &HEDGE,
    &SHADOW,
    &MODEL_LIMITS,
    &RESIDENCY,
    &RESIDENCY_RULE,
    &LIMITS,
    &MEDIA,
    &PRICES,
    &PRICE_OVERRIDE,
    &PRICE_REFRESH,
    &MARKUP,
    &MARKUP_RULE,
    &SURCHARGE,
    &SURCHARGE_RULE,
    &COUNT_ALARM,
    &RESPONSES,
    &IDEMPOTENCY,
    &ALERTS,
    &LOG,
];
