use std::fmt;

use weighbridge_units::{KeyId, Timestamp};

use crate::{KeptId, Tenant};

/// Who gave an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AnsweredBy {
    /// The provider, as the configuration names it.
    pub provider: String,
    /// The model, as the provider names it.
    pub model: String,
}

/// An answer with what it takes to go on from it. Its `Debug` shows neither prompt nor answer.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The id that the client knows it by.
    pub id: KeptId,
    /// Whose it is.
    pub tenant: Tenant,
    /// The key that asked. The whole tenant may read the answer, as with OpenAI's projects.
    pub key: KeyId,
    /// When it was made.
    pub created: Timestamp,
    /// Who gave it.
    pub answered_by: AnsweredBy,
    /// The provider's own id of the answer, where the provider keeps it as well: a request that goes on
    /// from it can then name it there.
    pub provider_id: Option<String>,
    /// The answer that this one went on from.
    pub previous: Option<KeptId>,
    /// What the request itself said: the text of a JSON array of input items. What `previous` has said
    /// is not repeated.
    pub input: String,
    /// The text of the JSON object that the client was answered with.
    pub answer: String,
}

impl KeptAnswer {
    /// The id under which `provider` holds the whole conversation up to and with this answer; `None`
    /// where it does not, so that the conversation has to be sent to it once more.
    ///
    /// An id is good at the provider that made it and nowhere else. Which of its models goes on does not
    /// matter.
    pub fn held_by(&self, provider: &str) -> Option<&str> {
        self.provider_id.as_deref().filter(|_| self.answered_by.provider == provider)
    }
}

impl fmt::Debug for KeptAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptAnswer")
            .field("id", &self.id)
            .field("tenant", &self.tenant)
            .field("key", &self.key)
            .field("created", &self.created)
            .field("answered_by", &self.answered_by)
            .field("provider_id", &self.provider_id)
            .field("previous", &self.previous)
            .field("input_bytes", &self.input.len())
            .field("answer_bytes", &self.answer.len())
            .finish()
    }
}
