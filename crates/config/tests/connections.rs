//! How providers are connected to.

mod fixed;

use fixed::{Fixed, read};
use weighbridge_config::Config;

const CA: (&str, &str) = ("/etc/wb/ca.pem", include_str!("../../upstream/tests/loopback/tls/ca.pem"));
const OWN: (&str, &str) = ("/etc/wb/own.pem", include_str!("../../upstream/tests/loopback/tls/server.pem"));
const KEY: (&str, &str) = ("/etc/wb/own.key", include_str!("../../upstream/tests/loopback/tls/server.key"));
const FILES: &[(&str, &str)] = &[CA, OWN, KEY];

/// A provider at this address, with these lines.
fn provider(name: &str, url: &str, lines: &str) -> String {
    let preset = "preset = \"openai-compatible\"\napi_keys = []";
    format!("[providers.{name}]\n{preset}\nbase_url = \"{url}\"\n{lines}\n")
}

fn proxies(config: &Config) -> Vec<Option<String>> {
    config.origins.iter().map(|(_, options)| options.proxy.as_ref().map(ToString::to_string)).collect()
}

#[test]
fn the_environment_names_proxies_unless_the_file_does() {
    let variables = &[
        ("HTTPS_PROXY", "http://u:geheim@s.test:1"),
        ("HTTP_PROXY", "http://p.test:2"),
        ("NO_PROXY", "direct.test,10.0.0.0/8"),
    ];
    let text = [
        provider("a", "https://api.test/v1", ""),
        provider("b", "http://api.test/v1", ""),
        provider("c", "https://eu.direct.test/v1", ""),
        provider("d", "http://10.1.2.3:8000", ""),
        provider("e", "http://localhost:8000", ""),
        provider("f", "https://f.test", "proxy = \"off\""),
        provider("g", "https://g.direct.test", "proxy = \"http://g.test:3\""),
    ];
    let config = read(&text.concat(), &Fixed { variables, files: &[] }).unwrap();
    let expected = [Some("s.test:1"), Some("p.test:2"), None, None, None, None, Some("g.test:3")];
    assert_eq!(proxies(&config), expected.map(|proxy| proxy.map(str::to_owned)));
    assert!(config.explain().contains("https://api.test/v1 through the proxy s.test:1"));
    assert!(!config.explain().contains("geheim"));
}

#[test]
fn providers_of_the_environment_have_its_proxy_too() {
    let surroundings =
        Fixed { variables: &[("OPENAI_API_KEY", "k"), ("https_proxy", "s.test:1")], files: &[] };
    let config = weighbridge_config::load(None, &surroundings).unwrap();
    assert_eq!(proxies(&config), [Some("s.test:1".to_owned())]);
}

#[test]
fn mistakes_are_told_without_passwords() {
    let url = "https://api.test/v1";
    let pair = "client_certificate = \"own.pem\"\nclient_key = \"own.key\"";
    assert!(read(&provider("a", url, pair), &Fixed { variables: &[], files: FILES }).is_ok());
    let twice = provider("b", "https://api.test:443/other", "http = \"1.1\"");
    for (text, mistake) in [
        (provider("a", url, "http = \"3\""), "`providers.a.http`"),
        (provider("a", url, "proxy = \"socks5://u:geheim@p.test\""), "SOCKS is not supported"),
        (provider("a", url, "proxy = \"http://u:geheim@p.test:x\""), "its host or port cannot be read"),
        (provider("a", url, "ca = \"gone.pem\""), "the file `gone.pem` cannot be read"),
        (provider("a", url, "ca = \"own.key\""), "it holds no certificate"),
        (provider("a", url, "client_certificate = \"own.pem\""), "need each other"),
        (provider("a", url, "client_key = \"own.key\""), "need each other"),
        (
            provider("a", url, "client_certificate = \"ca.pem\"\nclient_key = \"own.key\""),
            "client certificate",
        ),
        (provider("a", "http://api.test", "ca = \"ca.pem\""), "mean nothing to a provider at http://"),
        (provider("a", url, pair) + &twice, "https://api.test is to be connected to in two ways"),
    ] {
        let error = read(&text, &Fixed { variables: &[], files: FILES }).err().unwrap().to_string();
        assert!(error.contains(mistake), "{error}");
        assert!(!error.contains("geheim"), "{error}");
        assert!(!error.contains(KEY.1.lines().nth(1).unwrap()), "{error}");
    }
    let surroundings = Fixed { variables: &[("ALL_PROXY", "socks5://u:geheim@p.test")], files: FILES };
    let error = read(&provider("a", url, ""), &surroundings).err().unwrap().to_string();
    assert!(error.contains("ALL_PROXY") && !error.contains("geheim"), "{error}");
}

#[test]
fn roots_are_those_of_an_issuer_where_the_provider_itself_is_not_encrypted() {
    let entra = "azure = { tenant_id = \"t\", client_id = \"c\", client_secret = \"geheim\" }";
    let text = |lines: &str| provider("a", "http://api.test/v1", &format!("{lines}\nca = \"ca.pem\""));
    let read = |text: String| read(&text, &Fixed { variables: &[], files: FILES });
    let config = read(text(entra)).unwrap();
    assert!(config.origins[0].1.tls.is_none());
    assert!(read(text("")).err().unwrap().to_string().contains("mean nothing to a provider at http://"));
    let shown = format!("{entra}\nclient_certificate = \"own.pem\"\nclient_key = \"own.key\"");
    assert!(read(text(&shown)).err().unwrap().to_string().contains("mean nothing to a provider at http://"));
}
