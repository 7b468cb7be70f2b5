use super::view::RunView;
use crate::record::Run;

/// `run.json`: a [`RunView`], whose types document it. Client operations are summarised; their histories are files of
/// their own.
pub fn json(run: &Run) -> String {
    let mut text = serde_json::to_string_pretty(&RunView::of(run)).unwrap_or_else(|e| {
        // Plain structs with string keys: only a float that is not finite could be refused, and serde_json writes null.
        format!("{{\"schema\":{},\"error\":\"{e}\"}}", super::view::SCHEMA)
    });
    text.push('\n');
    text
}

/// The JSON schema of `run.json`.
pub fn json_schema() -> String {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let schema = settings.into_generator().into_root_schema_for::<RunView>();
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
