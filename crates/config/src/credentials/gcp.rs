//! Tokens of Google Cloud.

use std::path::Path;

use weighbridge_pipeline::settings::ProviderCredential;
use weighbridge_upstream::{CredentialSource, GoogleMetadata, GoogleSource};

use super::{Making, text};
use crate::Surroundings;
use crate::providers::named;
use crate::said::{Gcp, GcpFrom};

/// The variable that Google's own libraries read: the path of a credentials file
/// (<https://cloud.google.com/docs/authentication/application-default-credentials>).
const FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// Whether the environment names a credentials file.
pub(super) fn is_in(surroundings: &dyn Surroundings) -> bool {
    named(&[FILE], surroundings).is_some()
}

impl Making<'_> {
    pub(super) fn gcp(&mut self, gcp: &Gcp) -> Option<ProviderCredential> {
        if gcp.from.is_wrong() {
            return None;
        }
        let from = gcp.from.said().map_or(GcpFrom::File, |from| from.value);
        self.unused(
            "gcp",
            "its source",
            &[
                ("credentials", !gcp.credentials.is_absent() && from != GcpFrom::File),
                ("token_url", !gcp.token_url.is_absent() && from == GcpFrom::Metadata),
                ("metadata_url", !gcp.metadata_url.is_absent() && from != GcpFrom::Metadata),
            ],
        );
        let token_url = text(&gcp.token_url);
        match from {
            GcpFrom::File => {
                let hint =
                    "it is what a credentials file holds: credentials = \"${file:/run/secrets/gcp.json}\"";
                let json = self.needed("gcp", "credentials", &gcp.credentials, hint)?;
                self.google(GoogleSource::from_file(&json, token_url.as_deref()))
            }
            GcpFrom::Environment => self.gcp_environment(token_url.as_deref()),
            GcpFrom::Metadata => {
                let url = text(&gcp.metadata_url).unwrap_or_else(|| GoogleMetadata::URL.to_owned());
                self.google(GoogleMetadata::new(&url).map(GoogleSource::metadata))
            }
        }
    }

    /// What the environment says, where the file says nothing.
    pub(super) fn gcp_environment(&mut self, token_url: Option<&str>) -> Option<ProviderCredential> {
        let Some(path) = self.variable(FILE) else {
            self.wrong("gcp", "finds no credentials in the environment", &format!("set {FILE}"));
            return None;
        };
        match self.surroundings.file(Path::new(&path)) {
            Ok(json) => self.google(GoogleSource::from_file(&json, token_url)),
            Err(why) => {
                let what = format!("cannot read {path}: {why}");
                self.wrong("gcp", &what, &format!("{FILE} names that file"));
                None
            }
        }
    }

    fn google(
        &mut self,
        source: Result<GoogleSource, weighbridge_upstream::UpstreamError>,
    ) -> Option<ProviderCredential> {
        let source = self.made("gcp", source)?;
        Some(self.issued(CredentialSource::Google(source), Vec::new()))
    }
}
