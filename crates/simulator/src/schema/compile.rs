//! Reads a schema's JSON.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::limits::Limits;
use super::proto::Scalar;
use super::{Group, Node, Object, Others, SchemaError};

/// Reads one node; `places` are those of the definitions.
pub(super) fn compile(node: &Value, places: &HashMap<&str, usize>) -> Result<Node, SchemaError> {
    let bare = compile_bare(node, places)?;
    Ok(match Limits::read(node)? {
        Some(limits) => Node::Limited(Box::new(bare), limits),
        None => bare,
    })
}

fn compile_bare(node: &Value, places: &HashMap<&str, usize>) -> Result<Node, SchemaError> {
    let unreadable = || SchemaError(format!("cannot read {node}"));
    if let Some(reference) = node.get("$ref").and_then(Value::as_str) {
        let name = reference.strip_prefix("#/$defs/").ok_or_else(unreadable)?;
        return places.get(name).map(|place| Node::Definition(*place)).ok_or_else(unreadable);
    }
    if let Some(branches) = node.get("anyOf").and_then(Value::as_array) {
        let branches = branches.iter().map(|branch| compile(branch, places));
        return Ok(Node::AnyOf(branches.collect::<Result<_, _>>()?));
    }
    if let Some(constant) = node.get("const") {
        return Ok(Node::Exactly(constant.clone()));
    }
    let kind = node.get("type").and_then(Value::as_str);
    if let Some(allowed) = node.get("enum").and_then(Value::as_array) {
        let allowed = allowed.iter().map(|text| text.as_str().map(str::to_owned));
        let allowed: Vec<String> = allowed.collect::<Option<_>>().ok_or_else(unreadable)?;
        return Ok(match kind {
            Some("proto-enum") => Node::Proto(Scalar::Enum { name: text_of(node, "name"), allowed }),
            _ => Node::OneOf(allowed),
        });
    }
    match kind {
        Some("null") => Ok(Node::Null),
        Some("boolean") => Ok(Node::Boolean),
        Some("integer") => Ok(Node::Integer),
        Some("number") => Ok(Node::Number),
        Some("string") => Ok(Node::Text),
        Some("array") => {
            let item = node.get("items").map_or(Ok(Node::Anything), |item| compile(item, places))?;
            Ok(Node::List(Box::new(item)))
        }
        Some("object") => compile_object(node, places).map(Node::Object),
        Some(other) => Scalar::named(other).map(Node::Proto).ok_or_else(unreadable),
        None if node.as_object().is_some_and(Map::is_empty) => Ok(Node::Anything),
        None => Err(unreadable()),
    }
}

fn compile_object(node: &Value, places: &HashMap<&str, usize>) -> Result<Object, SchemaError> {
    let others = match node.get("additionalProperties") {
        None | Some(Value::Bool(false)) => Others::Refused,
        Some(Value::Bool(true)) => Others::Like(Box::new(Node::Anything)),
        Some(node) => Others::Like(Box::new(compile(node, places)?)),
    };
    let named = node.get("properties").and_then(Value::as_object);
    let fields = named.into_iter().flatten().map(|(name, node)| Ok((name.clone(), compile(node, places)?)));
    let mut groups: Vec<Group> = Vec::new();
    for names in node.get("oneofs").and_then(Value::as_array).into_iter().flatten() {
        groups.push(Group { names: texts(names), required: false });
    }
    if node.get("union") == Some(&Value::Bool(true)) {
        let names = named.into_iter().flatten().map(|(name, _)| name.clone()).collect();
        groups.push(Group { names, required: true });
    }
    Ok(Object {
        fields: fields.collect::<Result<_, _>>()?,
        required: node.get("required").map(texts).unwrap_or_default(),
        others,
        groups,
        name: text_of(node, "name"),
    })
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn text_of(node: &Value, key: &str) -> String {
    node.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
