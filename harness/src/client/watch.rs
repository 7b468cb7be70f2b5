use super::Kind;
use super::met::{Met, Seen};
use crate::clock;
use crate::record::At;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
        seen: Seen,
    },
    /// The client ended before.
    #[error("client `{client}` ended while {awaited} was waited for; {seen}")]
    Ended {
        /// The client.
        client: String,
        /// What was waited for.
        awaited: String,
        /// What had come instead.
        seen: Seen,
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

impl WaitError {
    /// What the client had seen, for who says himself how long he waited for what. Of a client that ended that is to be told.
    pub fn seen(&self) -> String {
        match self {
            WaitError::Timeout { seen, .. } => seen.to_string(),
            WaitError::Ended { .. } | WaitError::NotAnEndpoint { .. } => self.to_string(),
        }
    }

    /// What can be done about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            WaitError::Timeout { seen, .. } | WaitError::Ended { seen, .. } => seen.hint(),
            WaitError::NotAnEndpoint { .. } => None,
        }
    }
}

/// What a running client has seen so far, to look at and to wait on. All waits are woken by the client's thread at the
/// answer that ends them; the times that they return were stamped there.
#[derive(Clone, Debug)]
pub struct Watch(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: String,
    kind: Kind,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    answered: u64,
    last: Option<Answer>,
    /// In the order in which the client was sent to them.
    endpoints: Vec<Sent>,
    /// So that the client's thread makes no system call for nobody.
    waiters: u32,
    closed: bool,
}

/// An instance that the client was sent to.
#[derive(Debug, Default)]
struct Sent {
    to: String,
    answered: u64,
    first: Option<At>,
    met: Met,
}

impl Sent {
    fn to(instance: &str) -> Sent {
        Sent { to: instance.to_owned(), ..Sent::default() }
    }
}

impl Watch {
    pub(super) fn new(client: &str, kind: Kind, instance: &str) -> Self {
        let state = Mutex::new(State { endpoints: vec![Sent::to(instance)], ..State::default() });
        Watch(Arc::new(Shared { client: client.to_owned(), kind, state, changed: Condvar::new() }))
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
        let Some(index) = self.state().endpoints.iter().rposition(|sent| sent.to == instance) else {
            return Err(WaitError::NotAnEndpoint { client: self.0.client.clone(), instance: instance.to_owned() });
        };
        self.wait_at(Some(index), &format!("the first answer of `{instance}`"), deadline, |s| s.endpoints[index].first)
    }

    /// Waits until the client has had an answer, or nothing has come at all for a while: who is still silent may answer later.
    /// One that has met only what it does not take for an answer waits till `patience` is over.
    ///
    /// # Errors
    /// When such came, and no answer.
    pub fn wait_understood(&self, silence: Duration, patience: Duration) -> Result<(), WaitError> {
        let begin = clock::now();
        let odd = |s: &State| s.endpoints.iter().any(|sent| sent.met.odd.is_some());
        let some = self.wait("an answer", begin + silence, |s| (s.answered > 0 || odd(s)).then_some(s.answered > 0));
        match some {
            Ok(false) => self.wait("an answer", begin + patience, |s| (s.answered > 0).then_some(())),
            Ok(true) | Err(_) => Ok(()),
        }
    }

    fn wait<T>(&self, awaited: &str, deadline: At, ready: impl Fn(&State) -> Option<T>) -> Result<T, WaitError> {
        self.wait_at(None, awaited, deadline, ready)
    }

    /// What is seen in vain is told of the endpoint `index`; without one, of the latest.
    fn wait_at<T>(
        &self,
        index: Option<usize>,
        awaited: &str,
        deadline: At,
        ready: impl Fn(&State) -> Option<T>,
    ) -> Result<T, WaitError> {
        let mut state = self.state();
        state.waiters += 1;
        let result = loop {
            if let Some(value) = ready(&state) {
                break Ok(value);
            }
            let left = deadline.since(clock::now());
            if state.closed || left.is_zero() {
                let (client, awaited) = (self.0.client.clone(), awaited.to_owned());
                let none = Sent::default();
                let of = index.map_or_else(|| state.endpoints.last(), |i| state.endpoints.get(i)).unwrap_or(&none);
                let seen = Seen::of(self.0.kind, (state.answered, state.last), (of.answered, &of.met));
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
        if let Some(sent) = state.endpoints.get_mut(index as usize) {
            sent.first.get_or_insert(answers[0].at);
            sent.answered += answers.len() as u64;
        }
        self.wake(state);
    }

    /// For the client's thread: endpoint `index` gave something else than an answer. Told only as long as it is news.
    pub(super) fn met(&self, index: u32, change: impl FnOnce(&mut Met)) {
        let mut state = self.state();
        if let Some(sent) = state.endpoints.get_mut(index as usize) {
            change(&mut sent.met);
        }
        self.wake(state);
    }

    pub(super) fn switched(&self, instance: &str) {
        self.state().endpoints.push(Sent::to(instance));
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

pub(super) struct CloseOnDrop(Watch);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        self.0.wake(state);
    }
}
