use super::document::Document;

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
