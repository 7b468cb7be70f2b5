use super::{Fault, Wrapper, never_struck};
use crate::record::Failure;
use crate::scenario::plan::{CallFault, RuntimeCall};
use async_trait::async_trait;
use std::sync::Arc;

/// One call of the OCI runtime, the next of its name, that is slow or fails.
pub(super) struct Call {
    wrapper: Arc<Wrapper>,
    call: RuntimeCall,
    how: CallFault,
}

impl Call {
    pub(super) fn new(wrapper: Arc<Wrapper>, call: RuntimeCall, how: CallFault) -> Self {
        Call { wrapper, call, how }
    }

    fn order(&self) -> (&'static str, String) {
        match self.how {
            CallFault::Delay(by) => ("delay", format!("{}", by.as_secs_f64())),
            CallFault::Fail => ("fail", String::new()),
        }
    }
}

#[async_trait]
impl Fault for Call {
    async fn strike(&self) -> Result<(), Failure> {
        let (order, with) = self.order();
        self.wrapper.order(order, self.call.name(), &with)
    }

    async fn mend(&self) -> Result<(), Failure> {
        self.wrapper.withdraw(self.order().0, self.call.name()).map(drop)
    }

    async fn effect(&self) -> Result<(), Failure> {
        if self.wrapper.done(self.order().0, self.call.name()) {
            return Ok(());
        }
        Err(never_struck(format!("the runtime of node {} was not called to {}", self.wrapper.node(), self.call.name())))
    }
}
