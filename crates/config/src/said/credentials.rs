//! Credentials of a provider.

use crate::keys;
use crate::providers::header_text;
use crate::reader::{Given, Item, Reader, Said, Table};

pub(crate) struct ApiKey {
    pub(crate) key: Said<String>,
    pub(crate) weight: Given<u64>,
}

impl ApiKey {
    /// The keys of a provider: texts, or tables with a weight.
    pub(super) fn read_all(reader: &mut Reader<'_>, table: &Table<'_>) -> Given<Vec<Self>> {
        let Given::Said(items) = reader.right_items(table, "api_keys", &keys::API_KEY) else {
            return if table.has("api_keys") { Given::Wrong } else { Given::Absent };
        };
        let (right, wrong) = items.value;
        let count = right.len();
        let read = right.into_iter().filter_map(|(span, item)| {
            let (key, weight) = match item {
                Item::Text(key) => (key, Given::Absent),
                Item::Table(item) => {
                    let weight = reader.integer(&item, "weight", 0..=1_000_000);
                    let key = reader.text(&item, "key");
                    if key.is_absent() {
                        let hint = r#"write it like this: { key = "${OPENAI_API_KEY}", weight = 3 }"#;
                        reader.problems.at(span, "this API key has no `key`").hint(hint);
                    }
                    (key.into_said()?, weight)
                }
            };
            if let Err(why) = header_text(&key.value) {
                let path = table.name_of("api_keys");
                reader
                    .problems
                    .at(key.span.clone(), format!("`{path}`: its value is not an API key: it {why}"))
                    .hint("for a provider that needs no key write: api_keys = []");
                return None;
            }
            Some(Self { key, weight })
        });
        let read: Vec<Self> = read.collect();
        if wrong || read.len() < count {
            Given::Wrong
        } else {
            Given::Said(Said { value: read, span: items.span })
        }
    }
}

/// Who gives keys of an AWS account.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum AwsFrom {
    Keys,
    Environment,
    WebIdentity,
    Instance,
    Container,
}

pub(crate) struct Aws {
    pub(crate) access_key_id: Given<String>,
    pub(crate) secret_access_key: Given<String>,
    pub(crate) session_token: Given<String>,
    pub(crate) from: Given<AwsFrom>,
    pub(crate) role_arn: Given<String>,
    pub(crate) web_identity: Given<String>,
    pub(crate) external_id: Given<String>,
    pub(crate) session_name: Given<String>,
    pub(crate) sts_url: Given<String>,
    pub(crate) metadata_url: Given<String>,
}

impl Aws {
    pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        let from = [
            ("keys", AwsFrom::Keys),
            ("environment", AwsFrom::Environment),
            ("web-identity", AwsFrom::WebIdentity),
            ("instance", AwsFrom::Instance),
            ("container", AwsFrom::Container),
        ];
        Self {
            access_key_id: reader.text(table, "access_key_id"),
            secret_access_key: reader.text(table, "secret_access_key"),
            session_token: reader.text(table, "session_token"),
            from: reader.choice(table, "from", &from),
            role_arn: reader.text(table, "role_arn"),
            web_identity: reader.text(table, "web_identity"),
            external_id: reader.text(table, "external_id"),
            session_name: reader.text(table, "session_name"),
            sts_url: reader.text(table, "sts_url"),
            metadata_url: reader.text(table, "metadata_url"),
        }
    }
}

/// Who gives tokens of Google Cloud.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum GcpFrom {
    File,
    Environment,
    Metadata,
}

pub(crate) struct Gcp {
    pub(crate) credentials: Given<String>,
    pub(crate) from: Given<GcpFrom>,
    pub(crate) token_url: Given<String>,
    pub(crate) metadata_url: Given<String>,
}

impl Gcp {
    pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        let from =
            [("file", GcpFrom::File), ("environment", GcpFrom::Environment), ("metadata", GcpFrom::Metadata)];
        Self {
            credentials: reader.text(table, "credentials"),
            from: reader.choice(table, "from", &from),
            token_url: reader.text(table, "token_url"),
            metadata_url: reader.text(table, "metadata_url"),
        }
    }
}

/// Who gives tokens of Entra.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum AzureFrom {
    Client,
    Environment,
    ManagedIdentity,
}

pub(crate) struct Azure {
    pub(crate) tenant_id: Given<String>,
    pub(crate) client_id: Given<String>,
    pub(crate) client_secret: Given<String>,
    pub(crate) certificate: Given<String>,
    pub(crate) token_file: Given<String>,
    pub(crate) from: Given<AzureFrom>,
    pub(crate) authority: Given<String>,
    pub(crate) scope: Given<String>,
    pub(crate) metadata_url: Given<String>,
}

impl Azure {
    pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        let from = [
            ("client", AzureFrom::Client),
            ("environment", AzureFrom::Environment),
            ("managed-identity", AzureFrom::ManagedIdentity),
        ];
        Self {
            tenant_id: reader.text(table, "tenant_id"),
            client_id: reader.text(table, "client_id"),
            client_secret: reader.text(table, "client_secret"),
            certificate: reader.text(table, "certificate"),
            token_file: reader.text(table, "token_file"),
            from: reader.choice(table, "from", &from),
            authority: reader.text(table, "authority"),
            scope: reader.text(table, "scope"),
            metadata_url: reader.text(table, "metadata_url"),
        }
    }
}
