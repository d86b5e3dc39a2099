//! Checks a body against a vendor's published request schema.
//!
//! The schemas lie in `schemas/`: JSON Schema, made from the request types in the vendors' packages
//! (see `e2e/judges/published_schema.py` and its neighbours). They use few keywords, and this checker
//! knows only those, with a few of its own: types of Protocol Buffers (`proto-int32`), groups of fields
//! of which one may be there (`oneofs`) or must be (`union`). Objects refuse fields that the schema
//! does not name.

mod compile;
mod limits;
mod proto;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use thiserror::Error;

use compile::compile;
use limits::Limits;
use proto::{Scalar, camel};

/// A compiled schema.
#[derive(Debug)]
pub(crate) struct Schema {
    root: Node,
    definitions: Vec<Node>,
    /// Places of the definitions.
    named: HashMap<String, usize>,
    /// Whether bodies have the freedoms of [`proto`].
    is_proto: bool,
}

#[derive(Debug)]
enum Node {
    Anything,
    Null,
    Boolean,
    Integer,
    Number,
    Text,
    Exactly(Value),
    OneOf(Vec<String>),
    List(Box<Node>),
    Object(Object),
    AnyOf(Vec<Node>),
    Definition(usize),
    Proto(Scalar),
    Limited(Box<Node>, Limits),
}

#[derive(Debug)]
struct Object {
    fields: BTreeMap<String, Node>,
    required: Vec<String>,
    others: Others,
    groups: Vec<Group>,
    /// Of a message of Protocol Buffers.
    name: String,
}

/// Fields of which at most one may be there.
#[derive(Debug)]
struct Group {
    names: Vec<String>,
    /// Whether one must be.
    required: bool,
}

/// What an object says about fields that it does not name.
#[derive(Debug)]
enum Others {
    Refused,
    Like(Box<Node>),
}

/// One step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Field(String),
    Item(usize),
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Defect {
    /// The object at the path lacks this field.
    Missing(String),
    /// The object at the path has a field that the schema does not name.
    Unknown(String),
    /// The value at the path has another type than any that is allowed.
    WrongType { expected: Vec<&'static str>, found: &'static str },
    /// The text at the path is none of those allowed.
    NotAllowed { allowed: Vec<String>, found: String },
    /// The value at the path is not of that type of Protocol Buffers.
    NotProto { kind: String, found: String },
    /// The object at the path has two fields of which only one may be there.
    Both { first: String, second: String },
    /// The object at the path has none of the fields of which one must be there.
    NoneOf(Vec<String>),
    /// The value at the path has the right type, but breaks a constraint.
    Constraint { found: String, constraint: String },
}

/// The first thing wrong with a body, and where.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Violation {
    pub(crate) path: Vec<Step>,
    pub(crate) defect: Defect,
}

/// A schema that this checker cannot read.
#[derive(Debug, Error)]
#[error("schema: {0}; use only the keywords that crates/simulator/src/schema.rs knows")]
pub(crate) struct SchemaError(String);

impl Schema {
    /// Compiles a schema's text.
    pub(crate) fn compile(text: &str) -> Result<Self, SchemaError> {
        let document: Value = serde_json::from_str(text).map_err(|error| SchemaError(error.to_string()))?;
        let named = document.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
        let places: HashMap<&str, usize> =
            named.keys().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        Ok(Self {
            root: match document.get("dialect") {
                // It has several roots, each of them a definition.
                Some(_) => Node::Anything,
                None => compile(&document, &places)?,
            },
            definitions: named.values().map(|node| compile(node, &places)).collect::<Result<_, _>>()?,
            named: places.iter().map(|(name, place)| ((*name).to_owned(), *place)).collect(),
            is_proto: document.get("dialect").is_some_and(|dialect| dialect == "proto"),
        })
    }

    /// The violation that lies deepest, if any.
    pub(crate) fn check(&self, body: &Value) -> Result<(), Violation> {
        self.visit(&self.root, body)
    }

    /// The same by the definition of that name; everything violates one that is not there.
    pub(crate) fn check_as(&self, name: &str, body: &Value) -> Result<(), Violation> {
        match self.named.get(name) {
            Some(place) => self.visit(&Node::Definition(*place), body),
            None => Err(Violation { path: Vec::new(), defect: Defect::Missing(name.to_owned()) }),
        }
    }

    fn visit(&self, node: &Node, value: &Value) -> Result<(), Violation> {
        match node {
            Node::Anything => Ok(()),
            Node::Definition(place) => match self.definitions.get(*place) {
                Some(node) => self.visit(node, value),
                None => Ok(()),
            },
            Node::Null if value.is_null() => Ok(()),
            Node::Boolean if value.is_boolean() => Ok(()),
            Node::Integer if value.is_i64() || value.is_u64() => Ok(()),
            Node::Number if value.is_number() => Ok(()),
            Node::Text if value.is_string() => Ok(()),
            Node::Null | Node::Boolean | Node::Integer | Node::Number | Node::Text => {
                Err(wrong_type(node, value))
            }
            Node::Exactly(constant) if value == constant => Ok(()),
            Node::Exactly(Value::String(allowed)) => not_allowed(std::slice::from_ref(allowed), value),
            Node::Exactly(_) => Err(wrong_type(node, value)),
            Node::OneOf(allowed) => match value.as_str() {
                Some(text) if allowed.iter().any(|a| a == text) => Ok(()),
                _ => not_allowed(allowed, value),
            },
            Node::Proto(scalar) if scalar.fits(value) => Ok(()),
            Node::Proto(scalar) => not_proto(scalar.name(), value),
            Node::Limited(bare, limits) => {
                self.visit(bare, value)?;
                let broken = limits.check(value);
                broken.map_or(Ok(()), |defect| Err(Violation { path: Vec::new(), defect }))
            }
            Node::List(item) => match value.as_array() {
                Some(items) => items.iter().enumerate().try_for_each(|(place, value)| {
                    self.visit(item, value).map_err(|violation| violation.below(Step::Item(place)))
                }),
                // The only item of a list may stand for the list, as in Google's own examples.
                None if self.is_proto && !value.is_null() => self.visit(item, value),
                None => Err(wrong_type(node, value)),
            },
            Node::Object(object) => self.visit_object(object, node, value),
            Node::AnyOf(branches) => self.visit_any(branches, value),
        }
    }

    fn visit_object(&self, object: &Object, node: &Node, value: &Value) -> Result<(), Violation> {
        let Object { fields, required, others, groups, name } = object;
        let Some(given) = value.as_object() else {
            return match self.is_proto {
                true => not_proto(format!("type.googleapis.com/{name}"), value),
                false => Err(wrong_type(node, value)),
            };
        };
        let here = |defect| Err(Violation { path: Vec::new(), defect });
        // A wrong tag comes first: the other fields may then be those of another branch.
        for (name, tag) in fields.iter().filter(|(_, node)| matches!(node, Node::Exactly(_))) {
            if let Some(value) = given.get(name) {
                self.visit(tag, value).map_err(|violation| violation.below(Step::Field(name.clone())))?;
            }
        }
        let tag = |name: &&String| matches!(fields.get(*name), Some(Node::Exactly(_)));
        let missing = required.iter().filter(|name| !given.contains_key(*name));
        if let Some(name) = missing.max_by_key(tag) {
            return here(Defect::Missing(name.clone()));
        }
        let mut known: Vec<String> = Vec::with_capacity(given.len());
        for (name, value) in given {
            let read = if self.is_proto { camel(name) } else { name.clone() };
            let node = match (fields.get(&read), others) {
                (Some(_), _) if self.is_proto && value.is_null() => continue,
                (Some(_), _) if known.contains(&read) => {
                    return here(Defect::Both { first: read.clone(), second: read });
                }
                (Some(node), _) => node,
                (None, Others::Like(node)) => node,
                (None, Others::Refused) => return here(Defect::Unknown(name.clone())),
            };
            self.visit(node, value).map_err(|violation| violation.below(Step::Field(name.clone())))?;
            known.push(read);
        }
        for Group { names, required } in groups {
            let mut there = names.iter().filter(|name| known.contains(name));
            match (there.next(), there.next()) {
                (Some(first), Some(second)) => {
                    return here(Defect::Both { first: first.clone(), second: second.clone() });
                }
                (None, _) if *required => return here(Defect::NoneOf(names.clone())),
                _ => {}
            }
        }
        Ok(())
    }

    /// Tries each branch. Where all fail, the branch that the sender must have meant gives the
    /// reason: the one whose tag (`type`, `role`) fits, then the one in which least is wrong, then the
    /// one that failed deepest.
    fn visit_any(&self, branches: &[Node], value: &Value) -> Result<(), Violation> {
        let mut failures = Vec::new();
        for branch in branches {
            match self.visit(branch, value) {
                Ok(()) => return Ok(()),
                Err(violation) => failures.push((self.closeness(branch, value), violation)),
            }
        }
        let shallow = |violation: &Violation| {
            violation.path.is_empty() && matches!(violation.defect, Defect::WrongType { .. })
        };
        if failures.iter().all(|(_, violation)| shallow(violation)) {
            return Err(merged_types(failures.into_iter().map(|(_, violation)| violation), value));
        }
        if failures.iter().all(|((fits, _), _)| !fits)
            && let Some(violation) = merged_tags(failures.iter().map(|(_, violation)| violation))
        {
            return Err(violation);
        }
        let best = failures.into_iter().max_by_key(|((fits, wrong), violation)| {
            let named = matches!(violation.defect, Defect::NotAllowed { .. });
            (*fits, !shallow(violation), Reverse(*wrong), violation.path.len(), named)
        });
        best.map_or(Ok(()), |(_, violation)| Err(violation))
    }

    /// Whether the tags fit, and how much is wrong.
    fn closeness(&self, node: &Node, value: &Value) -> (bool, usize) {
        (self.fits_tags(node, value), self.count(node, value))
    }

    /// How many things are wrong with a value.
    fn count(&self, node: &Node, value: &Value) -> usize {
        match (node, value) {
            (Node::Definition(place), _) => {
                self.definitions.get(*place).map_or(0, |node| self.count(node, value))
            }
            (Node::AnyOf(branches), _) => {
                branches.iter().map(|branch| self.count(branch, value)).min().unwrap_or(0)
            }
            (Node::List(item), Value::Array(items)) => {
                items.iter().map(|value| self.count(item, value)).sum()
            }
            (Node::Object(Object { fields, required, others, .. }), Value::Object(object)) => {
                let missing = required.iter().filter(|name| !object.contains_key(*name)).count();
                let wrong = object.iter().map(|(name, value)| match (fields.get(name), others) {
                    (Some(node), _) => self.count(node, value),
                    (None, Others::Like(node)) => self.count(node, value),
                    (None, Others::Refused) => 1,
                });
                missing + wrong.sum::<usize>()
            }
            _ => usize::from(self.visit(node, value).is_err()),
        }
    }

    /// Whether every constant field of an object schema has the right value here, or may be absent.
    fn fits_tags(&self, node: &Node, value: &Value) -> bool {
        match (node, value) {
            (Node::Definition(place), _) => {
                self.definitions.get(*place).is_some_and(|node| self.fits_tags(node, value))
            }
            (Node::Object(Object { fields, required, .. }), Value::Object(object)) => {
                fields.iter().all(|(name, node)| match (node, object.get(name)) {
                    (Node::Exactly(constant), Some(value)) => value == constant,
                    (Node::Exactly(_), None) => !required.contains(name),
                    _ => true,
                })
            }
            (Node::List(_), Value::Array(_)) => true,
            _ => false,
        }
    }
}

impl Violation {
    fn below(mut self, step: Step) -> Self {
        self.path.insert(0, step);
        self
    }
}

/// One violation that names every type that would have done.
fn merged_types(violations: impl Iterator<Item = Violation>, value: &Value) -> Violation {
    let mut names = Vec::new();
    for violation in violations {
        if let Defect::WrongType { expected, .. } = violation.defect {
            names.extend(expected.into_iter().filter(|name| *name != "null"));
        }
    }
    names.dedup();
    Violation { path: Vec::new(), defect: Defect::WrongType { expected: names, found: type_name(value) } }
}

/// One violation that names every tag that would have done, where all branches failed at one tag.
fn merged_tags<'a>(violations: impl Iterator<Item = &'a Violation>) -> Option<Violation> {
    let mut all = Vec::new();
    let mut place: Option<(&[Step], &str)> = None;
    for violation in violations {
        let Defect::NotAllowed { allowed, found } = &violation.defect else { continue };
        if violation.path.len() > 1 || place.is_some_and(|(path, _)| path != violation.path) {
            return None;
        }
        place = Some((&violation.path, found));
        all.extend(allowed.iter().cloned());
    }
    let (path, found) = place?;
    Some(Violation {
        path: path.to_vec(),
        defect: Defect::NotAllowed { allowed: all, found: found.to_owned() },
    })
}

fn not_allowed(allowed: &[String], value: &Value) -> Result<(), Violation> {
    let defect = match value.as_str() {
        Some(text) => Defect::NotAllowed { allowed: allowed.to_vec(), found: text.to_owned() },
        None => Defect::WrongType { expected: vec!["string"], found: type_name(value) },
    };
    Err(Violation { path: Vec::new(), defect })
}

fn not_proto(kind: String, value: &Value) -> Result<(), Violation> {
    let found: String = value.to_string().chars().take(200).collect();
    Err(Violation { path: Vec::new(), defect: Defect::NotProto { kind, found } })
}

fn wrong_type(node: &Node, value: &Value) -> Violation {
    let expected = match node {
        Node::Null => "null",
        Node::Boolean | Node::Exactly(Value::Bool(_)) => "boolean",
        Node::Integer => "integer",
        Node::Number => "decimal",
        Node::List(_) => "array",
        Node::Object(_) => "object",
        _ => "string",
    };
    let defect = Defect::WrongType { expected: vec![expected], found: type_name(value) };
    Violation { path: Vec::new(), defect }
}

/// The JSON type of a value, in the vendors' words.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "decimal",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Schema {
        let text = json!({
            "type": "object",
            "required": ["model", "messages"],
            "properties": {
                "model": {"anyOf": [{"type": "string"}, {"enum": ["a"], "type": "string"}]},
                "temperature": {"anyOf": [{"type": "number"}, {"type": "null"}]},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "messages": {"type": "array", "items": {"anyOf": [
                    {"$ref": "#/$defs/Said"}, {"$ref": "#/$defs/Shown"}]}},
            },
            "$defs": {
                "Said": {"type": "object", "required": ["type", "text"], "properties": {
                    "type": {"const": "said", "type": "string"}, "text": {"type": "string"}}},
                "Shown": {"type": "object", "required": ["type", "size"], "properties": {
                    "type": {"const": "shown", "type": "string"}, "size": {"type": "integer"}}},
            },
        });
        Schema::compile(&text.to_string()).expect("the schema compiles")
    }

    fn violation(body: Value) -> Violation {
        schema().check(&body).expect_err("the body is wrong")
    }

    #[test]
    fn what_the_schema_names_passes() {
        let body = json!({"model": "m", "temperature": 1, "labels": {"a": "b"},
            "messages": [{"type": "said", "text": ""}, {"type": "shown", "size": 3}]});
        assert_eq!(schema().check(&body), Ok(()));
        assert_eq!(schema().check(&json!({"model": "m", "temperature": null, "messages": []})), Ok(()));
    }

    #[test]
    fn the_violation_is_named_where_it_lies() {
        let missing = violation(json!({"model": "m"}));
        assert_eq!(missing.defect, Defect::Missing("messages".into()));

        let unknown = violation(json!({"model": "m", "messages": [], "modle": 1}));
        assert_eq!(unknown.defect, Defect::Unknown("modle".into()));

        let deep = violation(json!({"model": "m", "messages": [{"type": "shown", "size": "3"}]}));
        assert_eq!(deep.path, [Step::Field("messages".into()), Step::Item(0), Step::Field("size".into())]);
        assert_eq!(deep.defect, Defect::WrongType { expected: vec!["integer"], found: "string" });

        let tag = violation(json!({"model": "m", "messages": [{"type": "sung", "text": ""}]}));
        assert_eq!(
            tag.defect,
            Defect::NotAllowed { allowed: vec!["said".into(), "shown".into()], found: "sung".into() }
        );

        let scalar = violation(json!({"model": "m", "messages": [], "temperature": "1"}));
        assert_eq!(scalar.defect, Defect::WrongType { expected: vec!["decimal"], found: "string" });

        let label = violation(json!({"model": "m", "messages": [], "labels": {"a": 1}}));
        assert_eq!(label.path.len(), 2);
    }

    #[test]
    fn a_keyword_that_is_not_known_is_refused() {
        assert!(Schema::compile(r#"{"type": "tuple"}"#).is_err());
    }
}
