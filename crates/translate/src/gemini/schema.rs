//! Schemas. Gemini takes them in two forms: `parameters` and `responseSchema` are a subset of OpenAPI 3.0
//! (<https://ai.google.dev/api/caching#Schema>), `parametersJsonSchema` and `responseJsonSchema` are JSON
//! Schema. The canonical model has JSON Schema, so what is written is always the second form, untouched:
//! nothing of a schema is lost, and its bytes stay those that a prompt cache knows. What is read in the
//! first form is rewritten:
//!
//! | OpenAPI subset | JSON Schema |
//! |---|---|
//! | `"type": "STRING"` | `"type": "string"` |
//! | `"nullable": true` | `"null"` among the types; `null` among the values of an `enum` |
//! | `"maxItems": "5"` | `"maxItems": 5` |
//! | `"format": "enum"` | nothing: it says that there is an `enum` |
//! | `"example": x` | `"examples": [x]` |
//! | `"defs"`, `"ref"` | `"$defs"`, `"$ref"` |
//! | names in `snake_case` | names in `camelCase` |

use weighbridge_protocol::json::{Fields, Kind, Object, Raw, Writer};

use crate::conversation::JsonText;

/// A schema of the OpenAPI subset as JSON Schema: the very text, where there is nothing to rewrite.
pub(super) fn json_schema(raw: Raw<'_>) -> JsonText<'_> {
    let mut is_changed = false;
    let made = JsonText::made(|writer| is_changed = schema(raw, writer));
    if is_changed { made } else { raw.into() }
}

/// Writes a schema, and says whether it became another.
fn schema(raw: Raw<'_>, writer: Writer<'_>) -> bool {
    let Ok(fields) = Fields::read(raw) else {
        // `true` and `false` are schemas as well.
        writer.raw(raw.text());
        return false;
    };
    let is_nullable = fields.peek("nullable").is_some_and(|raw| raw.text() == "true");
    let mut object = writer.object();
    let mut is_changed = false;
    for (name, value) in fields.rest().iter() {
        is_changed |= keyword(name, value, is_nullable, &mut object);
    }
    is_changed
}

fn keyword(name: &str, value: Raw<'_>, is_nullable: bool, object: &mut Object<'_>) -> bool {
    let camel = camel_case(name);
    let mut is_changed = camel != name;
    match (camel, value.kind()) {
        ("nullable", _) => return true,
        ("type", Kind::String) => return kind(value, is_nullable, object),
        ("format", Kind::String) if value.text() == "\"enum\"" => return true,
        ("example", _) => {
            object.key("examples").array().item().raw(value.text());
            return true;
        }
        ("enum", Kind::Array) if is_nullable => {
            let mut list = object.key("enum").array();
            value.items().into_iter().flatten().for_each(|item| list.item().raw(item.text()));
            list.item().null();
            return true;
        }
        ("items" | "additionalProperties", Kind::Object) => is_changed |= schema(value, object.key(camel)),
        ("properties" | "$defs", Kind::Object) => {
            let mut inner = object.key(camel).object();
            for (name, value) in Fields::read(value).map(Fields::rest).unwrap_or_default().iter() {
                is_changed |= schema(value, inner.key(name));
            }
        }
        ("anyOf" | "oneOf" | "allOf" | "prefixItems", Kind::Array) => {
            let mut list = object.key(camel).array();
            for item in value.items().into_iter().flatten() {
                is_changed |= schema(item, list.item());
            }
            if camel == "anyOf" && is_nullable {
                list.item().object().key("type").string("null");
            }
        }
        (_, Kind::String) if is_count(camel) => {
            match value.str().ok().and_then(|text| text.parse::<u64>().ok()) {
                Some(count) => {
                    object.key(camel).number(count);
                    is_changed = true;
                }
                None => object.key(camel).raw(value.text()),
            }
        }
        _ => object.key(camel).raw(value.text()),
    }
    is_changed
}

/// `type`, in lower case, with `null` beside it where that is allowed.
fn kind(value: Raw<'_>, is_nullable: bool, object: &mut Object<'_>) -> bool {
    let name = value.str().unwrap_or_default();
    if name == "TYPE_UNSPECIFIED" {
        return true;
    }
    let lower = name.to_ascii_lowercase();
    if is_nullable {
        let mut list = object.key("type").array();
        list.item().string(&lower);
        list.item().string("null");
        return true;
    }
    object.key("type").string(&lower);
    lower != name
}

/// Limits are 64-bit numbers, which Google writes in quotes.
fn is_count(name: &str) -> bool {
    matches!(name, "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties")
}

fn camel_case(name: &str) -> &str {
    match name {
        "any_of" => "anyOf",
        "min_items" => "minItems",
        "max_items" => "maxItems",
        "min_length" => "minLength",
        "max_length" => "maxLength",
        "min_properties" => "minProperties",
        "max_properties" => "maxProperties",
        "property_ordering" => "propertyOrdering",
        "additional_properties" => "additionalProperties",
        "defs" => "$defs",
        "ref" => "$ref",
        same => same,
    }
}

#[cfg(test)]
mod tests {
    use weighbridge_protocol::json::ScanLimits;

    use super::*;

    fn rewritten(text: &str) -> String {
        json_schema(Raw::parse(text, &ScanLimits::default()).unwrap()).text().to_owned()
    }

    #[test]
    fn the_openapi_subset_becomes_json_schema() {
        let schema = r#"{"type":"OBJECT","required":["a"],"property_ordering":["a"],"properties":{
            "a":{"type":"STRING","nullable":true,"format":"enum","enum":["x"],"example":"x"},
            "type":{"type":"ARRAY","maxItems":"5","min_items":"1","items":{"ref":"/defs/n"}},
            "b":{"anyOf":[{"type":"INTEGER","format":"int64"}],"nullable":true}},
            "defs":{"n":{"type":"TYPE_UNSPECIFIED","nullable":false}}}"#;
        assert_eq!(
            rewritten(schema),
            r#"{"type":"object","required":["a"],"propertyOrdering":["a"],"properties":{"a":{"type":["string","null"],"enum":["x",null],"examples":["x"]},"type":{"type":"array","maxItems":5,"minItems":1,"items":{"$ref":"/defs/n"}},"b":{"anyOf":[{"type":"integer","format":"int64"},{"type":"null"}]}},"$defs":{"n":{}}}"#
        );
    }

    #[test]
    fn json_schema_stays_as_it_was_written() {
        for schema in [
            r#"{ "type": "object",  "properties": {"z": {"minimum": 1.50}, "nullable": {}, "ref": true}}"#,
            r##"{"anyOf":[{"type":["string","null"]}],"maxItems":5,"$ref":"#/$defs/a","$defs":{"a":true}}"##,
            "{}",
            "true",
        ] {
            assert_eq!(rewritten(schema), schema);
        }
    }
}
