//! Requests of one connection that have no answer yet, and the bytes of those that the socket has not taken.

use crate::record::{At, Op, OpOutcome};
use std::collections::VecDeque;

/// Keeps each operation's outcome true at every moment: *not sent* until its first byte is handed to the socket,
/// *unknown* from then until its answer. So nothing has to be settled when a connection is lost.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    /// Operations wholly sent, oldest first.
    sent: VecDeque<usize>,
    /// Operations not wholly sent: index, and where their bytes begin and end in the stream.
    unsent: VecDeque<(usize, u64, u64)>,
    /// Bytes that the socket has not taken begin at `head`.
    out: Vec<u8>,
    head: usize,
    /// Bytes of the stream that the socket has taken.
    written: u64,
}

impl Pipeline {
    /// Adds an operation, whose request `encode` appends.
    pub(super) fn push(&mut self, op: usize, encode: impl FnOnce(&mut Vec<u8>)) {
        let from = self.written + self.pending().len() as u64;
        encode(&mut self.out);
        let to = self.written + self.pending().len() as u64;
        self.unsent.push_back((op, from, to));
    }

    /// What the socket is still to take.
    pub(super) fn pending(&self) -> &[u8] {
        &self.out[self.head..]
    }

    /// The socket took `n` bytes in a call made at `at`.
    pub(super) fn wrote(&mut self, n: usize, at: At, ops: &mut [Op]) {
        self.head += n;
        self.written += n as u64;
        if self.head == self.out.len() {
            self.out.clear();
            self.head = 0;
        } else if self.head > 1 << 20 {
            self.out.drain(..self.head);
            self.head = 0;
        }
        while let Some(&(op, from, to)) = self.unsent.front() {
            if from >= self.written {
                break;
            }
            if ops[op].outcome == OpOutcome::NotSent {
                ops[op].outcome = OpOutcome::Unknown;
                ops[op].sent = at;
            }
            if to > self.written {
                break;
            }
            self.unsent.pop_front();
            self.sent.push_back(op);
        }
    }

    /// The operation that the next answer belongs to.
    pub(super) fn oldest(&self) -> Option<usize> {
        self.sent.front().copied()
    }

    /// An answer came: takes the operation that it belongs to.
    pub(super) fn take(&mut self) -> Option<usize> {
        self.sent.pop_front()
    }

    /// Whether answers are still out.
    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.unsent.is_empty()
    }

    /// The connection is gone, and with it what was asked on it.
    pub(super) fn clear(&mut self) {
        *self = Pipeline::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ops(n: u64) -> Vec<Op> {
        let op = |key| Op {
            intended: At(1 + key),
            sent: At(0),
            done: At(0),
            outcome: OpOutcome::NotSent,
            key,
            value: 0,
            endpoint: 0,
        };
        (0..n).map(op).collect()
    }

    #[test]
    fn what_the_socket_took_in_part_is_unknown_and_what_it_did_not_is_not_sent() {
        let (mut p, mut ops) = (Pipeline::default(), ops(3));
        for i in 0..3 {
            p.push(i, |out| out.extend_from_slice(b"GET\n"));
        }
        p.wrote(6, At(10), &mut ops);
        assert_eq!(p.pending(), b"T\nGET\n");
        p.clear();
        let outcomes: Vec<_> = ops.iter().map(|o| (o.outcome, o.sent)).collect();
        assert_eq!(outcomes, [(OpOutcome::Unknown, At(10)), (OpOutcome::Unknown, At(10)), (OpOutcome::NotSent, At(0))]);
    }

    #[test]
    fn answers_belong_to_what_was_sent_in_order_and_never_to_what_was_not() {
        let (mut p, mut ops) = (Pipeline::default(), ops(2));
        p.push(0, |out| out.extend_from_slice(b"a\n"));
        p.push(1, |out| out.extend_from_slice(b"b\n"));
        assert_eq!(p.take(), None);
        p.wrote(3, At(10), &mut ops);
        assert_eq!((p.take(), p.take()), (Some(0), None));
        p.wrote(1, At(11), &mut ops);
        assert_eq!(ops[1].sent, At(10), "it began to go out then");
        assert_eq!(p.take(), Some(1));
        assert!(p.is_empty() && p.pending().is_empty());
    }
}
