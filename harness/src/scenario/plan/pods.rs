/// How the containers of a pod are frozen for their checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PodFreeze {
    /// All at one instant, before any is dumped.
    Together,
    /// Each for its own checkpoint, and thawed after it: the next one's is taken when the pod has gone on.
    Each,
}

/// The name of a container of a pod, as an instance.
pub fn container_of(pod: &str, container: &str) -> String {
    format!("{pod}-{container}")
}
