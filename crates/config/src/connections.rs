//! How providers are connected to: versions of HTTP, proxies, certificates.

use std::path::Path;

use http::Uri;
use weighbridge_pipeline::settings::ProviderSettings;
use weighbridge_upstream::{AllowedOrigins, Origin, OriginOptions, Proxy, ProxyEnvironment, Tls};

use crate::problem::Problems;
use crate::reader::Said;
use crate::{Surroundings, said};

/// What stands for no proxy at all.
const OFF: &str = "off";

/// What the file says of connections, by the provider's name.
pub(crate) fn lines(providers: &mut [said::Provider]) -> Vec<(String, said::Line)> {
    let taken = |provider: &mut said::Provider| std::mem::take(&mut provider.line);
    providers.iter_mut().map(|provider| (provider.name.value.clone(), taken(provider))).collect()
}

/// Each provider's address with the options of its connections.
pub(crate) fn origins(
    lines: &[(String, said::Line)],
    providers: &[ProviderSettings],
    folder: &Path,
    surroundings: &dyn Surroundings,
    problems: &mut Problems,
) -> Vec<(String, OriginOptions)> {
    let environment =
        ProxyEnvironment::read(|name| surroundings.variable(name)).unwrap_or_else(|(name, error)| {
            problems.elsewhere(format!("the environment variable {name}: {error}"));
            ProxyEnvironment::default()
        });
    let absent = said::Line::default();
    let found: Vec<_> = providers
        .iter()
        .map(|provider| {
            let said =
                lines.iter().find(|(name, _)| *name == *provider.name).map_or(&absent, |(_, line)| line);
            let origin = provider.base_url.parse().ok().and_then(|uri: Uri| Origin::of(&uri).ok());
            let options = OriginOptions {
                http: said.http.said().map_or_else(Default::default, |http| http.value),
                tls: tls(said, origin.as_ref(), folder, surroundings, problems),
                proxy: match said.proxy.said() {
                    Some(said) => proxy(said, problems),
                    None => origin.and_then(|origin| environment.proxy_to(&origin).cloned()),
                },
            };
            (provider.base_url.clone(), options)
        })
        .collect();
    if let Err(error) = AllowedOrigins::with(found.iter().map(|(url, options)| (url, options.clone()))) {
        problems.elsewhere(error.to_string());
    }
    found
}

fn proxy(said: &Said<String>, problems: &mut Problems) -> Option<Proxy> {
    if said.value == OFF {
        return None;
    }
    said.value
        .parse()
        .map_err(|error: weighbridge_upstream::UpstreamError| {
            let hint = "proxy = \"http://proxy.example.com:3128\", or \"off\" for none";
            problems.at(said.span.clone(), error.to_string()).hint(hint);
        })
        .ok()
}

/// Roots and a certificate of one's own; `None` where nothing is said.
fn tls(
    said: &said::Line,
    origin: Option<&Origin>,
    folder: &Path,
    surroundings: &dyn Surroundings,
    problems: &mut Problems,
) -> Option<Tls> {
    let (ca, certificate, key) = (said.ca.said(), said.client_certificate.said(), said.client_key.said());
    let first = ca.or(certificate).or(key)?;
    if origin.is_some_and(|origin| !origin.is_tls()) {
        problems
            .at(first.span.clone(), "certificates mean nothing to a provider at http://")
            .hint("leave it out");
        return None;
    }
    let mut read = |path: &Said<String>| {
        surroundings
            .file(&folder.join(&path.value))
            .map_err(|why| {
                problems
                    .at(path.span.clone(), format!("the file `{}` cannot be read: {why}", path.value))
                    .hint("give the path of a PEM file, absolute or from the configuration's folder");
            })
            .ok()
    };
    let (roots, pair) = (ca.map(&mut read), certificate.zip(key).map(|(own, key)| (read(own), read(key))));
    let mut tls = Tls::default();
    if let (Some(ca), Some(roots)) = (ca, roots) {
        tls = Tls::with_extra_roots(roots?.as_bytes())
            .map_err(|error| {
                problems.at(ca.span.clone(), error.to_string());
            })
            .ok()?;
    }
    match (certificate, key, pair) {
        (Some(at), Some(_), Some((own, key))) => tls
            .with_identity(own?.as_bytes(), key?.as_bytes())
            .map_err(|error| {
                problems.at(at.span.clone(), error.to_string());
            })
            .ok(),
        (Some(alone), None, _) | (None, Some(alone), _) => {
            let message = "`client_certificate` and `client_key` need each other";
            problems
                .at(alone.span.clone(), message)
                .hint("give both: the certificate, and the key that it is for");
            None
        }
        _ => Some(tls),
    }
}
