//! What people see of their mistakes, as snapshots, and what they never see: a secret.

#![expect(clippy::panic, reason = "a test fails by panicking")]

mod fixed;

use std::path::Path;

use fixed::{Fixed, NOTHING, read};
use proptest::prelude::*;
use weighbridge_config::{ConfigError, Process, SECTIONS, load_file};

/// A provider, so that only the mistake in question is reported.
const PROVIDER: &str = "[providers.claude]\npreset = \"anthropic\"\napi_keys = [\"k\"]\n";

fn error(text: &str, surroundings: &Fixed) -> ConfigError {
    read(text, surroundings).err().unwrap_or_else(|| panic!("the file should be wrong:\n{text}"))
}

/// The report on a file that has a right provider at its end.
fn report(text: &str) -> String {
    error(&format!("{text}\n{PROVIDER}"), &NOTHING).to_string()
}

/// Only the titles, for tables of small mistakes.
fn titles(texts: &[&str]) -> String {
    let all: Vec<String> = texts
        .iter()
        .map(|text| {
            let error = error(&format!("{text}\n{PROVIDER}"), &NOTHING);
            let line = |p: &weighbridge_config::Problem| {
                let (line, column) = p.position.unwrap_or_default();
                format!("  {line}:{column} {}\n      {}\n", p.message, p.hint.as_deref().unwrap_or("-"))
            };
            format!("{text}\n{}", error.problems().iter().map(line).collect::<String>())
        })
        .collect();
    all.join("\n")
}

#[test]
fn unknown_keys() {
    insta::assert_snapshot!(report(
        "listen = \"127.0.0.1:80\"\n[server]\nlisen = \"127.0.0.1:80\"\ncolour = 1\nurl = \"x\"\n[sever]\n[log]\nadmin_tokn = \"geheim\""
    ));
}

#[test]
fn wrong_types() {
    insta::assert_snapshot!(titles(&[
        "server = 1",
        "providers = [1]",
        "models.x = \"openai/gpt-4o\"",
        "[server]\nlisten = 8080",
        "[server]\nworkers = \"4\"",
        "[server]\nworkers = 2.5",
        "[server]\nworkers = -1",
        "[server]\ntrusted_proxies = \"10.0.0.0/8\"",
        "[server]\ntrusted_proxies = [1, \"10.0.0.0/8\", true]",
        "[server]\ndrain_timeout = 30",
        "[log]\nrequests = \"yes\"",
        "[providers.x]\npreset = \"anthropic\"\napi_keys = \"geheim\"",
        "[providers.x]\npreset = \"anthropic\"\napi_keys = []\nheaders = [\"a: b\"]",
        "[models.x]\ntargets = \"claude/m\"",
        "[models.x]\ntargets = [1979-05-27]",
    ]));
}

#[test]
fn addresses_and_durations() {
    insta::assert_snapshot!(titles(&[
        "[server]\nlisten = \"localhost:8080\"",
        "[server]\nlisten = \":8080\"",
        "[server]\nlisten = \"127.0.0.1\"",
        "[server]\nlisten = \"example.com:80\"",
        "[server]\ntrusted_proxies = [\"10.1.2.3/8\", \"10.0.0.0/33\"]",
        "[server]\ndrain_timeout = \"30\"\nbody_timeout = \"2d\"\nwrite_timeout = \"0s\"",
        "[server]\nmax_body_bytes = 10\nmax_attempts = 0",
    ]));
}

#[test]
fn the_admin_api() {
    insta::assert_snapshot!(titles(&[
        "[server]\nadmin_listen = \"127.0.0.1:8081\"",
        "[server]\nadmin_token = \"short\"",
        "[server]\nadmin_token = \"has a space and is long\"",
        "[server]\nadmin_token = \"0123456789abcdef\"\nadmin_listen = \"0.0.0.0:8081\"",
        "[server]\nadmin_token = \"0123456789abcdef\"\nadmin_listen = \"127.0.0.1:8080\"",
        "[server]\nkey_pepper = \"salt\"",
    ]));
}

#[test]
fn references() {
    let files = Fixed { variables: &[("WRONG", "geheim"), ("EMPTY", "")], files: &[] };
    let text = r#"
[server]
listen = "${WRONG}"
admin_token = "${WEIGHBRIDGE_TOKEN}"
key_pepper = "${file:/run/secrets/pepper}"
drain_timeout = "${"
body_timeout = "${1x}"
[providers.openai]
api_keys = ["${OPENAI_API_KEY}", "${EMPTY}", "two words"]
"#;
    insta::assert_snapshot!(error(text, &files).to_string());
}

#[test]
fn storage_and_log() {
    insta::assert_snapshot!(titles(&[
        "[storage]\nurl = \"postgres://weighbridge@db/weighbridge\"",
        "[storage]\nurl = \"postgres:weighbridge\"",
        "[storage]\nurl = \"redis://db\"",
        "[storage]\nurl = \"sqlite:///var/lib/weighbridge.db\"",
        "[storage]\nurl = \"sqlite:\"",
        "[storage]\nurl = \"weighbridge.db\"",
        "[storage]\nurl = \"memory:\"\ndurability = \"fsync\"",
        "[storage]\ndurability = \"fsink\"",
        "[storage]\nredis = \"rediss://cache.example/#insecure\"",
        "[storage]\nredis = \"redis://cache.example\"\nredis_ca = \"ca.pem\"",
        "[log]\nlevel = \"wran\"\nformat = \"xml\"",
    ]));
}

#[test]
fn a_vault() {
    let long = "0123456789abcdef0123456789abcdef";
    for (text, expected) in [
        ("[vault]\nmaster_key = \"geheim\"".to_owned(), "fewer than 32 bytes"),
        (format!("[vault]\nmaster_key = \"{long}\"\nold_master_keys = [\"geheim\"]"), "fewer than 32 bytes"),
        (
            format!("[vault]\nold_master_keys = [\"{long}\"]"),
            "`vault.old_master_keys` needs `vault.master_key`",
        ),
    ] {
        let files = Fixed { variables: &[("OPENAI_API_KEY", "k")], files: &[] };
        let shown = error(&text, &files).to_string();
        assert!(shown.contains(expected) && !shown.contains("geheim") && !shown.contains(long), "{shown}");
    }
}

#[test]
fn providers() {
    insta::assert_snapshot!(titles(&[
        "[providers.opnai]\napi_keys = [\"k\"]",
        "[providers.mine]\nbase_url = \"http://localhost:8000/v1\"",
        "[providers.mine]\npreset = \"openai-compatible\"",
        "[providers.mine]\nprotocol = \"openai-chat\"",
        "[providers.mine]\nprotocol = \"openai\"\nbase_url = \"http://localhost:8000/v1\"",
        "[providers.x]\npreset = \"antropic\"\napi_keys = [\"k\"]",
        "[providers.x]\npreset = \"anthropic\"\nprotocol = \"openai-chat\"\napi_keys = [\"k\"]",
        "[providers.x]\npreset = \"anthropic\"",
        "[providers.\"a/b\"]\npreset = \"anthropic\"\napi_keys = [\"k\"]",
        "[providers.x]\npreset = \"anthropic\"\nauth = \"basic\"\npath = \"v1/messages\"\napi_keys = [\"k\"]",
        "[providers.x]\npreset = \"anthropic\"\nbase_url = \"https://api.anthropic.com/v1\"\napi_keys = [\"k\"]",
        "[providers.x]\npreset = \"openai\"\nbase_url = \"api.openai.com/v1\"\napi_keys = [\"k\"]",
        "[providers.x]\npreset = \"openai\"\nbase_url = \"https://me:geheim@example.com\"\napi_keys = [\"k\"]",
        "[providers.x]\npreset = \"openai\"\nbase_url = \"https://example.com?a=b\"\napi_keys = [\"k\"]",
        "[providers.x]\npreset = \"openai\"\napi_keys = [\"\", \"a b\"]",
        "[providers.x]\npreset = \"openai\"\napi_keys = [\"k\"]\nheaders = { authorization = \"geheim\", \"a b\" = \"1\", c = \"\\n\" }",
        "[providers.x]\npreset = \"openai\"\napi_keys = [\"k\"]\ntimeouts = { connect = \"2m\", total = \"1m\", idel = \"1s\" }",
    ]));
}

#[test]
fn models() {
    insta::assert_snapshot!(titles(&[
        "[models.m]",
        "[models.m]\ntargets = []",
        "[models.m]\ntargets = [{ model = \"claude/a\", weight = 0 }]",
        "[models.m]\ntargets = [\"cluade/a\"]",
        "[models.m]\ntargets = [\"mistral/a\"]",
        "[models.m]\ntargets = [\"gpt-4o\"]",
        "[models.m]\ntargets = [\"claude/\"]",
        "[models.m]\ntargets = [{ weight = 1 }]",
        "[models.m]\ntargets = [{ model = \"claude/a\", wieght = 2 }]",
        "[models.m]\ntargets = [{ model = \"claude/a\", weight = 1.5 }]",
        "[models.m]\ntargets = [\"claude/a\", \"claude/a\"]",
        "[models.m]\ntargets = [\"claude/a\"]\nfallbacks = [\"claude/a\"]",
        "[models.m]\ntargets = [\"claude/a\"]\nfallbacks = [{ model = \"claude/b\", weight = 2 }]",
        "[models.m]\ntargets = [\"claude/a\"]\nstrategy = \"least-latancy\"",
        "[models.m]\ntargets = [\"claude/a\"]\nstrategy = []",
        "[models.m]\ntargets = [\"claude/a\"]\nstrategy = [\"sticky\", 3]",
        "[models.m]\ntargets = [\"claude/a\"]\nstrategy = [\"sticky\", \"sticky\"]",
        "[models.m]\ntargets = [\"claude/a\"]\nstrategy = [\"random\", \"least-busy\"]",
        "[models.m]\ntargets = [\"claude/a\"]\nstrategy = [\"split\", \"sticky\"]",
        "[models.m]\ntargets = [\"claude/a\"]\nstrategy = \"split\"\naffinity = \"header:a b\"",
        "[models.m]\ntargets = [\"claude/a\"]\nstrategy = \"sticky\"\nsticky_ttl = \"2d\"\nsticky_load_percent = 99",
        "[models.m]\ntargets = [\"claude/a\"]\naffinity = \"key\"\nsticky_ttl = \"5m\"\nsticky_load_percent = 125\nlatency_of = \"answer\"",
        "[models.m]\ntargets = [\"n\"]\n[models.n]\ntargets = [\"claude/a\"]",
        "[models.support]\ntargets = [\"claude/a\"]\n[models.n]\ntargets = [\"claude/b\"]\nfallbacks = [\"suport\"]",
        "[models.\"claude/x\"]\ntargets = [\"claude/a\"]",
        "[models.\"a b\"]\ntargets = [\"claude/a\"]",
    ]));
}

#[test]
fn cyclic_fallbacks() {
    insta::assert_snapshot!(report(
        r#"
[models.a]
targets = ["claude/1"]
fallbacks = ["b"]
[models.b]
targets = ["claude/2"]
fallbacks = ["claude/3", "c"]
[models.c]
targets = ["claude/4"]
fallbacks = ["a", "c"]
[models.d]
targets = ["claude/5"]
fallbacks = ["a"]
"#
    ));
}

#[test]
fn price_files() {
    let files = Fixed {
        variables: &[],
        files: &[(
            "/etc/wb/own.toml",
            "provider = \"own\"\n[[price]]\nmodels = [\"m\"]\nrates = [{ input = 1.5 }]\n",
        )],
    };
    let text =
        format!("[prices]\nfiles = [\"own.toml\", \"missing.toml\"]\nunknown_model = \"free\"\n{PROVIDER}");
    insta::assert_snapshot!(error(&text, &files).to_string());
}

#[test]
fn prices_of_ones_own() {
    let text = format!(
        "[storage]\nurl = \"memory:\"\n[prices]\nunknown_model = {{ input = \"1\" }}\n\
         overrides = [\"gpt-4o\", {{ provider = \"openai\" }}]\n\
         [prices.refresh]\nevery = \"1s\"\nmax_jump = \"0.5\"\nurl = \"ftp://x\"\n{PROVIDER}"
    );
    insta::assert_snapshot!(error(&text, &NOTHING).to_string());
    let text = "[[prices.overrides]]\nprovider = \"openai\"\nmodel = \"gpt-4o\"\nrates = { input = \"-1\", output = \"1\", brot = \"1\" }\n\
         [[prices.overrides]]\nprovider = \"openai\"\nmodel = \"gpt-4o\"\nabove = 7\nrates = { input = \"1\" }\n\
         [[prices.overrides]]\nmodel = \"gpt-4o\"\ntier = \"turbo\"\nrates = { input = 1.5 }\n\
         [prices.refresh]\n\
         [providers.openai]\napi_keys = []\nprice_as = \"openai@moon\"\n";
    insta::assert_snapshot!(error(text, &NOTHING).to_string());
}

#[test]
fn credentials() {
    const BEDROCK: &str = "[providers.bedrock]\nregion = \"eu-central-1\"\n";
    const AZURE: &str = "[providers.azure]\nbase_url = \"https://a.test\"\n";
    let bedrock = |aws: &str| format!("{BEDROCK}aws = {{ {aws} }}");
    let azure = |azure: &str| format!("{AZURE}azure = {{ {azure} }}");
    let gcp =
        |gcp: &str| format!("[providers.vertex]\nregion = \"global\"\nproject = \"p\"\ngcp = {{ {gcp} }}");
    let files = [
        "[providers.openai]\napi_keys = [{ weight = 3 }, { key = \"\" }, { key = \"k\", weight = -1, wieght = 1 }, 7]".to_owned(),
        "[providers.openai]\napi_keys = [\"k\"]\nauth = \"qurey\"".to_owned(),
        bedrock("access_key_id = \"geheim\""),
        bedrock("from = \"instanz\""),
        bedrock("from = \"environment\""),
        bedrock("from = \"instance\", access_key_id = \"geheim\", metadata_url = \"ftp://x\""),
        bedrock("web_identity = \"/run/token\""),
        bedrock("web_identity = \"/run/token\", role_arn = \"models\", external_id = \"geheim\""),
        bedrock("from = \"container\", metadata_url = \"http://keys.example/k\""),
        // No role is asked for, so that nobody asks for one anywhere, or under any name.
        bedrock(
            "from = \"instance\", session_token = \"geheim\", session_name = \"gateway-1\", sts_url = \"https://sts.test\"",
        ),
        "[providers.mine]\npreset = \"bedrock\"\nbase_url = \"https://b.test\"\naws = { from = \"instance\" }".to_owned(),
        gcp("from = \"file\""),
        gcp("credentials = \"geheim\""),
        gcp("credentials = \"{}\", metadata_url = \"http://x\""),
        gcp("from = \"environment\""),
        azure("tenant_id = \"t\""),
        azure("tenant_id = \"t\", client_id = \"c\", client_secret = \"geheim\", token_file = \"/run/token\""),
        azure("tenant_id = \"t\", client_id = \"c\", certificate = \"geheim\""),
        azure("from = \"managed-identity\", client_secret = \"geheim\""),
        azure("from = \"environment\""),
        azure("tenant_id = \"t\", client_id = \"c\", client_secret = \"geheim\", authority = \"login\""),
    ];
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    for file in &files {
        assert!(!error(file, &NOTHING).to_string().contains("geheim"), "{file}");
    }
    insta::assert_snapshot!(titles(&files));
}

#[test]
fn no_toml() {
    insta::assert_snapshot!(report(
        "[server]\nlisten = \"127.0.0.1:1\nadmin_token = geheim\n[server]\nx = [1,,"
    ));
}

#[test]
fn all_at_once() {
    let text = include_str!("every_key.toml");
    // Every value replaced by a date, which no key takes: each known key is read, and each is wrong.
    let wrong: String = text
        .lines()
        .map(|line| match line.split_once(" = ") {
            Some((key, _)) => format!("{key} = 1979-05-27\n"),
            None => format!("{line}\n"),
        })
        .collect();
    let messages: Vec<String> =
        error(&wrong, &NOTHING).problems().iter().map(|p| p.message.clone()).collect();
    let tables = [
        "server",
        "storage",
        "providers",
        "models",
        "prices",
        "refresh",
        "overrides",
        "markup",
        "count_alarm",
        "surcharge",
        "vault",
        "rules",
        "responses",
        "idempotency",
        "alerts",
        "log",
        "timeouts",
        "health",
        "hedge",
        "shadow",
        "aws",
        "gcp",
        "azure",
        "media",
        "limits",
        "admins",
        "residency",
        "when",
    ];
    for section in SECTIONS {
        for key in section.keys.iter().filter(|key| !tables.contains(&key.name)) {
            if section.name.ends_with("targets") || section.name.ends_with("api_keys") {
                continue; // `wrong_types` and `models` have these
            }
            let names: &[&str] = match section.name.split('.').next() {
                Some("models") => &["main"],
                // Not all kinds of credentials go together.
                Some("providers") => &["own", "pod", "machine", "cluster", "certified"],
                _ => &["own"],
            };
            let is_told = |name: &&str| {
                let path = section.name.replace("NAME", name);
                let start = format!("`{path}.{}` is a date", key.name);
                messages.iter().any(|message| message.starts_with(&start))
            };
            assert!(names.iter().any(is_told), "{}.{} in {messages:#?}", section.name, key.name);
        }
    }
}

#[test]
fn a_file_that_is_not_there() {
    let error = load_file(Path::new("/nonexistent/weighbridge.toml"), &Process).err().unwrap();
    assert!(error.to_string().contains("the configuration file cannot be read"), "{error}");
}

/// A file full of secrets, and values around it that mistakes can be made in.
const CANARIES: &str = r#"
[server]
listen = "127.0.0.1:8080"
admin_token = "CANARY-CANARY-CANARY"
key_pepper = "${TOKEN}"
workers = 4
[storage]
url = "memory:"
[prices]
builtin = false
[providers.claude]
preset = "anthropic"
api_keys = [
  "CANARY-1",
  "CANARY-2${TOKEN}",
]
headers = { "x-team" = "CANARY-3" }
[providers.other]
base_url = "https://user:CANARY@example.com/"
protocol = "openai-chat"
[models.m]
targets = [{ model = "claude/m", weight = 3 }]
"#;

const CANARY: Fixed = Fixed { variables: &[("TOKEN", "CANARY-CANARY-CANARY")], files: &[] };

fn shows_a_canary(text: &str) -> Option<String> {
    let report = read(text, &CANARY).err()?.to_string();
    report.contains("CANARY").then_some(report)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    /// Whatever single mistake is typed anywhere, no report shows a secret.
    #[test]
    fn no_mistake_shows_a_secret(at in 0..CANARIES.len(), cut in 0_usize..3, typed in "[\"'=,#${}\\[\\]\n a1]{0,2}") {
        let mut text = CANARIES.to_owned();
        let end = (at + cut).min(text.len());
        // A mistake within a canary makes another secret of it.
        if text[at.saturating_sub(6)..(end + 6).min(text.len())].contains("CANARY") {
            return Ok(());
        }
        text.replace_range(at..end, &typed);
        prop_assert_eq!(shows_a_canary(&text), None, "{}", text);
    }

}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "([a-z\\[\\]{}=\"'.,#$0-9 \n]|server|listen|targets|models|providers){0,60}") {
        if let Err(error) = read(&text, &NOTHING) {
            prop_assert!(!error.problems().is_empty());
            prop_assert!(!error.render(true).is_empty());
        }
    }
}

#[test]
fn health() {
    insta::assert_snapshot!(titles(&[
        "[providers.x]\npreset = \"openai\"\napi_keys = []\nhealth = { cool_down = \"2m\", failure_percent = 101 }",
        "[server]\nmax_retry_wait = \"never\"",
        "[providers.x]\npreset = \"openai\"\napi_keys = []\nhealth = { probe = \"models\" }",
        "[models.m]\ntargets = [\"claude/x\"]\nhedge = { after = \"p100\", most = 4 }\nresume = \"yes\"",
        "[models.m]\ntargets = [\"claude/x\"]\nshadow = { to = \"n\", share = \"0.55%\" }",
        "[models.m]\ntargets = [\"claude/x\"]\nshadow = { to = \"n\", share = \"1%\" }",
        "[models.m]\ntargets = [\"claude/x\"]\nshadow = { to = \"claude/y\" }",
    ]));
}

#[test]
fn rules_and_labels() {
    let rules = |rules: &str| {
        format!(
            "[models.big]\ntargets = [\"claude/a\"]\nrules = [{rules}]\n[models.small]\ntargets = [\"claude/b\"]"
        )
    };
    let circle = "[models.a]\ntargets = [\"claude/a\"]\nrules = [{ when = { tools = true }, use = \"b\" }]\n\
                  [models.b]\ntargets = [\"claude/b\"]\nrules = [{ when = { tools = false }, use = \"c\" }]\n\
                  [models.c]\ntargets = [\"claude/c\"]\nrules = [{ when = { images = true }, refuse = \"no\" }, { when = { images = false }, use = \"a\" }]";
    let texts = [
        rules("{ when = { difficulty_below = 400 }, use = \"smal\" }"),
        rules("{ when = { difficulty_below = 400 }, use = \"claude/b\" }"),
        rules("{ use = \"small\" }, { when = {}, use = \"small\" }"),
        rules("{ when = { tools = true } }, { when = { tools = true }, use = \"small\", refuse = \"no\" }"),
        rules("\"small\""),
        rules(
            "{ name = \"x\", when = { tools = true }, use = \"small\" }, { name = \"x\", when = { tools = false }, use = \"small\" }",
        ),
        rules("{ when = { tasks = [\"sumary\"] }, use = \"small\" }"),
        rules("{ when = { dificulty_below = 4 }, use = \"small\" }"),
        rules("{ when = { difficulty_below = 1002 }, use = \"small\" }"),
        rules("{ when = { tokens_from = 5, tokens_below = 5 }, use = \"small\" }"),
        rules("{ when = { headers = { X-App = \"a\" } }, use = \"small\" }"),
        rules("{ when = { keys = [\"nobody\"], tenants = [\"a/b/c/d\"] }, use = \"small\" }"),
        rules("{ when = { tools = true }, refuse = \"\" }"),
        rules("{ when = { tools = true }, use = \"big\" }"),
        circle.to_owned(),
        "[models.x]\ntargets = [\"claude/a\"]\nrequire = { region = \"eu\" }".to_owned(),
        "[models.x]\ntargets = [\"claude/a\"]\nrequire = { region = \"e u\" }".to_owned(),
        "[residency]\nrules = [{ tenants = [\"acme\"] }, { require = { region = \"eu\" } }]".to_owned(),
        "[models.x]\ntargets = [\"claude/a\"]\naliases = [\"y\", \"y\", \"x\", \"claude/z\", \"a b\"]"
            .to_owned(),
    ];
    insta::assert_snapshot!(titles(&texts.each_ref().map(String::as_str)));
}
