//! Validates a document by docs/json.schema.json. Only the part of JSON Schema that the file uses
//! is understood.

use serde_json::{Map, Value};
use std::fs;
use std::path::Path;

fn stored(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    fs::read_to_string(path).expect("the file is in docs")
}

/// The one document in the text, which must be one line.
pub(crate) fn document(text: &str) -> Value {
    assert_eq!(text.lines().count(), 1, "one line: {text}");
    serde_json::from_str(text).expect("JSON")
}

/// Fails unless the document fits the schema of its verb, and docs/json.md names each of its
/// fields.
pub(crate) fn assert_valid(document: &Value) {
    let schema: Value = serde_json::from_str(&stored("json.schema.json")).expect("a schema");
    let verb = document["verb"].as_str().expect("a verb");
    check(&schema["$defs"][verb], document, &schema, verb);
    let page = stored("json.md");
    for_each_field(document, &mut |field| {
        assert!(page.contains(&format!("`{field}`")), "docs/json.md does not explain {field}");
    });
}

fn for_each_field(value: &Value, tell: &mut dyn FnMut(&str)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| for_each_field(item, tell)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            tell(name);
            for_each_field(value, tell);
        }),
        _ => {}
    }
}

fn check(schema: &Value, value: &Value, root: &Value, at: &str) {
    let schema = schema.as_object().unwrap_or_else(|| panic!("{at}: there is no such schema"));
    for (word, rule) in schema {
        match (word.as_str(), value) {
            ("$ref", _) => {
                let name = rule.as_str().and_then(|path| path.strip_prefix("#/$defs/"));
                check(&root["$defs"][name.expect("a definition")], value, root, at);
            }
            ("type", _) => assert!(is_of_type(rule, value), "{at} is no {rule}: {value}"),
            ("const", _) => assert_eq!(rule, value, "{at}"),
            ("enum", _) => {
                assert!(rule.as_array().unwrap().contains(value), "{at}: {value} of {rule}");
            }
            ("anyOf", _) if value.is_null() => {
                let is_null = |rule: &Value| rule["type"] == "null";
                assert!(rule.as_array().unwrap().iter().any(is_null), "{at} is null");
            }
            ("anyOf", _) => {
                let others = rule.as_array().unwrap().iter().filter(|rule| rule["type"] != "null");
                others.for_each(|rule| check(rule, value, root, at));
            }
            ("items", Value::Array(items)) => {
                for item in items {
                    check(rule, item, root, at);
                }
            }
            ("properties", Value::Object(fields)) => check_fields(schema, fields, root, at),
            ("required" | "additionalProperties" | "description" | "properties" | "items", _) => {}
            (other, _) => panic!("{at}: the rule {other} is not known here"),
        }
    }
}

fn check_fields(schema: &Map<String, Value>, fields: &Map<String, Value>, root: &Value, at: &str) {
    for name in schema["required"].as_array().expect("a list of fields") {
        assert!(fields.contains_key(name.as_str().unwrap()), "{at} has no {name}");
    }
    for (name, value) in fields {
        let rule = schema["properties"].get(name);
        let rule = rule.unwrap_or_else(|| panic!("{at}: the schema has no {name}"));
        check(rule, value, root, &format!("{at}.{name}"));
    }
}

fn is_of_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not known here"),
    };
    match rule {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().any(|name| is(name.as_str().unwrap())),
        other => panic!("{other} is no type"),
    }
}
