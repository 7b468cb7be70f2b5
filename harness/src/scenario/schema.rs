use super::document::Document;
use schemars::Schema;

/// The JSON schema of the language, for editors.
pub fn schema() -> String {
    let schema = schemars::schema_for!(Document);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// A scenario to start from, with comments.
pub fn new_template() -> &'static str {
    include_str!("template.yaml")
}

/// An object with these properties and, of the alternatives, exactly one. Editors complete such a schema well; a list of
/// alternatives they do not.
pub(super) fn with_one_of(mut around: Schema, alternatives: &Schema, keys: &[&str], about: &str) -> Schema {
    let variants = alternatives.get("oneOf").and_then(|v| v.as_array()).cloned().unwrap_or_default();
    let mut properties = around.get("properties").and_then(|p| p.as_object()).cloned().unwrap_or_default();
    for variant in &variants {
        let Some(own) = variant.get("properties").and_then(|p| p.as_object()) else { continue };
        for (key, value) in own {
            let mut value = value.clone();
            if let (Some(object), Some(text)) = (value.as_object_mut(), variant.get("description")) {
                object.insert("description".into(), text.clone());
            }
            properties.insert(key.clone(), value);
        }
    }
    let one: Vec<serde_json::Value> = keys.iter().map(|k| serde_json::json!({"required": [k]})).collect();
    around.insert("description".into(), about.into());
    around.insert("properties".into(), properties.into());
    around.insert("oneOf".into(), one.into());
    around
}
