//! Responses that the API has kept: <https://platform.openai.com/docs/api-reference/responses/get>.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::refusal::Refusal;

/// Kept responses by id. It forgets everything once it is full.
#[derive(Debug, Default)]
pub(crate) struct KeptResponses {
    by_id: Mutex<HashMap<String, Kept>>,
}

#[derive(Debug)]
struct Kept {
    response: Value,
    /// What was said before it.
    items: Vec<Value>,
}

impl KeptResponses {
    const CAPACITY: usize = 10_000;

    pub(crate) fn keep(&self, response: Value, items: Vec<Value>) {
        let Some(id) = response["id"].as_str().map(str::to_owned) else { return };
        let mut kept = self.lock();
        if kept.len() >= Self::CAPACITY {
            kept.clear();
        }
        kept.insert(id, Kept { response, items });
    }

    /// Everything said up to the end of a kept response.
    pub(super) fn conversation(&self, id: &str) -> Option<Vec<Value>> {
        let kept = self.lock();
        let Kept { response, items } = kept.get(id)?;
        let output = response["output"].as_array().into_iter().flatten();
        Some(items.iter().chain(output).cloned().collect())
    }

    /// A kept item.
    pub(super) fn item(&self, id: &str) -> Option<Value> {
        let kept = self.lock();
        let mut outputs =
            kept.values().flat_map(|kept| kept.response["output"].as_array().into_iter().flatten());
        outputs.find(|item| item["id"] == id).cloned()
    }

    /// `GET /v1/responses/{id}`.
    pub(crate) fn get(&self, id: &str) -> Result<Value, Refusal> {
        self.lock().get(id).map(|kept| kept.response.clone()).ok_or_else(|| not_found(id))
    }

    /// `DELETE /v1/responses/{id}`.
    pub(crate) fn delete(&self, id: &str) -> Result<Value, Refusal> {
        match self.lock().remove(id) {
            Some(_) => Ok(json!({"id": id, "object": "response", "deleted": true})),
            None => Err(not_found(id)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found(id: &str) -> Refusal {
    Refusal::new(404, "invalid_request_error", format!("Response with id '{id}' not found."))
}
