//! Tokens of Microsoft Entra.

use secrecy::SecretString;
use weighbridge_pipeline::settings::ProviderCredential;
use weighbridge_upstream::{
    CredentialSource, EntraClient, EntraProof, EntraSource, ManagedIdentity, UpstreamError,
};

use super::{Making, text};
use crate::said::{Azure, AzureFrom};

/// The variables that Azure's own libraries read
/// (<https://learn.microsoft.com/dotnet/api/azure.identity.environmentcredential>), and those that workload
/// identity sets in a pod.
const TENANT: &str = "AZURE_TENANT_ID";
const CLIENT: &str = "AZURE_CLIENT_ID";
const SECRET: &str = "AZURE_CLIENT_SECRET";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const AUTHORITY: &str = "AZURE_AUTHORITY_HOST";

/// An application, and where it asks.
struct Application {
    tenant: String,
    client: String,
    proof: EntraProof,
    authority: Option<String>,
    secrets: Vec<SecretString>,
}

impl Making<'_> {
    pub(super) fn azure(&mut self, azure: &Azure) -> Option<ProviderCredential> {
        if azure.from.is_wrong() {
            return None;
        }
        let from = azure.from.said().map_or(AzureFrom::Client, |from| from.value);
        let (is_client, is_managed) = (from == AzureFrom::Client, from == AzureFrom::ManagedIdentity);
        let proofs = [
            ("client_secret", !azure.client_secret.is_absent()),
            ("certificate", !azure.certificate.is_absent()),
            ("token_file", !azure.token_file.is_absent()),
        ];
        let others = [
            ("tenant_id", !azure.tenant_id.is_absent() && !is_client),
            ("client_id", !azure.client_id.is_absent() && from == AzureFrom::Environment),
            ("authority", !azure.authority.is_absent() && is_managed),
            ("metadata_url", !azure.metadata_url.is_absent() && !is_managed),
        ];
        let unused: Vec<_> =
            proofs.map(|(key, said)| (key, said && !is_client)).into_iter().chain(others).collect();
        self.unused("azure", "its source", &unused);
        let scope = text(&azure.scope);
        if is_managed {
            let url = text(&azure.metadata_url).unwrap_or_else(|| ManagedIdentity::URL.to_owned());
            let identity = ManagedIdentity::new(&url, text(&azure.client_id).as_deref());
            let identity = self.made("azure", identity)?;
            let identity = match scope {
                Some(scope) => identity.with_scope(&scope),
                None => identity,
            };
            return Some(self.issued(CredentialSource::Entra(EntraSource::Managed(identity)), Vec::new()));
        }
        let application = if is_client { self.client(azure, &proofs) } else { self.client_of_environment() };
        let Application { tenant, client, proof, authority, secrets } = application?;
        let authority = text(&azure.authority).or(authority);
        let client = self.made("azure", entra(&tenant, &client, proof, authority.as_deref(), scope))?;
        Some(self.issued(CredentialSource::Entra(EntraSource::Client(client)), secrets))
    }

    fn client(&mut self, azure: &Azure, proofs: &[(&str, bool)]) -> Option<Application> {
        let hint =
            "an application has a tenant, an id, and a secret, certificate or token file; or say `from`";
        let tenant = self.needed("azure", "tenant_id", &azure.tenant_id, hint);
        let client = self.needed("azure", "client_id", &azure.client_id, hint);
        if proofs.iter().filter(|(_, is_said)| *is_said).count() != 1 {
            let what = "needs one of `client_secret`, `certificate` and `token_file`";
            self.wrong("azure", what, hint);
            return None;
        }
        let secret = text(&azure.client_secret).map(SecretString::from);
        let proof = match (&secret, text(&azure.certificate), text(&azure.token_file)) {
            (Some(secret), ..) => Some(EntraProof::secret(secret.clone())),
            (_, Some(pem), _) => self.made("azure", EntraProof::certificate(&pem)),
            (_, _, Some(path)) => Some(EntraProof::token_file(path)),
            _ => None,
        };
        let secrets = secret.into_iter().collect();
        Some(Application { tenant: tenant?, client: client?, proof: proof?, authority: None, secrets })
    }

    fn client_of_environment(&mut self) -> Option<Application> {
        let secret = self.variable(SECRET).map(SecretString::from);
        let proof = match (&secret, self.variable(TOKEN_FILE)) {
            (Some(secret), _) => Some(EntraProof::secret(secret.clone())),
            (None, file) => file.map(EntraProof::token_file),
        };
        let (Some(tenant), Some(client), Some(proof)) = (self.variable(TENANT), self.variable(CLIENT), proof)
        else {
            let hint = format!("set {TENANT}, {CLIENT}, and {SECRET} or {TOKEN_FILE}");
            self.wrong("azure", "finds no application in the environment", &hint);
            return None;
        };
        let authority = self.variable(AUTHORITY);
        Some(Application { tenant, client, proof, authority, secrets: secret.into_iter().collect() })
    }
}

fn entra(
    tenant: &str,
    client: &str,
    proof: EntraProof,
    authority: Option<&str>,
    scope: Option<String>,
) -> Result<EntraClient, UpstreamError> {
    let mut entra = EntraClient::new(tenant, client, proof)?;
    if let Some(authority) = authority {
        entra = entra.at(authority)?;
    }
    Ok(match scope {
        Some(scope) => entra.with_scope(scope),
        None => entra,
    })
}
