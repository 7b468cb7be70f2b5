use crate::clock;
use crate::record::At;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// An answer as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When.
    pub at: At,
    /// What was asked.
    pub key: u64,
    /// What was answered.
    pub value: u64,
}

/// Why a wait on a client ended without what it waited for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// Time was up.
    #[error("client `{client}` waited in vain for {awaited}; {seen}")]
    Timeout {
        /// The client.
        client: String,
        /// What was waited for.
        awaited: String,
        /// What had come instead.
        seen: String,
    },
    /// The client ended before.
    #[error("client `{client}` ended while {awaited} was waited for; {seen}")]
    Ended {
        /// The client.
        client: String,
        /// What was waited for.
        awaited: String,
        /// What had come instead.
        seen: String,
    },
    /// The client was never sent to that instance.
    #[error("client `{client}` does not talk to `{instance}`")]
    NotAnEndpoint {
        /// The client.
        client: String,
        /// The instance.
        instance: String,
    },
}

/// What a running client has seen so far, to look at and to wait on. All waits are woken by the client's thread at the
/// answer that ends them; the times that they return were stamped there.
#[derive(Clone, Debug)]
pub struct Watch(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    answered: u64,
    last: Option<Answer>,
    /// Instances in the order in which the client was sent to them, with the first answer of each.
    endpoints: Vec<(String, Option<At>)>,
    /// So that the client's thread makes no system call for nobody.
    waiters: u32,
    closed: bool,
}

impl Watch {
    pub(super) fn new(client: &str, instance: &str) -> Self {
        let state = State { endpoints: vec![(instance.to_owned(), None)], ..State::default() };
        Watch(Arc::new(Shared { client: client.to_owned(), state: Mutex::new(state), changed: Condvar::new() }))
    }

    /// Number of operations answered so far, by all instances.
    pub fn answered(&self) -> u64 {
        self.state().answered
    }

    /// The latest answer.
    pub fn last_answer(&self) -> Option<Answer> {
        self.state().last
    }

    /// Waits until so many operations in all have been answered, and says when the wait was over.
    ///
    /// # Errors
    /// When `deadline` passes or the client ends before.
    pub fn wait_answers(&self, count: u64, deadline: At) -> Result<At, WaitError> {
        let ready = |s: &State| (s.answered >= count).then(|| s.last.map_or(At(0), |a| a.at));
        self.wait(&format!("{count} answers"), deadline, ready)
    }

    /// Waits until an answer carries at least this value, and gives that answer.
    ///
    /// # Errors
    /// When `deadline` passes or the client ends before.
    pub fn wait_value(&self, at_least: u64, deadline: At) -> Result<Answer, WaitError> {
        self.wait(&format!("a value of at least {at_least}"), deadline, |s| s.last.filter(|a| a.value >= at_least))
    }

    /// Waits for the first answer of an instance since the client was last sent to it, and says when it arrived.
    ///
    /// # Errors
    /// When `deadline` passes or the client ends before, or was never sent there.
    pub fn first_answer_from(&self, instance: &str, deadline: At) -> Result<At, WaitError> {
        let Some(index) = self.state().endpoints.iter().rposition(|(name, _)| name == instance) else {
            return Err(WaitError::NotAnEndpoint { client: self.0.client.clone(), instance: instance.to_owned() });
        };
        self.wait(&format!("the first answer of `{instance}`"), deadline, |s| s.endpoints[index].1)
    }

    fn wait<T>(&self, awaited: &str, deadline: At, ready: impl Fn(&State) -> Option<T>) -> Result<T, WaitError> {
        let mut state = self.state();
        state.waiters += 1;
        let result = loop {
            if let Some(value) = ready(&state) {
                break Ok(value);
            }
            let left = deadline.since(clock::now());
            if state.closed || left.is_zero() {
                let (client, awaited) = (self.0.client.clone(), awaited.to_owned());
                let seen = match state.last {
                    Some(a) => format!("{} came, the last with value {}", answers(state.answered), a.value),
                    None => "no answer came".to_owned(),
                };
                break Err(match state.closed {
                    true => WaitError::Ended { client, awaited, seen },
                    false => WaitError::Timeout { client, awaited, seen },
                });
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        };
        state.waiters -= 1;
        result
    }

    /// For the client's thread: answers of endpoint `index` arrived.
    pub(super) fn arrived(&self, index: u32, answers: &[Answer]) {
        let Some(last) = answers.last() else { return };
        let mut state = self.state();
        state.answered += answers.len() as u64;
        state.last = Some(*last);
        if let Some((_, first)) = state.endpoints.get_mut(index as usize) {
            first.get_or_insert(answers[0].at);
        }
        self.wake(state);
    }

    pub(super) fn switched(&self, instance: &str) {
        self.state().endpoints.push((instance.to_owned(), None));
    }

    /// Ends all waits when dropped, however the client's thread ends.
    pub(super) fn close_on_drop(&self) -> CloseOnDrop {
        CloseOnDrop(self.clone())
    }

    fn wake(&self, state: MutexGuard<'_, State>) {
        let waiters = state.waiters;
        drop(state);
        if waiters > 0 {
            self.0.changed.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answers(n: u64) -> String {
    if n == 1 { "1 answer".to_owned() } else { format!("{n} answers") }
}

pub(super) struct CloseOnDrop(Watch);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        self.0.wake(state);
    }
}
