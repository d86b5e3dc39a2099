use std::sync::Arc;

use http::{HeaderName, HeaderValue, Uri};
use weighbridge_catalogue::{Preset, Spoken, near, preset, presets};
use weighbridge_pipeline::settings::{
    BUDGETS_BESIDE, NativeCalls, ProviderCredential, ProviderSettings, Timeouts,
};

use crate::Surroundings;
use crate::connections::Ways;
use crate::credentials::{credentials, key_of};
use crate::duration;
use crate::means::budgets;
use crate::problem::Problems;
use crate::reader::{Given, Said};
use crate::rules::labels;
use crate::said;
use crate::spoken::spoken;

/// Headers that the gateway itself sets: a provider may not be given others.
const RESERVED_HEADERS: [&str; 12] = [
    "authorization",
    "x-api-key",
    "api-key",
    "cookie",
    "host",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "te",
    "upgrade",
    "x-client-request-id",
];

/// The example of a base URL where no preset has one.
const LOCAL_URL: &str = "http://127.0.0.1:8000/v1";

/// The names that the file gives to providers, right or wrong in themselves.
pub(crate) fn names(said: &[said::Provider]) -> Vec<String> {
    said.iter().map(|provider| provider.name.value.clone()).collect()
}

/// The file's providers; where it has none, those that the environment has keys for.
pub(crate) fn settings(
    said: Vec<said::Provider>,
    ways: &Ways,
    surroundings: &dyn Surroundings,
    problems: &mut Problems,
) -> Vec<ProviderSettings> {
    if said.is_empty() {
        let found: Vec<_> =
            presets().iter().filter_map(|preset| discovered(preset, surroundings, problems)).collect();
        if found.is_empty() && problems.is_empty() {
            let variables: Vec<&str> = presets().iter().flat_map(|preset| preset.env_vars).copied().collect();
            problems.elsewhere("there is no provider to send requests to").hint(format!(
                "set {} in the environment, or write a [providers.NAME] table",
                variables.join(" or ")
            ));
        }
        return found;
    }
    said.into_iter().filter_map(|provider| declared(provider, ways, surroundings, problems)).collect()
}

/// A provider that nobody declared: its key is in the environment, under the name that its SDK reads.
/// So is its address, where that is another: `OPENAI_BASE_URL` beside `OPENAI_API_KEY`.
fn discovered(
    preset: &'static Preset,
    surroundings: &dyn Surroundings,
    problems: &mut Problems,
) -> Option<ProviderSettings> {
    let (variable, api_key) = key_of(preset, surroundings)?;
    let named = |name: &str| surroundings.variable(name).filter(|text| !text.is_empty());
    let base_variable = variable.strip_suffix("_API_KEY").map(|name| format!("{name}_BASE_URL"));
    let named_base = base_variable.and_then(|variable| named(&variable).map(|text| (variable, text)));
    let base_url = match named_base {
        Some((base_variable, text)) => match base_url(&text, preset.spoken) {
            Ok(url) => url,
            Err(why) => {
                problems.elsewhere(format!("the environment variable {base_variable}: {why}"));
                return None;
            }
        },
        // Where its region or project is not known, it takes a file to name it.
        None => preset.base_url_in(
            self::named(preset.region_vars, surroundings).as_deref(),
            self::named(preset.project_vars, surroundings).as_deref(),
        )?,
    };
    if let Err(why) = header_text(&api_key) {
        problems.elsewhere(format!("the environment variable {variable}: the API key {why}"));
        return None;
    }
    let credentials = vec![ProviderCredential::key(api_key)];
    Some(ProviderSettings { credentials, ..ProviderSettings::of(preset, base_url) })
}

/// The first of some variables that is set.
pub(crate) fn named(variables: &[&str], surroundings: &dyn Surroundings) -> Option<String> {
    variables.iter().find_map(|name| surroundings.variable(name).filter(|text| !text.is_empty()))
}

fn declared(
    said: said::Provider,
    ways: &Ways,
    surroundings: &dyn Surroundings,
    problems: &mut Problems,
) -> Option<ProviderSettings> {
    let name = &said.name.value;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) {
        problems
            .at(said.name.span.clone(), format!("`{name}` cannot name a provider"))
            .hint("1 to 64 letters, digits, `-`, `_`, `.`");
    }
    let preset = chosen_preset(&said, problems);
    // What a protocol usually looks like, where no preset says more.
    let usual = preset.or_else(|| {
        let protocol = said.protocol.said()?.value;
        presets().iter().find(|preset| preset.speaks(protocol))
    });
    let usual = match usual {
        Some(usual) => usual,
        None => {
            if said.preset.is_absent() && said.protocol.is_absent() {
                let known: Vec<&str> = presets().iter().map(|preset| preset.name).collect();
                let hint = match near(name, known.iter().copied()).first() {
                    Some(meant) => format!("did you mean [providers.{meant}]?"),
                    None => format!("presets: {}", known.join(", ")),
                };
                let message = format!("provider `{name}` needs a `preset`, or `protocol` and `base_url`");
                problems.at(said.name.span.clone(), message).hint(hint);
            }
            return None;
        }
    };
    let spoken = spoken(&said, preset, usual, problems);
    let region = said.region.said().map(|said| said.value.clone());
    let region = region.or_else(|| named(usual.region_vars, surroundings));
    let base_url = match &said.base_url {
        Given::Said(url) => base_url(&url.value, &spoken)
            .map_err(|why| {
                problems
                    .at(url.span.clone(), format!("the base URL of provider `{name}`: {why}"))
                    .hint(format!("write it like this: base_url = \"{}\"", example_url(usual)));
            })
            .ok(),
        Given::Absent => {
            let project = said.project.said().map(|said| said.value.clone());
            let project = project.or_else(|| named(usual.project_vars, surroundings));
            let known = preset.and_then(|preset| preset.base_url_in(region.as_deref(), project.as_deref()));
            if known.is_none() && !said.region.is_wrong() && !said.project.is_wrong() {
                missing_address(&said, preset, problems);
            }
            known
        }
        Given::Wrong => None,
    };
    let price_as = match said.price_as.said() {
        Some(given) => given.value.as_str(),
        None => match preset.and_then(|preset| preset.price_as).unwrap_or(name.as_str()) {
            // Google takes more for an endpoint of one region.
            "vertex" if region.as_deref().is_some_and(|region| region != "global") => "vertex@regional",
            usual => usual,
        },
    };
    let timeouts = timeouts(&said.timeouts, problems);
    let issue = ways.of(name).issue(&timeouts);
    Some(ProviderSettings {
        credentials: credentials(&said, preset, region.as_deref(), issue, surroundings, problems),
        headers: headers(&said, usual, problems),
        timeouts,
        health: said.health.settings(problems),
        name: name.as_str().into(),
        spoken,
        auth: said.auth.said().map_or(usual.auth, |auth| auth.value),
        price_as: Arc::from(price_as),
        base_url: base_url?,
        limits: said.limits.limits(),
        budgets: budgets(&said.budgets, BUDGETS_BESIDE, problems),
        labels: labels(&said.labels, problems),
        native: said.native.said().map_or_else(NativeCalls::default, |native| native.value),
        native_paths: said
            .native_paths
            .said()
            .map_or_else(Vec::new, |paths| paths.value.iter().map(|path| path.value.clone()).collect()),
    })
}

fn missing_address(said: &said::Provider, preset: Option<&Preset>, problems: &mut Problems) {
    let name = &said.name.value;
    let places: Vec<String> =
        preset.map(|preset| preset.places().map(|place| format!("`{place}`")).collect()).unwrap_or_default();
    let (needed, hint) = if places.is_empty() {
        ("a `base_url`".to_owned(), format!("write it like this: base_url = \"{LOCAL_URL}\""))
    } else {
        (places.join(" and "), "they are a part of its address".to_owned())
    };
    problems.at(said.name.span.clone(), format!("provider `{name}` needs {needed}")).hint(hint);
}

fn example_url(usual: &Preset) -> &'static str {
    usual.base_url.filter(|url| !url.contains('{')).unwrap_or(LOCAL_URL)
}

/// The preset that is named, or that the provider is named for.
fn chosen_preset(said: &said::Provider, problems: &mut Problems) -> Option<&'static Preset> {
    let Some(named) = said.preset.said() else {
        let own = if said.preset.is_absent() { preset(&said.name.value) } else { None };
        return own.filter(|own| said.protocol.said().is_none_or(|protocol| own.speaks(protocol.value)));
    };
    let Some(found) = preset(&named.value) else {
        let known: Vec<&str> = presets().iter().map(|preset| preset.name).collect();
        let hint = match near(&named.value, known.iter().copied()).first() {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => {
                format!("presets: {}; or leave it out and give `protocol` and `base_url`", known.join(", "))
            }
        };
        problems.at(named.span.clone(), format!("there is no preset `{}`", named.value)).hint(hint);
        return None;
    };
    if let Some(protocol) = said.protocol.said()
        && !found.speaks(protocol.value)
    {
        let spoken: Vec<&str> = found.spoken.iter().map(|spoken| spoken.protocol.as_str()).collect();
        problems
            .at(protocol.span.clone(), format!("the preset `{}` speaks {}", found.name, spoken.join(" and ")))
            .hint("leave out either `preset` or `protocol`");
    }
    Some(found)
}

/// An address, checked and without slashes at its end. The error is a sentence without the address,
/// which may hold a password.
fn base_url(text: &str, spoken: &[Spoken]) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let uri: Uri = url.parse().map_err(|_| "it is not a URL".to_owned())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("it must begin with https:// or http://".to_owned());
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("it must not hold a user name or password: use `api_keys` or `headers`".to_owned());
    }
    if uri.host().is_none_or(str::is_empty) || uri.query().is_some() || text.contains('#') {
        return Err("it must be a host and perhaps a path, without query".to_owned());
    }
    for path in spoken.iter().map(|spoken| spoken.path.as_str()) {
        // `/v1` of `/v1/messages`, `/openai/v1` of `/openai/v1/responses`.
        let beginnings = path.match_indices('/').skip(1).filter_map(|(at, _)| path.get(..at));
        if let Some(repeated) = beginnings.filter(|beginning| uri.path().ends_with(beginning)).last() {
            return Err(format!(
                "it ends in {repeated}, which `path` ({path}) begins with: leave it out here"
            ));
        }
    }
    Ok(url.to_owned())
}

/// Whether a text can be sent in a header; the error completes "it …".
pub(crate) fn header_text(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        Err("is empty")
    } else if text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(())
    } else {
        Err("has spaces, line breaks or other characters that cannot be sent in a header")
    }
}

/// The preset's headers, with those of the file in their place where the names are the same.
fn headers(said: &said::Provider, usual: &Preset, problems: &mut Problems) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = ProviderSettings::of(usual, String::new()).headers;
    for (name, value) in said.headers.said().map_or(&[][..], |pairs| &pairs.value) {
        let (header, hint) = match HeaderName::from_bytes(name.value.as_bytes()) {
            Ok(header) if !RESERVED_HEADERS.contains(&header.as_str()) => (Some(header), ""),
            Ok(_) => (None, "credentials go into `api_keys`; the connection's own headers are the gateway's"),
            Err(_) => (None, "a header's name has letters, digits and `-`"),
        };
        let Some(header) = header else {
            problems.at(name.span.clone(), format!("`{}` cannot be set as a header", name.value)).hint(hint);
            continue;
        };
        let Ok(mut content) = HeaderValue::from_str(&value.value) else {
            problems
                .at(value.span.clone(), format!("the value of header `{header}` cannot be sent"))
                .hint("line breaks and other control characters are not possible in headers");
            continue;
        };
        content.set_sensitive(true);
        headers.retain(|(other, _)| *other != header);
        headers.push((header, content));
    }
    headers
}

fn timeouts(said: &said::Timeouts, problems: &mut Problems) -> Timeouts {
    let default = Timeouts::default();
    let total = said.total.said().map_or(default.total, |total| total.value);
    let mut bound =
        |name: &str, given: &Given<std::time::Duration>, default: std::time::Duration| match given.said() {
            Some(Said { value, span }) => {
                if *value > total {
                    problems
                        .at(
                            span.clone(),
                            format!("`{name}` is longer than `total`, which is {}", duration::display(total)),
                        )
                        .hint("shorten it, or raise `total`");
                }
                *value
            }
            None => default.min(total),
        };
    let first_token = said.first_token.said().map(|_| bound("first_token", &said.first_token, total));
    Timeouts {
        connect: bound("connect", &said.connect, default.connect),
        first_byte: bound("first_byte", &said.first_byte, default.first_byte),
        first_token,
        idle: bound("idle", &said.idle, default.idle),
        total,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_path_begins_with_is_no_part_of_the_base_url() {
        let spoken = |name: &str| weighbridge_catalogue::preset(name).unwrap().spoken;
        for (url, name) in [
            ("https://api.anthropic.com/v1/", "anthropic"),
            ("https://mine.openai.azure.com/openai", "azure"),
            ("https://mine.openai.azure.com/openai/v1/", "azure"),
        ] {
            let error = base_url(url, spoken(name)).unwrap_err();
            assert!(error.contains("leave it out here"), "{url}: {error}");
        }
        for (url, name) in [
            ("https://api.openai.com/v1", "openai"),
            ("https://mine.openai.azure.com", "azure"),
            ("https://proxy.test/azure", "azure"),
        ] {
            assert_eq!(base_url(url, spoken(name)).as_deref(), Ok(url));
        }
    }
}
