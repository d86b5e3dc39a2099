//! Limits, budgets and administrators of tenants, as a file says them.

mod fixed;

use fixed::{Fixed, read};
use weighbridge_access::Limits;
use weighbridge_config::Config;
use weighbridge_units::NanoUsd;

const PROVIDER: &str = "[storage]\nurl = \"memory:\"\n[providers.openai]\napi_keys = [\"k\"]\n";

fn config(text: &str) -> Result<Config, String> {
    let surroundings = Fixed { variables: &[], files: &[] };
    read(&format!("{text}\n{PROVIDER}"), &surroundings).map_err(|error| error.to_string())
}

#[test]
fn limits_and_budgets_reach_the_settings() {
    let text = r#"
        [limits]
        budgets = ["usd=100 period=day zone=europe/berlin", "requests=5 period=total"]
        [models.m]
        targets = ["openai/gpt-4o-mini"]
        limits = { concurrency = 3 }
        budgets = ["tokens=7 for=user"]
        [providers.other]
        preset = "openai"
        api_keys = ["k"]
        limits = { rpm = 1, tpm = 2, usd_per_minute = "0.5" }
        budgets = ["usd=1"]
    "#;
    let settings = config(text).unwrap().settings;
    let texts = |budgets: &[weighbridge_access::Budget]| {
        budgets.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(
        texts(&settings.budgets),
        "usd=100.000000000 period=day zone=Europe/Berlin; requests=5 period=total"
    );
    let [model] = &settings.routes[..] else { panic!() };
    assert_eq!(model.limits, Limits { concurrency: Some(3), ..Limits::NONE });
    assert_eq!(texts(&model.budgets), "tokens=7 period=month for=user");
    let other = settings.providers.iter().find(|provider| &*provider.name == "other").expect("it is there");
    let usd_per_minute = Some(NanoUsd::new(500_000_000));
    assert_eq!(other.limits, Limits { rpm: Some(1), tpm: Some(2), usd_per_minute, concurrency: None });
    assert_eq!(texts(&other.budgets), "usd=1.000000000 period=month");
}

#[test]
fn administrators_of_tenants_have_a_token_and_a_tenant() {
    let server = "[server]\nadmin_token = \"0123456789abcdef-i\"\n";
    let right = format!("{server}[admins.ada]\ntoken = \"0123456789abcdef-a\"\ntenant = \"acme/search\"");
    let admin = config(&right).unwrap().server.admin.unwrap();
    let [ada] = &admin.tenants[..] else { panic!() };
    assert_eq!((ada.name.as_str(), ada.tenant.as_str()), ("ada", "acme/search"));
}

#[test]
fn what_is_wrong_is_said_and_no_secret_with_it() {
    let server = "[server]\nadmin_token = \"0123456789abcdef-i\"\n";
    let cases = [
        ("[limits]\nbudgets = [\"usd=1 period=year\"]", "year"),
        ("[limits]\nbudgets = [\"usd=1\", \"usd=2\"]", "two in usd"),
        (
            "[limits]\nbudgets = [\"usd=1\", \"usd=1 period=day\", \"tokens=1\", \"requests=1\"]",
            "more than 3",
        ),
        ("[models.m]\ntargets = [\"openai/x\"]\nlimits = { usd_per_minute = \"-1\" }", "dollars"),
        ("[models.m]\ntargets = [\"openai/x\"]\nlimits = { rpm = -1 }", "rpm"),
        ("[models.m]\ntargets = [\"openai/x\"]\nlimits = { rmp = 1 }", "rmp"),
        ("[admins.ada]\ntoken = \"0123456789abcdef-a\"\ntenant = \"acme\"", "server.admin_token"),
        (&format!("{server}[admins.ada]\ntoken = \"0123456789abcdef-a\""), "tenant"),
        (
            &format!("{server}[admins.ada]\ntoken = \"0123456789abcdef-a\"\ntenant = \"a/b/c\""),
            "organisation",
        ),
        (
            &format!("{server}[admins.ada]\ntoken = \"0123456789abcdef-i\"\ntenant = \"acme\""),
            "somebody else",
        ),
        (&format!("{server}[admins.ada]\ntoken = \"short\"\ntenant = \"acme\""), "at least"),
    ];
    for (text, word) in cases {
        let error = config(text).err().unwrap_or_else(|| panic!("{text}"));
        assert!(error.contains(word), "{text}\n{error}");
        assert!(!error.contains("0123456789abcdef"), "{error}");
    }
}
