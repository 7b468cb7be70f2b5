use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Names that a bed has given away: instances, checkpoints, captures and clients of one bed differ.
#[derive(Default)]
pub(super) struct Names(Mutex<BTreeSet<String>>);

impl Names {
    /// This name, or if it is taken the first of `NAME-2`, `NAME-3`, ... that is not.
    pub(super) fn take(&self, name: &str) -> String {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let numbered = (2..).map(|n| format!("{name}-{n}"));
        let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(name));
        let free = free.unwrap_or_default();
        taken.insert(free.clone());
        free
    }
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn a_name_is_given_once() {
        let names = Names::default();
        assert_eq!(
            ["redis", "redis", "redis-2", "redis"].map(|n| names.take(n)),
            ["redis", "redis-2", "redis-2-2", "redis-3"]
        );
    }
}
