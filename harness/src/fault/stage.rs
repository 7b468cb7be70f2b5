//! The begin of a stage, as an event, and the holding of the stage until a fault is there.

use super::{Wrapper, failed, never_struck};
use crate::record::Failure;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::watch;

/// Where the harness itself does something, and can be held: both ends.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<(watch::Sender<bool>, watch::Sender<bool>)>);

impl Gate {
    pub(crate) fn new() -> Self {
        Gate(Arc::new((watch::Sender::new(false), watch::Sender::new(false))))
    }

    /// Says that the stage begins, and waits until it may.
    pub(crate) async fn pass(&self) {
        self.0.0.send_replace(true);
        // An error cannot be: the sender is this value's.
        let _ = self.0.1.subscribe().wait_for(|open| *open).await;
    }
}

/// The begin of a stage that is waited for.
pub(crate) enum Moment {
    /// In the harness.
    Here(Gate),
    /// In a call of the OCI runtime.
    Call(CallMoment),
}

/// The begin or the end of the next call of a name.
pub(crate) struct CallMoment {
    wrapper: Arc<Wrapper>,
    order: &'static str,
    call: &'static str,
    told: BufReader<pipe::Receiver>,
    passed: bool,
}

impl Moment {
    /// The begin (or end) of the runtime's next call of a name; the order stands from here on.
    pub(crate) fn of_call(wrapper: Arc<Wrapper>, call: &'static str, end: bool) -> Result<Moment, Failure> {
        let broken = |e: std::io::Error| failed(format!("listen to the runtime of node {}", wrapper.node()), e);
        let told = pipe::OpenOptions::new().read_write(true).open_receiver(wrapper.file("told")).map_err(broken)?;
        let order = if end { "end" } else { "begin" };
        wrapper.order(order, call, "")?;
        Ok(Moment::Call(CallMoment { wrapper, order, call, told: BufReader::new(told), passed: false }))
    }

    /// Waits for it. When the step is over before it came, it never will.
    pub(crate) async fn begun(&mut self, over: &mut watch::Receiver<bool>) -> Result<(), Failure> {
        let missed = || never_struck("the step was over before the stage began");
        tokio::select! {
            biased;
            begun = self.comes() => begun,
            _ = over.wait_for(|over| *over) => Err(missed()),
        }
    }

    async fn comes(&mut self) -> Result<(), Failure> {
        match self {
            Moment::Here(gate) => {
                let _ = gate.0.0.subscribe().wait_for(|begun| *begun).await;
                Ok(())
            }
            Moment::Call(moment) => {
                let read = moment.told.read_line(&mut String::new()).await;
                let node = moment.wrapper.node();
                read.map(drop).map_err(|e| failed(format!("hear of the runtime of node {node}"), e))
            }
        }
    }

    /// Lets the stage go on.
    pub(crate) fn open(&mut self) {
        match self {
            Moment::Here(gate) => drop(gate.0.1.send_replace(true)),
            Moment::Call(moment) => {
                if !std::mem::replace(&mut moment.passed, true) {
                    moment.wrapper.let_through();
                }
            }
        }
    }
}

impl Drop for Moment {
    fn drop(&mut self) {
        match self {
            Moment::Here(gate) => drop(gate.0.1.send_replace(true)),
            Moment::Call(moment) => {
                // Taken already and not let through: it waits, or will.
                if let (Ok(false), false) = (moment.wrapper.withdraw(moment.order, moment.call), moment.passed) {
                    moment.wrapper.let_through();
                }
            }
        }
    }
}
