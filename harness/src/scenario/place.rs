/// A stretch of a scenario file. Line and column count from 1, the column in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
    /// The first byte.
    pub offset: u32,
    /// The number of bytes.
    pub length: u32,
}
