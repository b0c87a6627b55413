/// A part of a list that is ordered by id, which is the order of creation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Begin after this id.
    pub after: Option<String>,
    /// Newest first.
    pub descending: bool,
    /// Rows at most; ask for one more than wanted to learn whether there are more.
    pub limit: u32,
}
