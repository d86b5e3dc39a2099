use std::fmt::Write;

use weighbridge_pipeline::settings::{CredentialProof, ProviderCredential};

use crate::config::{Config, KeptIn, StorageConfig};
use crate::duration;

impl Config {
    /// What the configuration means, in a few lines for people: what `weighbridge check` prints. It
    /// holds no secret.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_to(&mut text);
        text
    }

    fn write_to(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "listen     {}", self.server.listen)?;
        match &self.server.admin {
            Some(admin) => writeln!(text, "admin      {}", admin.listen)?,
            None => writeln!(text, "admin      off (no admin_token)")?,
        }
        match &self.storage {
            StorageConfig::Memory => writeln!(text, "storage    memory, gone at the end")?,
            StorageConfig::Sqlite { path, durability } => {
                writeln!(text, "storage    {} ({})", path.display(), durability.as_str())?;
            }
            StorageConfig::Postgres { url } => writeln!(text, "storage    {url}")?,
        }
        if let Some(vault) = &self.vault {
            writeln!(text, "vault      sealed under the master key {}", vault.current())?;
        }
        if let Some(redis) = &self.redis {
            writeln!(text, "limits     counted by all instances in {redis}")?;
        }
        writeln!(text, "prices     version {}", self.prices.version())?;
        if self.price_updates.kept == KeptIn::Database {
            writeln!(text, "           and the updates that are kept in the database")?;
        }
        if !self.price_updates.left_out.is_empty() {
            let count = self.price_updates.left_out.len();
            writeln!(text, "           {count} of what maps of prices say was not understood")?;
        }
        if let Some(refresh) = &self.price_updates.refresh {
            writeln!(
                text,
                "           fetched every {} from {}",
                duration::display(refresh.every),
                refresh.url
            )?;
        }
        for (place, provider) in self.settings.providers.iter().enumerate() {
            let keys = match provider.credentials.as_slice() {
                [] => "no key".to_owned(),
                [ProviderCredential { proof: CredentialProof::Signature { .. }, .. }] => "signed".to_owned(),
                [ProviderCredential { proof: CredentialProof::Issued { .. }, .. }] => "issued".to_owned(),
                [_] => "1 key".to_owned(),
                several => format!("{} keys", several.len()),
            };
            let spoken: Vec<&str> = provider.spoken.iter().map(|spoken| spoken.protocol.as_str()).collect();
            let proxy = self.origins.get(place).and_then(|(_, options)| options.proxy.as_ref());
            let proxy = proxy.map_or_else(String::new, |proxy| format!(" through the proxy {proxy}"));
            writeln!(
                text,
                "provider   {}: {} at {}{proxy}, {keys}, at most {} per attempt",
                provider.name,
                spoken.join(", "),
                provider.base_url,
                duration::display(provider.timeouts.total),
            )?;
        }
        for route in &self.settings.routes {
            let targets: Vec<String> = route
                .targets
                .iter()
                .map(|target| format!("{}/{} ×{}", target.provider, target.model, target.weight))
                .collect();
            write!(text, "model      {}: {}", route.name, targets.join(", "))?;
            for fallback in &route.fallbacks {
                write!(text, ", else {}/{}", fallback.provider, fallback.model)?;
            }
            writeln!(text)?;
        }
        Ok(())
    }
}
