//! Nodes that come and go together, since one program makes all of them: with the first that is asked for, and with the last that
//! is let go of.

use crate::record::Failure;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Mutex, MutexGuard};

/// They, and who uses them. `U`: what there is while they are up.
pub(super) struct Together<U> {
    /// What they are of: `kind cluster`.
    whose: &'static str,
    /// The names that they have in scenarios.
    names: Vec<String>,
    /// How often they could not be made.
    failures: AtomicUsize,
    held: Mutex<Held<U>>,
}

/// What there is of them.
pub(super) struct Held<U> {
    pub(super) up: Option<U>,
    /// Those that are in use.
    taken: BTreeSet<String>,
    /// Why they could not be made the last time.
    failed: Option<Failure>,
}

impl<U> Held<U> {
    /// They are gone, or nobody's any more, whoever uses them.
    pub(super) fn let_go(&mut self) -> Option<U> {
        self.taken.clear();
        self.up.take()
    }
}

impl<U> Together<U> {
    pub(super) fn new(whose: &'static str, names: &[String]) -> Together<U> {
        let held = Mutex::new(Held { up: None, taken: BTreeSet::new(), failed: None });
        Together { whose, names: names.to_owned(), failures: AtomicUsize::new(0), held }
    }

    /// One of them. `bring_up` is begun if they are not up; who has waited for a bring-up that failed gets that failure and does
    /// not try once more: it may take minutes.
    pub(super) async fn take<N>(
        &self,
        name: &str,
        bring_up: impl Future<Output = Result<U, Failure>> + Send,
        find: impl FnOnce(&U) -> Option<N>,
    ) -> Result<N, Failure> {
        let failures = self.failures.load(Ordering::Relaxed);
        let mut held = self.held.lock().await;
        if held.up.is_none() {
            if let Some(failure) = held.failed.clone().filter(|_| self.failures.load(Ordering::Relaxed) != failures) {
                return Err(failure);
            }
            match bring_up.await {
                Ok(up) => held.up = Some(up),
                Err(failure) => {
                    self.failures.fetch_add(1, Ordering::Relaxed);
                    held.failed = Some(failure.clone());
                    return Err(failure);
                }
            }
        }
        let Some(found) = held.up.as_ref().and_then(find) else {
            let all = self.names.join(", ");
            return Err(Failure::surroundings(format!("the {} has no worker {name}: it has {all}", self.whose)));
        };
        held.taken.insert(name.to_owned());
        Ok(found)
    }

    /// Lets go of one; with the last, what there was is given.
    pub(super) async fn give_back(&self, name: &str) -> Option<U> {
        let mut held = self.held.lock().await;
        held.taken.remove(name);
        if held.taken.is_empty() { held.up.take() } else { None }
    }

    /// What there is now.
    pub(super) async fn now(&self) -> MutexGuard<'_, Held<U>> {
        self.held.lock().await
    }

    /// What is of those that are up.
    pub(super) async fn of<T>(&self, what: impl FnOnce(&U) -> T) -> Result<T, Failure> {
        let held = self.held.lock().await;
        let not_up = || Failure::surroundings(format!("the {} is not up", self.whose));
        held.up.as_ref().map(what).ok_or_else(not_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_two() -> Together<u32> {
        Together::new("kind cluster", &["a".to_owned(), "b".to_owned()])
    }

    #[tokio::test]
    async fn they_come_with_the_first_and_go_with_the_last() {
        let nodes = of_two();
        let up = async || nodes.take("a", async { Ok(7) }, |up| Some(*up)).await.unwrap();
        assert_eq!(up().await, 7);
        let again = nodes.take("b", async { panic!("they are up") }, |up| Some(*up)).await;
        assert_eq!(again.unwrap(), 7);
        assert_eq!(nodes.give_back("a").await, None);
        assert_eq!(nodes.of(|up| *up).await.unwrap(), 7);
        assert_eq!(nodes.give_back("b").await, Some(7));
        assert_eq!(nodes.of(|up| *up).await.unwrap_err().message, "the kind cluster is not up");
    }

    #[tokio::test]
    async fn one_that_there_is_not_is_told_and_not_in_use() {
        let nodes = of_two();
        let error = nodes.take("c", async { Ok(7) }, |_| None::<u32>).await.unwrap_err();
        assert_eq!(error.message, "the kind cluster has no worker c: it has a, b");
        assert_eq!(nodes.give_back("c").await, Some(7));
    }

    #[tokio::test]
    async fn who_waited_for_a_failure_does_not_try_once_more() {
        let nodes = of_two();
        let (first, second) = tokio::join!(
            nodes.take(
                "a",
                async {
                    tokio::task::yield_now().await;
                    Err(Failure::surroundings("no dockerd"))
                },
                |up: &u32| Some(*up)
            ),
            nodes.take("b", async { panic!("it waited") }, |up| Some(*up)),
        );
        assert_eq!([first.unwrap_err().message, second.unwrap_err().message], ["no dockerd"; 2]);
        let later = nodes.take("a", async { Ok(7) }, |up| Some(*up)).await;
        assert_eq!(later.unwrap(), 7, "who comes later tries");
    }
}
