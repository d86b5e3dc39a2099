//! How providers are connected to: versions of HTTP, proxies, certificates.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use http::Uri;
use weighbridge_pipeline::settings::{CredentialProof, ProviderCredential, ProviderSettings, Timeouts};
use weighbridge_upstream::{
    AllowedOrigins, HttpVersion, IssueOptions, Origin, OriginOptions, Proxy, ProxyChoice, ProxyEnvironment,
    Tls, TransportOptions, UpstreamError,
};

use crate::problem::Problems;
use crate::reader::{Given, Said};
use crate::{Surroundings, said};

/// What stands for no proxy at all.
const OFF: &str = "off";
/// How long a credential is waited for at most, beside connecting.
const ISSUE_TIME: Duration = Duration::from_secs(10);

/// How each provider is connected to, by its name.
pub(crate) struct Ways {
    /// Those that the file has.
    said: Vec<(String, Way)>,
    /// That of a provider which nobody declared.
    usual: Way,
}

/// How a provider is connected to, and whoever issues its credentials.
#[derive(Clone)]
pub(crate) struct Way {
    http: HttpVersion,
    /// Whom encrypted connections trust beside the usual roots; `None` where nothing is said.
    roots: Option<Tls>,
    /// The same, with the certificate that the provider is shown.
    tls: Option<Tls>,
    proxy: ProxyChoice,
    /// Where the file speaks of roots, and of a certificate to be shown.
    spans: [Option<Range<usize>>; 2],
}

impl Ways {
    /// Reads what the file and the environment say, and the files of certificates.
    pub(crate) fn read(
        providers: &[said::Provider],
        folder: &Path,
        surroundings: &dyn Surroundings,
        problems: &mut Problems,
    ) -> Self {
        let environment =
            ProxyEnvironment::read(|name| surroundings.variable(name)).unwrap_or_else(|(name, error)| {
                problems.elsewhere(format!("the environment variable {name}: {error}"));
                ProxyEnvironment::default()
            });
        let usual = Way {
            http: HttpVersion::default(),
            roots: None,
            tls: None,
            proxy: ProxyChoice::Environment(environment),
            spans: [None, None],
        };
        let mut read = |said: &said::Provider| {
            let way = Way::read(&said.line, &usual, folder, surroundings, problems);
            (said.name.value.clone(), way)
        };
        Self { said: providers.iter().map(&mut read).collect(), usual }
    }

    /// That of a provider.
    pub(crate) fn of(&self, provider: &str) -> &Way {
        self.said.iter().find(|(name, _)| name == provider).map_or(&self.usual, |(_, way)| way)
    }

    /// Each provider's address with the options of its connections.
    pub(crate) fn origins(
        &self,
        providers: &[ProviderSettings],
        problems: &mut Problems,
    ) -> Vec<(String, OriginOptions)> {
        let found: Vec<_> = providers
            .iter()
            .map(|provider| {
                let way = self.of(&provider.name);
                let origin = provider.base_url.parse().ok().and_then(|uri: Uri| Origin::of(&uri).ok());
                if origin.as_ref().is_some_and(|origin| !origin.is_tls()) {
                    way.check_use(provider, problems);
                }
                let options = OriginOptions {
                    http: way.http,
                    tls: way.tls.clone().filter(|_| origin.as_ref().is_none_or(Origin::is_tls)),
                    proxy: origin.and_then(|origin| way.proxy.on_the_way_to(&origin).cloned()),
                };
                (provider.base_url.clone(), options)
            })
            .collect();
        if let Err(error) = AllowedOrigins::with(found.iter().map(|(url, options)| (url, options.clone()))) {
            problems.elsewhere(error.to_string());
        }
        found
    }
}

impl Way {
    fn read(
        said: &said::Line,
        usual: &Self,
        folder: &Path,
        surroundings: &dyn Surroundings,
        problems: &mut Problems,
    ) -> Self {
        let span = |given: &Given<String>| given.said().map(|said| said.span.clone());
        let roots = said.ca.said().and_then(|ca| {
            let pem = certificates(ca, folder, surroundings, problems)?;
            let noted = |error: UpstreamError| {
                problems.at(ca.span.clone(), error.to_string());
            };
            Tls::with_extra_roots(pem.as_bytes()).map_err(noted).ok()
        });
        Self {
            http: said.http.said().map_or_else(Default::default, |http| http.value),
            tls: identity(said, roots.clone(), folder, surroundings, problems),
            roots,
            proxy: match said.proxy.said() {
                Some(said) => proxy(said, problems).map_or(ProxyChoice::None, ProxyChoice::Always),
                None => usual.proxy.clone(),
            },
            spans: [span(&said.ca), span(&said.client_certificate).or_else(|| span(&said.client_key))],
        }
    }

    /// How whoever issues the provider's credentials is asked: on the same way, and as patiently. What is shown to the
    /// provider, its certificate, is shown to nobody else.
    pub(crate) fn issue(&self, timeouts: &Timeouts) -> IssueOptions {
        let tls = self.roots.clone().unwrap_or_default();
        IssueOptions {
            transport: TransportOptions { tls, ..TransportOptions::default() },
            proxy: self.proxy.clone(),
            connect: timeouts.connect,
            time: timeouts.connect + timeouts.first_byte.min(ISSUE_TIME),
        }
    }

    /// Tells what means nothing where the provider itself is not reached over TLS. Roots may be those of whoever issues
    /// its credentials.
    fn check_use(&self, provider: &ProviderSettings, problems: &mut Problems) {
        let is_issued = |it: &ProviderCredential| matches!(it.proof, CredentialProof::Issued { .. });
        let [roots, shown] = &self.spans;
        let roots = roots.as_ref().filter(|_| !provider.credentials.iter().any(is_issued));
        if let Some(span) = roots.or(shown.as_ref()) {
            problems
                .at(span.clone(), "certificates mean nothing to a provider at http://")
                .hint("leave it out");
        }
    }
}

fn proxy(said: &Said<String>, problems: &mut Problems) -> Option<Proxy> {
    if said.value == OFF {
        return None;
    }
    said.value
        .parse()
        .map_err(|error: UpstreamError| {
            let hint = "proxy = \"http://proxy.example.com:3128\", or \"off\" for none";
            problems.at(said.span.clone(), error.to_string()).hint(hint);
        })
        .ok()
}

/// What is in a file of certificates or of a key.
fn certificates(
    path: &Said<String>,
    folder: &Path,
    surroundings: &dyn Surroundings,
    problems: &mut Problems,
) -> Option<String> {
    surroundings
        .file(&folder.join(&path.value))
        .map_err(|why| {
            problems
                .at(path.span.clone(), format!("the file `{}` cannot be read: {why}", path.value))
                .hint("give the path of a PEM file, absolute or from the configuration's folder");
        })
        .ok()
}

/// The roots with the certificate that is shown, where there is one; `None` where nothing is said.
fn identity(
    said: &said::Line,
    roots: Option<Tls>,
    folder: &Path,
    surroundings: &dyn Surroundings,
    problems: &mut Problems,
) -> Option<Tls> {
    let (certificate, key) = match (said.client_certificate.said(), said.client_key.said()) {
        (None, None) => return roots,
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(alone), None) | (None, Some(alone)) => {
            let message = "`client_certificate` and `client_key` need each other";
            problems
                .at(alone.span.clone(), message)
                .hint("give both: the certificate, and the key that it is for");
            return None;
        }
    };
    let own = certificates(certificate, folder, surroundings, problems);
    let key = certificates(key, folder, surroundings, problems);
    roots
        .unwrap_or_default()
        .with_identity(own?.as_bytes(), key?.as_bytes())
        .map_err(|error| {
            problems.at(certificate.span.clone(), error.to_string());
        })
        .ok()
}
