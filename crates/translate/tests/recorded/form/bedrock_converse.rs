//! What Converse says in several ways.

use serde_json::Value;

/// What says the same as if it were not there is taken out, and two names of the same field become one.
pub(super) fn form(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(config) = fields.remove("reasoning_config") {
                fields.insert("thinking".into(), config);
            }
            if fields.get("status").is_some_and(|status| status == "success") {
                fields.remove("status");
            }
            if fields.get("type").is_some_and(|kind| kind == "tool_use") {
                fields.remove("type");
            }
            fields.values_mut().for_each(form);
        }
        Value::Array(items) => items.iter_mut().for_each(form),
        _ => {}
    }
}
