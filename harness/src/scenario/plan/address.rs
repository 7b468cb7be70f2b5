/// What becomes of the address of a container that moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Address {
    /// The copy has one of its own, and clients are sent there.
    New,
    /// It goes along. Clients are not told of anything: their connections are to the copy then, if CRIU keeps them.
    Moved,
    /// Likewise, but the way is led to the other node when the restore has returned, and not before it began: what is
    /// sent meanwhile is lost. Shows what the order is worth.
    MovedLate,
}
