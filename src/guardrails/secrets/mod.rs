use super::patterns::Pattern;

/// All of them.
pub(super) fn patterns() -> impl Iterator<Item = &'static Pattern> {
    [].into_iter()
}
