//! Presets, clouds and credentials.

use crate::fixed::{Fixed, NOTHING};
use crate::support::*;

#[test]
fn presets_fill_in_what_is_not_said() {
    let text = r#"
        [providers.claude]
        preset = "anthropic"
        api_keys = ["k"]
        headers = { "Anthropic-Version" = "2099-01-01" }
        [providers.local]
        preset = "openai-compatible"
        base_url = "http://localhost:11434/v1/"
        [providers.plain]
        protocol = "anthropic-messages"
        base_url = "https://example.com"
        api_keys = []
        [providers.openai]
        base_url = "https://proxy.example.com/v1"
    "#;
    let config = right(text, &KEYS);
    let claude = provider(&config, "claude");
    assert_eq!((claude.spoken[0].path.as_str(), &*claude.price_as), ("/v1/messages", "anthropic"));
    assert_eq!(claude.headers.len(), 1);
    assert_eq!(claude.headers[0].1, "2099-01-01");
    let local = provider(&config, "local");
    assert_eq!((local.base_url.as_str(), &*local.price_as), ("http://localhost:11434/v1", "local"));
    assert!(local.credentials.is_empty());
    let plain = provider(&config, "plain");
    assert_eq!(
        (plain.spoken[0].path.as_str(), plain.headers.len(), &*plain.price_as),
        ("/v1/messages", 1, "plain")
    );
    // A vendor's key from the environment does not follow to another address.
    assert!(provider(&config, "openai").credentials.is_empty());
}

#[test]
fn clouds_are_found_by_region_and_project() {
    let aws = Fixed {
        variables: &[
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "geheim"),
            ("AWS_DEFAULT_REGION", "us-west-2"),
        ],
        files: &[],
    };
    let text = r#"
        [providers.bedrock]
        [providers.google]
        preset = "vertex"
        region = "global"
        project = "p-1"
        api_keys = ["token"]
        [providers.azure]
        base_url = "https://mine.openai.azure.com"
        api_keys = ["key"]
        protocol = "openai-responses"
        path = "/openai/v1/responses?api-version=preview"
    "#;
    let config = right(text, &aws);
    let bedrock = provider(&config, "bedrock");
    assert_eq!(bedrock.base_url, "https://bedrock-runtime.us-west-2.amazonaws.com");
    assert_eq!(keys(bedrock), ["signed"]);
    let google = provider(&config, "google");
    assert_eq!(google.base_url, "https://aiplatform.googleapis.com/v1/projects/p-1/locations/global");
    assert_eq!((keys(google), &*google.price_as), (vec!["token"], "vertex"));
    let azure = provider(&config, "azure");
    assert_eq!((azure.spoken.len(), azure.auth.header(), &*azure.price_as), (1, Some("api-key"), "azure"));
    assert_eq!(azure.spoken[0].stream_path.as_str(), "/openai/v1/responses?api-version=preview");
}

#[test]
fn clouds_find_credentials_where_their_own_tools_do() {
    const VERTEX: &str = "[providers.vertex]\nregion = \"global\"\nproject = \"p\"";
    const BEDROCK: &str = "[providers.bedrock]\nregion = \"eu-central-1\"";
    const AZURE: &str =
        "[providers.azure]\nbase_url = \"https://a.test\"\nazure = { from = \"environment\" }";
    const ARN: (&str, &str) = ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r");
    const APPLICATION: [(&str, &str); 2] = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c")];
    const FILES: &[(&str, &str)] = &[("/run/user.json", USER)];
    let cases: [(&str, Fixed); 9] = [
        (BEDROCK, Fixed { variables: &[ARN, ("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/token")], files: &[] }),
        (
            BEDROCK,
            Fixed {
                variables: &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1")],
                files: &[],
            },
        ),
        (
            BEDROCK,
            Fixed {
                variables: &[
                    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
                    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/run/token"),
                ],
                files: &[],
            },
        ),
        (
            "[providers.bedrock]\nregion = \"eu-central-1\"\naws = { from = \"environment\", role_arn = \"arn:aws:iam::1:role/s\" }",
            Fixed { variables: &[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "s")], files: &[] },
        ),
        (VERTEX, Fixed { variables: &[("GOOGLE_APPLICATION_CREDENTIALS", "/run/user.json")], files: FILES }),
        (
            "[providers.vertex]\nregion = \"global\"\nproject = \"p\"\ngcp = { from = \"environment\" }",
            Fixed { variables: &[("GOOGLE_APPLICATION_CREDENTIALS", "/run/user.json")], files: FILES },
        ),
        (
            AZURE,
            Fixed {
                variables: &[APPLICATION[0], APPLICATION[1], ("AZURE_FEDERATED_TOKEN_FILE", "/run/token")],
                files: &[],
            },
        ),
        (
            AZURE,
            Fixed { variables: &[APPLICATION[0], APPLICATION[1], ("AZURE_CLIENT_SECRET", "s")], files: &[] },
        ),
        ("[providers.vertex]\nregion = \"global\"\nproject = \"p\"\ngcp = { from = \"metadata\" }", NOTHING),
    ];
    for (text, surroundings) in cases {
        assert_eq!(keys(&right(text, &surroundings).settings.providers[0]), ["issued"], "{text}");
    }
    // A key goes before all of that.
    let key = Fixed {
        variables: &[("CLOUDSDK_AUTH_ACCESS_TOKEN", "t"), ("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")],
        files: &[],
    };
    assert_eq!(keys(&right(VERTEX, &key).settings.providers[0]), ["t"]);
}

#[test]
fn a_key_may_go_into_the_query() {
    let config =
        right("[providers.gemini]\nauth = \"query\"\napi_keys = [{ key = \"k\", weight = 0 }]", &NOTHING);
    let gemini = provider(&config, "gemini");
    assert_eq!((gemini.auth.header(), keys(gemini), gemini.credentials[0].weight), (None, vec!["k"], 0));
}
